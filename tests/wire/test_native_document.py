"""The native API's document: valid, clean, and true: what the service answers is what it says, whatever is asked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import validate

from lookalike.wire.native import about, examples, openapi, problems
from lookalike.wire.native.calls import CALLS
from tests.support import node
from tests.support.documents import ROOT
from tests.support.live import LiveServer
from tests.wire.openapi.names import IDS, LIBRARY

HERE = Path(__file__).parent / "openapi"
DOCUMENT = openapi.document()


def test_it_is_valid() -> None:
    validate(DOCUMENT)


def test_the_linter_finds_nothing() -> None:
    redocly = node.program(HERE, "redocly")
    done = subprocess.run(
        [*redocly, "lint", str(about.openapi_file()), "--format=json"],
        env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"totals":{"errors":0,"warnings":0,"ignored":0}' in "".join(done.stdout.split()), done.stdout


def _examples(value: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every example of the document: its place, its schema, and the example."""
    if isinstance(value, dict):
        if "example" in value and "schema" in value:
            yield place, value["schema"], value["example"]
        for name, part in value.items():
            yield from _examples(part, f"{place}/{name}")


@pytest.mark.parametrize(("place", "schema", "example"), [pytest.param(*one, id=one[0]) for one in _examples(DOCUMENT)])
def test_an_example_is_what_its_schema_says(place: str, schema: Any, example: Any) -> None:
    validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    assert list(validator.iter_errors(example)) == [], place


def test_every_call_has_examples() -> None:
    files = {"get_image", "bulk"}
    empty = {call.name for call in CALLS if None in call.said.values() and len(call.said) == 1}
    assert set(examples.SAID) - {"get_service"} == {call.name for call in CALLS} - files - empty
    assert set(examples.GIVEN) == {call.name for call in CALLS if call.given is not None} - {"bulk"}


def test_every_problem_is_one_that_a_call_names() -> None:
    named = {
        int(status) for path in DOCUMENT["paths"].values() for call in path.values() for status in call["responses"]
    }
    # A path without an operation, and a method that a path does not take, are no calls; nothing ever answers 500.
    assert {kind.status for kind in problems.PROBLEMS.values()} - named == {405, 500}


@pytest.fixture
def arranged(server: LiveServer) -> str:
    """Keys of an application that has a library with pictures."""
    keys = server.keys("schemathesis")
    auth = (keys.access_key, keys.secret_key)
    library = f"{server.url}/api/v1/libraries/{LIBRARY}"
    assert httpx.put(library, auth=auth, json={}).status_code == 201
    for id_ in IDS:
        said = {"image": {"base64": examples.PICTURE}, "brief": id_}
        assert httpx.put(f"{library}/pictures/{id_}", auth=auth, json=said, timeout=60).status_code == 201
    return ":".join(auth)


@pytest.mark.timeout(600)
def test_whatever_is_called_the_answer_is_in_it(server: LiveServer, arranged: str, tmp_path: Path) -> None:
    """Every check of schemathesis, but for what its configuration leaves out and says why.

    By hand, with another seed and more examples: ``SCHEMATHESIS_SEED=7 SCHEMATHESIS_EXAMPLES=300``.
    """
    seed, most = os.environ.get("SCHEMATHESIS_SEED", "1"), os.environ.get("SCHEMATHESIS_EXAMPLES", "20")
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--no-color",
        "--config-file",
        str(HERE / "schemathesis.toml"),
        "run",
    ]
    options = ["--auth", arranged, "--seed", seed, "--max-examples", most, "--continue-on-failure", "--no-shrink"]
    done = subprocess.run(
        [*command, f"{server.url}/api/v1/openapi.json", *options, "--generation-database", "none"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.wire.openapi.hooks"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # All but the one that answers the document itself, which schemathesis leaves out.
    called = sum(map(len, DOCUMENT["paths"].values())) - 1
    assert re.search(rf"Operations: +{called} selected", done.stdout), done.stdout
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in done.stdout, done.stdout
