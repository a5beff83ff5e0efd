"""The page on keeping the service running: each command as it is typed there, and the unit."""

from __future__ import annotations

import configparser
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from lookalike.cli.main import app
from lookalike.domain.consistency import Fault
from tests.support import documents
from tests.support.baidu import picture
from tests.support.documents import block
from tests.support.live import Keys, LiveServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    running = LiveServer(tmp_path_factory.mktemp("keep") / "data")
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def stock(server: LiveServer) -> Keys:
    """The application that the page names, with the library and the deleted picture that it names."""
    keys = server.keys("stock")
    with httpx.Client(base_url=f"{server.url}/api/v1", auth=(keys.access_key, keys.secret_key), timeout=60) as client:
        assert client.put("/libraries/shop", json={"identity": "own", "kind": "same"}).status_code == 201
        for number in range(3):
            sent = client.put(f"/libraries/shop/pictures/shoe-{number + 5}", content=picture(number, size=(320, 240)))
            assert sent.status_code == 201, sent.text
        assert client.delete("/libraries/shop/pictures/shoe-7").status_code == 204
    return keys


def run(server: LiveServer, line: str, tenant: str = "") -> str:
    words = shlex.split(line.replace("/srv/lookalike", str(server.data)).replace("t0123456789ab", tenant))
    assert words[0] == ".venv/bin/lookalike"
    done = subprocess.run([sys.executable, "-m", "lookalike", *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_server_is_checked_mended_and_looked_at_deeply(server: LiveServer, stock: Keys) -> None:
    plain, repair, deep, listing = block("sh", "check --data").splitlines()
    assert "Nothing differs." in run(server, plain)
    assert "Nothing differs." in run(server, repair)
    report = json.loads(run(server, deep))
    assert (report["left"], report["found"], report["deep"]) == (0, {}, 2)
    listed = server.data.parent / "differs.tsv"
    run(server, listing.replace("differs.tsv", str(listed)))
    assert listed.read_text() == ""


def test_the_canary_is_well(server: LiveServer, stock: Keys) -> None:
    (line,) = block("sh", "canary --data").splitlines()
    said = run(server, line)
    assert said.startswith("Found after ")
    assert "Recall of 2 searches against the exact scan: 1.0000." in said
    status = httpx.get(f"{server.url}/status", auth=(stock.access_key, stock.secret_key)).json()
    assert status["last_canary"]["well"]
    rows = documents.table("docs/keep.md", "field | says")
    named = {word.strip("`, ") for row in rows for word in row[0].split(" ")}
    assert status.keys() - named == {"status", "version", "model"}


def test_a_picture_is_restored(server: LiveServer, stock: Keys) -> None:
    (line,) = block("sh", "restore-picture shoe-7").splitlines()
    assert run(server, line).startswith("shoe-7 is in shop, at revision ")


def test_keys_are_renewed_and_narrowed(server: LiveServer, stock: Keys) -> None:
    (rotate,) = block("sh", "--keep-days 14").splitlines()
    run(server, rotate)
    for line in block("sh", "--may search --library shop").splitlines():
        run(server, line, stock.tenant)
    old = httpx.get(f"{server.url}/api/v1/libraries", auth=(stock.access_key, stock.secret_key))
    assert old.status_code == 200, "the old secret works beside the new one"


def test_metrics_are_those_of_the_page(server: LiveServer, stock: Keys) -> None:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    served = {line.split()[2] for line in lines if line.startswith("# TYPE lookalike_")}
    table = documents.table("docs/keep.md", "metric | says")
    named = {word.strip("`, ") for row in table for word in row[0].split(" ") if word.startswith("`lookalike_")}
    assert {name.removesuffix("_created") for name in served} == named


def test_the_faults_are_those_of_the_page() -> None:
    rows = documents.table("docs/keep.md", "it finds | which means | mended by")
    assert [word.strip("`, ") for row in rows for word in row[0].split(" ")] == [str(fault) for fault in Fault]


def test_the_unit_starts_what_there_is() -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # its names are told apart by case
    unit.read_string(block("ini", "ExecStart=/opt/lookalike"))
    assert unit.sections() == ["Unit", "Service", "Install"]
    service = unit["Service"]
    words = shlex.split(service["ExecStart"])
    known = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200"}).stdout
    assert [word for word in words[2:] if word.startswith("--") and word not in known] == []
    assert Path(words[0]).parts[-3:] == (".venv", "bin", "lookalike")
    assert service["ReadWritePaths"] == words[words.index("--data") + 1] == unit["Unit"]["RequiresMountsFor"]
