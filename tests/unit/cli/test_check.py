"""``lookalike check``: by itself, and by the server that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lookalike.cli.main import app
from lookalike.domain.application import Policy
from lookalike.domain.consistency import Fault, Report, Totals
from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Key
from lookalike.errors import Unavailable
from lookalike.ports import Ports
from lookalike.server.commands import COMMANDS
from lookalike.server.control import ControlSocket, ask_server
from lookalike.service import canary
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.libraries import create_library
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.conftest import ALICE
from tests.contract.rows import row
from tests.support.fakes import MemoryCatalog, MemoryIndex, memory_ports
from tests.unit.service.test_groups import source

REQUEST = {"repair": False, "deep": 0, "rate": 200.0}


class Dead(MemoryCatalog):
    """A catalog that does not answer."""

    def every_row(self) -> Iterator[list[object]]:  # type: ignore[override]
        raise Unavailable("the catalog is away")
        yield


def listening(ports: Ports, path: Path) -> closing[ControlSocket]:
    return closing(ControlSocket(ports, path, COMMANDS))


def ask(folder: Path, ports: Ports) -> Report | None:
    with listening(ports, folder / "server.sock"):
        told = ask_server(folder / "server.sock", "check", REQUEST, lambda _: None)
    return None if told is None else Report.of_json(told)


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
    assert "no server runs on this folder: its index is taken from its files" in said


def test_without_a_server_the_files_of_the_index_are_looked_at(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = DataFolder(data).segments
    files.mkdir(exist_ok=True)
    (files / "manifest.json").write_bytes(b"damaged")
    status, out, _ = run("--data", data)
    assert (status, out.splitlines()[-1]) == (0, "Nothing differs.")
    assert "the index is made again from the catalog: its list of files is not used" in caplog.text


def test_the_running_server_is_asked(data: Path, damaged: Ports) -> None:
    with listening(damaged, DataFolder(data).control):
        status, out, said = run("--data", data)
        assert (status, said) == (3, "")
        assert "found, although deleted or gone 1     0      library/ghost" in out
        status, out, _ = run("--data", data, "--repair", "--json")
        assert (status, json.loads(out)["mended"]) == (0, {"ghost": 1})
        assert run("--data", data)[0] == 0


def test_all_that_differs_is_listed_in_a_file(tmp_path: Path, data: Path) -> None:
    index = MemoryIndex()
    ids = [*(f"{number:02}" for number in range(30)), "a\tb\x1b[2J", "猫"]
    index.write([row("library", id_) for id_ in ids])
    ports = memory_ports(index=index)
    file = tmp_path / "differs.tsv"
    with listening(ports, DataFolder(data).control):
        status, out, said = run("--data", data)
        assert (status, said) == (3, "lookalike: --list FILE names all of them\n")
        status, _, said = run("--data", data, "--list", file)
        assert (status, said) == (3, "")
        _, out, _ = run("--data", data, "--json")
    assert len(json.loads(out)["examples"]["ghost"]) == len(ids)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert sorted(lines)[:2] == ["ghost\tlibrary/00", "ghost\tlibrary/01"]
    assert {r"ghost	library/a\tb\x1b[2J", "ghost\tlibrary/猫"} <= set(lines)
    kept = ports.records.record("service", "check")
    assert kept is not None
    assert len(Report.of_json(kept.body).examples[Fault.GHOST]) == 10


def test_the_last_report_is_kept(data: Path, damaged: Ports) -> None:
    with listening(damaged, DataFolder(data).control):
        _, out, _ = run("--data", data, "--json")
    kept = damaged.records.record("service", "check")
    assert kept is not None
    assert kept.body == out.strip()


def test_what_could_not_finish_says_so(data: Path) -> None:
    with listening(memory_ports(catalog=Dead()), DataFolder(data).control):
        status, out, said = run("--data", data)
    assert (status, out) == (4, "")
    assert said == "lookalike: the check could not finish: the catalog is away\n"


def test_a_socket_of_a_killed_server_is_no_server(tmp_path: Path, damaged: Ports) -> None:
    (tmp_path / "server.sock").touch()
    assert ask_server(tmp_path / "server.sock", "check", REQUEST, lambda _: None) is None
    told = ask(tmp_path, damaged)
    assert told is not None
    assert told.found == {Fault.GHOST: 1}
    assert not (tmp_path / "server.sock").exists()


def test_a_deep_folder_has_a_socket_too(tmp_path: Path, damaged: Ports) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    assert ask(folder, damaged) is not None


def test_a_deleted_picture_is_restored(data: Path) -> None:
    ports = memory_ports(ALICE)
    ref = LibraryRef(ALICE.tenant, "shop", Kind.SAME, Identity.OWN)
    library = create_library(ports, ref)
    add(ports, Add(ref, source(1), id="a"))
    delete(ports, Delete(ref, ("a",)))
    with closing(SqliteStores(data / "catalog.db")) as stores:
        stores.applications.save_application(ALICE)
    with listening(ports, DataFolder(data).control):
        command = ["restore-picture", "a", "--library", "shop", "--name", ALICE.name, "--data", str(data)]
        done = CliRunner().invoke(app, command)
        assert (done.exit_code, done.stdout[:25]) == (0, "a is in shop, at revision")
        assert ports.index.count(library.uid) == 1
        command[1] = "unknown"
        refused = CliRunner().invoke(app, command)
        assert str(refused.exception) == "picture: unknown is not in shop, nor is it kept there until its purge"
        command[1], command[3] = "a", "shopp"
        refused = CliRunner().invoke(app, command)
        assert str(refused.exception) == "--library: that application's tenant has none called shopp"


def test_a_picture_is_restored_only_into_what_has_room(data: Path) -> None:
    shop = replace(ALICE, policy=Policy(capacity=1))
    ports = memory_ports(shop)
    ref = LibraryRef(shop.tenant, "shop", Kind.SAME, Identity.OWN)
    create_library(ports, ref)
    add(ports, Add(ref, source(1), id="a"))
    delete(ports, Delete(ref, ("a",)))
    add(ports, Add(ref, source(2), id="b"))
    with closing(SqliteStores(data / "catalog.db")) as stores:
        stores.applications.save_application(shop)
    with listening(ports, DataFolder(data).control):
        command = ["restore-picture", "a", "--library", "shop", "--name", shop.name, "--data", str(data)]
        refused = CliRunner().invoke(app, command)
        assert "its libraries hold as many pictures as it may have" in str(refused.exception)
        row = ports.catalog.picture(Key(ports.catalog.libraries(shop.tenant)[0].uid, "a"))
        assert row is not None
        assert not row.live
        delete(ports, Delete(ref, ("b",)))
        assert CliRunner().invoke(app, command).exit_code == 0


def test_a_canary_is_found_and_gone(data: Path) -> None:
    ports = memory_ports(ALICE)
    ref = LibraryRef(ALICE.tenant, "shop", Kind.SAME, Identity.OWN)
    create_library(ports, ref)
    for number in range(12):
        add(ports, Add(ref, source(number), id=f"{number}"))
    with listening(ports, DataFolder(data).control):
        done = CliRunner().invoke(app, ["canary", "--data", str(data), "--recall", "5", "--json"])
    said = json.loads(done.stdout)
    assert (done.exit_code, said["well"], said["sample"], said["recall"]) == (0, True, 5, 1.0)
    assert said["found_seconds"] < 5
    assert ports.index.count(library_uid(ports)) == 0
    assert ports.records.record("service", "canary") is not None


def library_uid(ports: Ports) -> str:
    library = ports.catalog.library(canary.LIBRARY.tenant, canary.LIBRARY.name)
    assert library is not None
    return library.uid


def test_reports_travel_as_json() -> None:
    report = Report(1, 2.5, Totals(1, 2, 3, 4, 5), {Fault.STALE: 2}, {}, {Fault.STALE: ("a", "b")}, 7, 8)
    assert Report.of_json(report.to_json()) == report
