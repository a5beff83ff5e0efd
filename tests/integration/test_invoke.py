"""``lookalike invoke``: the very functions under Lambda's runtime client, on the sample events."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from lookalike.server.runtime_api import RuntimeHttpServer
from lookalike.stores.local.data_folder import DataFolder
from tests.support.documents import code_spans, command_lines

ROOT = Path(__file__).resolve().parents[2]
(TYPED,) = [line for line in command_lines() if line.startswith(".venv/bin/lookalike invoke")]


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOOKALIKE_")}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)


def invoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "lookalike", "invoke", *arguments)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with an application in it."""
    done = run(sys.executable, "-m", "lookalike", "keys", "create", "--name", "one", "--data", str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    return tmp_path / "data"


def test_it_answers_as_it_is_documented(data: Path) -> None:
    words = shlex.split(TYPED)
    words[words.index("--data") + 1] = str(data)
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    answer = json.loads(done.stdout)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["error_code"] == 110, "the event's token is nobody's"


def test_an_event_with_a_token_of_ours_is_answered(tmp_path: Path, data: Path) -> None:
    (command,) = [span for span in code_spans("docs/aws.md") if re.fullmatch("sed .*events/search.json", span)]
    token = run(sys.executable, "-m", "lookalike", "token", "--name", "one", "--data", str(data)).stdout.strip()
    event = tmp_path / "search.json"
    event.write_text(run("sh", "-c", f"TOKEN={token}; {command}").stdout)
    done = invoke("search", str(event), "--data", str(data))
    assert json.loads(json.loads(done.stdout)["body"])["result"] == []


def test_no_stores_are_made(tmp_path: Path) -> None:
    done = invoke("purge", "events/purge.json", "--data", str(tmp_path / "typo"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "no data folder" in done.stderr
    assert not (tmp_path / "typo").exists()


def test_a_folder_that_a_server_has_is_left_to_it(data: Path) -> None:
    folder = DataFolder(data)
    folder.lock()
    try:
        done = invoke("purge", "events/purge.json", "--data", str(data))
    finally:
        folder.unlock()
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert f"in use by another server (process {os.getpid()}); stop it first" in line
    assert invoke("purge", "events/purge.json", "--data", str(data)).returncode == 0


class Leaver(BaseHTTPRequestHandler):
    """Finds its client gone."""

    def do_GET(self) -> None:
        raise ConnectionResetError


class Broken(BaseHTTPRequestHandler):
    """Breaks on every request."""

    def do_GET(self) -> None:
        raise ValueError("broken")


@pytest.mark.parametrize(("handler", "said"), [(Leaver, ""), (Broken, "broken")])
def test_a_runtime_that_is_gone_is_no_news(
    handler: type[BaseHTTPRequestHandler], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        RuntimeHttpServer(("127.0.0.1", 0), handler) as server,
        socket.create_connection(("127.0.0.1", server.server_port)) as client,
    ):
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        server.daemon_threads = False  # so that closing waits for it
        server.handle_request()
    assert (said in capsys.readouterr().err) if said else not capsys.readouterr().err


@pytest.mark.parametrize(
    ("function", "event"),
    [("purge", "purge"), ("ingest", "ingest-test"), ("unknown", "unknown"), ("groups", "groups-status")],
)
def test_functions_of_every_trigger_run(data: Path, function: str, event: str) -> None:
    done = invoke(function, f"events/{event}.json", "--data", str(data))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    json.loads(done.stdout)


def test_a_folder_is_meant_from_where_the_command_is_typed(data: Path) -> None:
    event = ROOT / "events/purge.json"
    done = run(sys.executable, "-m", "lookalike", "invoke", "purge", str(event), "--data", data.name, cwd=data.parent)
    assert done.returncode == 0, done.stderr


def test_a_function_that_fails_is_an_error_that_says_why(tmp_path: Path, data: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text("[]")
    done = invoke("search", str(event), "--data", str(data))
    assert done.returncode == 1
    assert json.loads(done.stdout)["errorMessage"]


def test_stores_that_cannot_be_opened_are_said_in_one_line(data: Path) -> None:
    (data / "catalog.db").write_text("no database")
    done = invoke("purge", "events/purge.json", "--data", str(data))
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"lookalike: {data / 'catalog.db'}: cannot be used (file is not a database); restore it from a backup\n"
    )


@pytest.mark.parametrize(
    ("function", "event", "said"),
    [
        ("search", "events/none.json", "events/none.json: No such file"),
        ("none", "events/search.json", "'none' is none; there are add"),
        ("../add", "events/search.json", "is none; there are add"),
        ("search", "README.md", "no JSON"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(data: Path, function: str, event: str, said: str) -> None:
    done = invoke(function, event, "--data", str(data))
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
