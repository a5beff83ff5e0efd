"""Commands as the README and the pages type them. tests/unit/docs/test_commands.py says who runs each."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.servers.opensearch import server as opensearch
from tests.support import photographs
from tests.support.baidu import picture
from tests.support.documents import block, command_lines
from tests.support.live import READY, LiveServer

ROOT = Path(__file__).resolve().parents[2]


def test_make_test_fast_leaves_slow_tests_out_and_says_so() -> None:
    command = ["make", "test-fast", "TESTS=tests/unit/cli/test_main.py tests/unit/wire/test_percent.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^Left out by -m 'not slow': 1$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^\d+ passed", done.stdout, re.MULTILINE), done.stdout


def test_make_test_installs_what_those_tests_need_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(f"include {ROOT / 'Makefile'}\nneeds: ; @echo $(NEEDS)\n")

    def needs(tests: str) -> set[str]:
        command = ["make", "-s", "-f", str(tmp_path / "Makefile"), "needs", f"TESTS={tests}"]
        return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())

    everything = {"setup", "both-models", ".venv/.browser", ".venv-sam/.installed", "clients", "servers"}
    assert (
        needs("tests/unit")
        == needs("tests/unit/cli/test_main.py::test_x[a/b]")
        == needs("./tests/unit -k 'a or b'")
        == set()
    )
    assert needs("tests/unit tests/template/test_layers.py") == {"setup", ".venv-sam/.installed"}
    assert needs("tests") == needs("-k word") == needs("tests/e2e") == needs("tests/support/live.py") == everything
    assert needs("tests --ignore=tests/unit") == everything


def test_make_run_serves_the_sample(tmp_path: Path) -> None:
    _serves_the_sample(["make", "run", "PORT=0", f"DATA={tmp_path / 'data'}"], tmp_path / "log")
    printed = (tmp_path / "log").read_text().replace(str(tmp_path / "data"), "data")
    first, *shown = block("", "lookalike is ready on").splitlines()
    assert first.startswith(READY)  # on stdout
    labels = [re.split(r"  |━", line.strip(" │┃"))[0] for line in shown]
    said = [label for label in labels if re.match(r"\w", label) and not label.startswith("base64")]
    assert len(said) >= 8
    assert [label for label in said if label not in printed] == []


def test_make_run_aws_serves_the_sample(tmp_path: Path) -> None:
    if (reason := opensearch.missing()) is not None:
        pytest.skip(f"no OpenSearch: {reason}")
    _serves_the_sample(["make", "run-aws", "PORT=0"], tmp_path / "log")


def test_run_aws_ends_all_that_it_has_started(tmp_path: Path) -> None:
    if (reason := opensearch.missing()) is not None:
        pytest.skip(f"no OpenSearch: {reason}")
    command = [sys.executable, "-m", "tests.servers.aws", "--port", "0"]
    with (tmp_path / "log").open("w") as errors:
        running = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
    assert running.stdout is not None
    next(line for line in running.stdout if line.startswith(READY))
    assert len(_session(running.pid)) >= 3, "itself, OpenSearch and the server"
    running.terminate()  # it alone, as supervisors do
    running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM
    assert _session(running.pid) == []


def _session(leader: int) -> list[str]:
    """The processes of a session, by what proc(5) says of each."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            said = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
        if said.rpartition(")")[2].split()[3] == str(leader):
            found.append(said)
    return found


def _serves_the_sample(command: list[str], log: Path) -> None:
    with log.open("w") as errors:
        running = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
    assert running.stdout is not None
    try:
        address = next(line for line in running.stdout if line.startswith(READY)).removeprefix(READY).strip()
        assert httpx.get(f"{address}/status").json()["status"] == "ready"
        while "Try it yourself" not in log.read_text():
            assert running.poll() is None, log.read_text()
            time.sleep(0.1)
        assert "astronaut" in log.read_text()
        assert log.read_text().count("API key") == 1, "one set of keys"
        assert "Traceback" not in log.read_text()
    finally:
        os.killpg(running.pid, signal.SIGINT)
        running.communicate(timeout=60)


def test_serve_as_it_is_documented(tmp_path: Path) -> None:
    typed = dict.fromkeys(line for line in command_lines() if line.startswith(".venv/bin/lookalike serve"))
    assert typed
    for number, line in enumerate(typed):
        words = shlex.split(line)
        words[0] = str(ROOT / words[0])
        (tmp_path / "pictures").mkdir(exist_ok=True)
        ours = {"--data": tmp_path / f"data{number}", "--port": 0, "--watch": tmp_path / "pictures"}
        for option in set(words) & ours.keys():
            words[words.index(option) + 1] = str(ours[option])
        assert {"--data", "--port"} <= set(words)  # else the test would write here, and listen where others do
        with (tmp_path / "log").open("w") as errors:
            running = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert running.stdout is not None
        try:
            ready = running.stdout.readline()
            assert ready.startswith(READY), (line, (tmp_path / "log").read_text())
            assert httpx.get(f"{ready.removeprefix(READY).strip()}/status").json()["status"] == "ready"
        finally:
            running.terminate()
            running.communicate(timeout=60)
        assert running.returncode == 0, (line, (tmp_path / "log").read_text())


def test_keys_as_they_are_documented(tmp_path: Path) -> None:
    commands = (
        ".venv/bin/lookalike keys",
        ".venv/bin/lookalike usage",
        ".venv/bin/lookalike token",
        ".venv/bin/lookalike console",
    )
    keys = dict.fromkeys(line for line in command_lines() if line.startswith(commands))
    # Pages tell of applications that another page makes or revokes.
    here = [line for line in keys if "--stack" not in line]
    typed = sorted(here, key=lambda line: ("keys revoke" in line) - ("keys create" in line))
    assert len(typed) >= 9
    for line in typed:
        words = shlex.split(line)
        words[0] = str(ROOT / words[0])
        if "--data" in words:
            words[words.index("--data") + 1] = str(tmp_path / "data")
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)
    left = [str(ROOT / ".venv/bin/lookalike"), "keys", "list", "--json", "--data", str(tmp_path / "data")]
    printed = subprocess.run(left, capture_output=True, text=True, check=True).stdout
    assert {application["name"] for application in json.loads(printed)} == {"page", "camera", "shop"}


def test_moving_as_it_is_documented(tmp_path: Path) -> None:
    """In the order of the page: lookalike import, lookalike export, lookalike snapshot, lookalike restore."""
    commands = tuple(f".venv/bin/lookalike {name} " for name in ("import", "export", "snapshot", "restore"))
    typed = [line for line in dict.fromkeys(command_lines()) if line.startswith(commands)]
    assert {line.split()[1] for line in typed} == {"import", "export", "snapshot", "restore"}
    (tmp_path / "photos").mkdir()
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "photos/1.png").write_bytes(picture(1))
    (tmp_path / "catalogue.csv").write_text("sku,title,category,file\n7,Shoe,a;b,photos/1.png\n")
    (tmp_path / "catalogue.jsonl").write_text('{"id": 8, "file": "photos/1.png", "brief": "Shoe"}\n')
    server = LiveServer(tmp_path / "served")
    keys = server.keys("shop")
    (tmp_path / "key").write_text(f"{keys.access_key}:{keys.secret_key}")
    try:
        for line in typed:
            words = shlex.split(line)
            words[0] = str(ROOT / words[0])
            for option, ours in (("--data", tmp_path), ("--url", server.url)):
                if option in words:
                    at = words.index(option) + 1
                    words[at] = str(tmp_path / Path(words[at]).name) if option == "--data" else str(ours)
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (line, done.stdout, done.stderr)
    finally:
        server.stop()
    assert (tmp_path / "restored/catalog.db").is_file()
    assert "1 pictures" in done.stdout or "3 pictures" in done.stdout, done.stdout


def test_make_bench_prints_its_tables(tmp_path: Path) -> None:
    recipe = subprocess.run(["make", "bench", "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert ".venv/bin/python -m tests.bench" in recipe.splitlines()
    figures = tmp_path / "bench.json"
    done = subprocess.run(
        [ROOT / ".venv/bin/python", "-m", "tests.bench", "--quick", "--json", figures],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "durable adds a second" in done.stdout
    rows = json.loads(figures.read_text())["figures"]
    below = [row["name"] for row in rows if row["value"] < 0]
    assert all("more than" in name or name.startswith("all else") for name in below), "only a difference may be"
    # A quiet machine's cores, and a stage that none of a few searches comes to, are nought.
    nought = [row for row in rows if not row["value"] and not row["group"].startswith("Stages")]
    assert all(row["name"].endswith("by others") for row in nought), nought


def test_sweeps_as_they_are_documented(tmp_path: Path) -> None:
    """Of a folder, and of a library in a data folder that nobody serves: it is empty, and has no application yet."""
    of_folder, of_library = (line for line in command_lines() if line.startswith(".venv/bin/lookalike sweep"))
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        photographs.photograph("coffee.png").convert("RGB").save(folder / name)
    program = str(ROOT / ".venv/bin/lookalike")
    done = subprocess.run(
        [program, *shlex.split(of_folder)[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2 pictures, clusters: 1 identical" in done.stdout
    assert (tmp_path / "duplicates/index.html").is_file()
    data = tmp_path / "data"
    words = [data.as_posix() if word == "/srv/lookalike" else word for word in shlex.split(of_library)[1:]]
    subprocess.run([program, "keys", "create", "--name", "shop", "--data", data], check=True, capture_output=True)
    missing = subprocess.run([program, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    assert "none called shop" in missing.stderr
