"""The parameters of documented deployments reach the template whole: through the shell, make, and SAM's own parser."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support import documents
from tests.template.conftest import ROOT, Template

#: Documented command lines that deploy with parameters.
LINES = [line for line in documents.command_lines() if "--parameter-overrides" in line]


def taken(line: str) -> dict[str, str]:
    """The parameters that SAM takes from a command line of `make deploy`."""
    make, *words = shlex.split(line)
    assert make == "make"
    command = [make, "-n", "-o", "build", "-o", ".venv/.aws", *words]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    ((_, _, *arguments),) = (shlex.split(one) for one in printed.splitlines() if " deploy " in one)
    script = Path(__file__).with_name("overrides.py")
    sam = [str(ROOT / ".venv-sam/bin/python"), str(script), *arguments]
    parameters: dict[str, str] = json.loads(subprocess.run(sam, capture_output=True, text=True, check=True).stdout)
    return parameters


@pytest.mark.parametrize("line", LINES)
def test_the_template_takes_documented_parameters(template: Template, line: str) -> None:
    parameters = taken(line)
    assert set(parameters) == set(re.findall(r"(\w+)=", line)) - {"ENV", "OPTIONS"}
    for name, value in parameters.items():
        declared = template.source["Parameters"][name]
        assert value in declared.get("AllowedValues", [value])
        assert re.search(declared.get("AllowedPattern", ""), value), f"{name}={value}"


def test_the_stack_without_a_domain_is_documented() -> None:
    (found,) = (taken(line) for line in LINES if "VectorStore=segments" in line)
    assert found == {"VectorStore": "segments", "Metrics": "none", "JobsSchedule": "rate(15 minutes)"}


def test_what_stands_behind_a_space_is_lost_without_quotes_of_its_own() -> None:
    """SAM splits what the shell has passed whole: why the documented line has two kinds of quotes."""
    options = "OPTIONS=--parameter-overrides 'JobsSchedule=rate(15 minutes)'"
    assert taken(shlex.join(["make", "deploy", "ENV=dev", options])) == {"JobsSchedule": "rate(15"}
