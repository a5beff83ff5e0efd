"""``lookalike check``: by itself, and by the server that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lookalike.cli.main import app
from lookalike.domain.consistency import Fault, Report, Totals
from lookalike.errors import Unavailable
from lookalike.ports import Ports
from lookalike.server.control import CheckRequest, ControlSocket, ask_server
from lookalike.stores.local.data_folder import DataFolder
from tests.contract.rows import row
from tests.support.fakes import MemoryCatalog, MemoryIndex, memory_ports

REQUEST = CheckRequest(repair=False, deep=0, rate=200.0)


class Dead(MemoryCatalog):
    """A catalog that does not answer."""

    def every_row(self) -> Iterator[list[object]]:  # type: ignore[override]
        raise Unavailable("the catalog is away")
        yield


def ask(folder: Path, ports: Ports, request: CheckRequest = REQUEST) -> Report | None:
    with closing(ControlSocket(ports, folder / "server.sock")):
        return ask_server(folder / "server.sock", request, lambda _: None)


@pytest.fixture
def damaged() -> Ports:
    index = MemoryIndex()
    index.write([row("library", "ghost")])
    return memory_ports(index=index)


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["check", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    assert CliRunner().invoke(app, ["keys", "create", "--name", "shop", "--data", str(folder)]).exit_code == 0
    return folder


def test_a_folder_without_a_server_checks_itself(data: Path) -> None:
    status, out, said = run("--data", data)
    assert (status, out.splitlines()[-1]) == (0, "Nothing differs.")
    assert "no server runs on this folder" in said


def test_the_running_server_is_asked(data: Path, damaged: Ports) -> None:
    with closing(ControlSocket(damaged, DataFolder(data).control)):
        status, out, said = run("--data", data)
        assert (status, said) == (3, "")
        assert "found, although deleted or gone 1     0      library/ghost" in out
        status, out, _ = run("--data", data, "--repair", "--json")
        assert (status, json.loads(out)["mended"]) == (0, {"ghost": 1})
        assert run("--data", data)[0] == 0


def test_what_could_not_finish_says_so(data: Path) -> None:
    with closing(ControlSocket(memory_ports(catalog=Dead()), DataFolder(data).control)):
        status, out, said = run("--data", data)
    assert (status, out) == (4, "")
    assert said == "lookalike: the check could not finish: the catalog is away\n"


def test_a_socket_of_a_killed_server_is_no_server(tmp_path: Path, damaged: Ports) -> None:
    (tmp_path / "server.sock").touch()
    assert ask_server(tmp_path / "server.sock", REQUEST, lambda _: None) is None
    told = ask(tmp_path, damaged)
    assert told is not None
    assert told.found == {Fault.GHOST: 1}
    assert not (tmp_path / "server.sock").exists()


def test_a_deep_folder_has_a_socket_too(tmp_path: Path, damaged: Ports) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    assert ask(folder, damaged) is not None


def test_reports_travel_as_json() -> None:
    report = Report(1, 2.5, Totals(1, 2, 3, 4, 5), {Fault.STALE: 2}, {}, {Fault.STALE: ("a", "b")}, 7, 8)
    assert Report.of_json(report.to_json()) == report
