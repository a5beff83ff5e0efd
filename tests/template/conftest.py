"""The template, as written and as CloudFormation sees it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A template as written (``source``) and after SAM's transform (``translated``)."""

    source: Mapping[str, Any]
    translated: Mapping[str, Any]

    @classmethod
    def of(cls, text: str) -> Template:
        """Translate a template's text."""
        python = ROOT / ".venv-sam/bin/python"
        assert python.exists(), "the SAM command line is not installed: run `make test`"
        script = Path(__file__).with_name("translate.py")
        run = subprocess.run([python, script], input=text, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return cls(**json.loads(run.stdout))

    def of_type(self, kind: str) -> dict[str, Resource]:
        """The resources of a type, by logical id; SAM's types as written, all others translated."""
        part = self.source if kind.startswith("AWS::Serverless::") else self.translated
        return {name: resource for name, resource in part["Resources"].items() if resource["Type"] == kind}

    def functions(self) -> dict[str, Mapping[str, Any]]:
        """Every function's properties by its operation, the globals folded in; its layers are added to theirs."""
        shared = self.source["Globals"]["Function"]
        return {
            resource["Properties"]["CodeUri"].removeprefix("functions/"): {
                **shared,
                **resource["Properties"],
                "Layers": [*shared["Layers"], *resource["Properties"].get("Layers", [])],
            }
            for resource in self.of_type("AWS::Serverless::Function").values()
        }

    def routes(self) -> dict[str, set[tuple[str, str]]]:
        """Method and path of every HTTP route, by operation."""
        return {
            operation: {
                (event["Properties"]["Method"], event["Properties"]["Path"])
                for event in function["Events"].values()
                if event["Type"] == "HttpApi"
            }
            for operation, function in self.functions().items()
        }

    def value(self, given: Any, **parameters: str) -> Any:
        """A property's value when every parameter has its default, but for those that are given."""
        if given == {"Ref": "AWS::NoValue"}:
            return None
        if isinstance(given, dict) and "Ref" in given:
            return parameters.get(given["Ref"], self.source["Parameters"][given["Ref"]]["Default"])
        if isinstance(given, dict) and "Fn::If" in given:
            condition, met, unmet = given["Fn::If"]
            return self.value(met if self.holds({"Condition": condition}, **parameters) else unmet, **parameters)
        return given

    def holds(self, condition: Any, **parameters: str) -> bool:
        """Whether a condition is met, likewise."""
        ((kind, said),) = condition.items()
        if kind == "Condition":
            return self.holds(self.source["Conditions"][said], **parameters)
        if kind == "Fn::Equals":
            first, second = (str(self.value(one, **parameters)) for one in said)
            return first == second
        outcomes = [self.holds(one, **parameters) for one in said]
        return {"Fn::Not": lambda: not outcomes[0], "Fn::And": lambda: all(outcomes), "Fn::Or": lambda: any(outcomes)}[
            kind
        ]()

    def there(self, kind: str, **parameters: str) -> dict[str, Resource]:
        """The resources of a type that these parameters make."""
        return {
            name: resource
            for name, resource in self.of_type(kind).items()
            if "Condition" not in resource or self.holds({"Condition": resource["Condition"]}, **parameters)
        }


@pytest.fixture(scope="session")
def text() -> str:
    """The template's text."""
    return (ROOT / "template.yaml").read_text()


@pytest.fixture(scope="session")
def template(text: str) -> Template:
    """The template."""
    return Template.of(text)
