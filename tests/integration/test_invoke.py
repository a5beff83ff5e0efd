"""``lookalike invoke``: the very functions under Lambda's runtime client, on the sample events."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
(TYPED,) = [
    line.partition("   #")[0]
    for line in (ROOT / "README.md").read_text().splitlines()
    if line.startswith(".venv/bin/lookalike invoke")
]


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOOKALIKE_")}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)


def invoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "lookalike", "invoke", *arguments)


def test_it_answers_as_the_readme_types_it(tmp_path: Path) -> None:
    words = shlex.split(TYPED)
    words[words.index("--data") + 1] = str(tmp_path / "data")
    done = run(*words)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["error_code"] == 110, "the event's token is nobody's"


@pytest.mark.parametrize(("function", "event"), [("purge", "purge"), ("ingest", "ingest-test"), ("unknown", "unknown")])
def test_functions_of_every_trigger_run(tmp_path: Path, function: str, event: str) -> None:
    done = invoke(function, f"events/{event}.json", "--data", str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


def test_a_folder_is_meant_from_where_the_command_is_typed(tmp_path: Path) -> None:
    event = ROOT / "events/purge.json"
    done = run(sys.executable, "-m", "lookalike", "invoke", "purge", str(event), "--data", "here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here").is_dir()


def test_a_function_that_fails_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    done = invoke("purge", "events/purge.json", "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert json.loads(done.stdout)["errorMessage"]


@pytest.mark.parametrize(
    ("function", "event", "said"),
    [
        ("search", "events/none.json", "events/none.json: No such file"),
        ("none", "events/search.json", "'none' is none; there are add"),
        ("../add", "events/search.json", "is none; there are add"),
        ("search", "README.md", "no JSON"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(tmp_path: Path, function: str, event: str, said: str) -> None:
    done = invoke(function, event, "--data", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
