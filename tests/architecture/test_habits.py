"""What runs before a commit and what `make check` runs are the same; the forms for issues can be filled in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture import source

FORMS = sorted((source.ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def checks() -> list[str]:
    """The commands of ``make check``."""
    makefile = (source.ROOT / "Makefile").read_text()
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    variables = dict(re.findall(r"^(BIN|SAM)\s*:= (.*)$", makefile, re.MULTILINE))
    return [re.sub(r"\$\((\w+)\)", lambda found: variables[found[1]], line.strip()) for line in recipe[1].splitlines()]


def hooks() -> list[dict[str, Any]]:
    (repository,) = read(source.ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    found: list[dict[str, Any]] = repository["hooks"]
    return found


def test_before_a_commit_runs_what_make_check_runs() -> None:
    assert [hook["entry"] for hook in hooks()] == checks()


def test_nothing_is_downloaded_before_a_commit() -> None:
    assert {(hook["language"], hook["pass_filenames"]) for hook in hooks()} == {("system", False)}


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: str(hook["id"]))
def test_a_hook_runs_for_files_that_there_are(hook: dict[str, Any]) -> None:
    names = ("pyproject.toml", "template.yaml", ".checkov.yaml", "functions/add/app.py", "README.md")
    assert all((source.ROOT / name).exists() for name in names)
    wanted = [name for name in names if re.search(hook["files"], name)]
    assert wanted
    assert "README.md" not in wanted


@pytest.mark.parametrize("form", [form for form in FORMS if form.name != "config.yml"], ids=lambda form: form.name)
def test_a_form_asks_for_something_and_each_thing_once(form: Path) -> None:
    """As https://docs.github.com/en/communities/using-templates/syntax-for-githubs-form-schema has it."""
    content = read(form)
    assert content.keys() == {"name", "description", "labels", "body"}
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    names = [field["id"] for field in fields]
    assert len(set(names)) == len(names)
    assert any(field.get("validations", {}).get("required") for field in fields)
    for field in fields:
        assert field["type"] in {"input", "textarea", "dropdown", "checkboxes"}
        assert field["attributes"]["label"]
        assert ("options" in field["attributes"]) == (field["type"] in {"dropdown", "checkboxes"})


def test_owners_own_what_there_is() -> None:
    lines = (source.ROOT / ".github/CODEOWNERS").read_text().splitlines()
    places = [line.split() for line in lines if line and not line.startswith("#")]
    assert places[0][0] == "*"
    assert all(owner.startswith("@") for _, *owners in places for owner in owners)
    assert not [place for place, *_ in places[1:] if not (source.ROOT / place.strip("/")).exists()]
