"""Disks that are full, read-only or failing: what is held is served, writes are refused, and begin again by themselves."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lookalike import bootstrap
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Metadata
from lookalike.domain.upload import DeadLetter
from lookalike.errors import SettingsError, Unavailable
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.applications import create_application
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.purge import purge
from lookalike.service.search import Search, search
from lookalike.service.update import Update, update
from lookalike.settings import Settings
from lookalike.stores.local import original_files, sqlite_database
from lookalike.stores.local.dead_letter_file import FileDeadLetters
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.contract.rows import row
from tests.support.fakes import TinyEmbedder, TinyVerifier
from tests.support.mounts import SmallDisk, mount, mounted, small_disk
from tests.support.photographs import photograph, png

BOUNDS = Bounds(max_bytes=8 << 20, min_side=1, max_side=5000, max_pixels=1 << 24, formats=frozenset({"JPEG", "PNG"}))
LIBRARY_REF = LibraryRef("tenant", "similar", Kind.SIMILAR)


class Embedder(TinyEmbedder):
    def codebook(self, kind: Kind) -> None:
        """None, so vectors are scanned exactly."""


def source(name: str) -> Source:
    return Source(BOUNDS, data=png(photograph(name, 100)))


def service(data: Path) -> Ports:
    return bootstrap.build(Settings(data=data), embedder=Embedder(), verifier=TinyVerifier())


def found(ports: Ports, name: str) -> set[str]:
    return {match.candidate.metadata.brief for match in search(ports, Search(LIBRARY_REF, source(name))).matches}


def made(data: Path) -> None:
    """A service that holds two pictures, and has been stopped."""
    with closing(service(data)) as ports:
        create_application(ports.applications, ports.clock, "shop")
        for name in ("chelsea.png", "coffee.png"):
            add(ports, Add(LIBRARY_REF, source(name), metadata=Metadata(brief=name)))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 8 << 10) as made:
        yield made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refused is tried again at once."""
    monkeypatch.setattr(sqlite_database, "_MIN_RETRY_SECONDS", 0.0)
    monkeypatch.setattr(original_files, "_MIN_RETRY_SECONDS", 0.0)


def assert_reads_are_served_and_writes_refused(ports: Ports) -> None:
    assert found(ports, "chelsea.png") == {"chelsea.png", "coffee.png"}
    assert [one.name for one in ports.applications.applications()] == ["shop"]
    (library,) = ports.catalog.libraries("tenant")
    assert ports.index.count(library.uid) == len(ports.catalog.pictures(library.uid, None, 10)) == 2
    assert all(ports.originals.get(one.object_key) for one in ports.catalog.pictures(library.uid, None, 10))
    writes: list[Callable[[], object]] = [
        lambda: add(ports, Add(LIBRARY_REF, source("rocket.jpg"), metadata=Metadata(brief="rocket.jpg"))),
        lambda: add(ports, Add(LibraryRef("tenant", "product", Kind.PRODUCT), source("chelsea.png"))),
        lambda: update(ports, Update(LIBRARY_REF, source("coffee.png"), change={"brief": "x" * 200_000})),
        lambda: create_application(ports.applications, ports.clock, "another"),
    ]
    for write in writes:
        with pytest.raises(Unavailable):
            write()
    assert found(ports, "chelsea.png") == {"chelsea.png", "coffee.png"}


def assert_writes_work(ports: Ports) -> None:
    assert ports.problems() == []
    add(ports, Add(LIBRARY_REF, source("rocket.jpg"), metadata=Metadata(brief="rocket.jpg")))
    assert delete(ports, Delete(LIBRARY_REF, source("coffee.png"))) == 1
    assert found(ports, "chelsea.png") == {"chelsea.png", "rocket.jpg"}


@pytest.mark.parametrize("fills", ["before the start", "while it runs"])
def test_a_full_disk_is_served_from_and_written_to_again_when_it_has_room(disk: SmallDisk, fills: str) -> None:
    made(disk.path / "data")
    if fills == "before the start":
        disk.fill()
    with closing(service(disk.path / "data")) as ports:
        disk.fill()
        assert_reads_are_served_and_writes_refused(ports)
        assert any("catalog.db takes no writes" in line for line in ports.problems())
        disk.clear()
        assert_writes_work(ports)
    with closing(service(disk.path / "data")) as ports:
        assert found(ports, "chelsea.png") == {"chelsea.png", "rocket.jpg"}


def test_a_full_disk_does_not_keep_calls_with_limits_out(disk: SmallDisk) -> None:
    made(disk.path / "data")
    with closing(service(disk.path / "data")) as ports:
        assert ports.counters.take("day", 3, limit=10) == 3
    disk.fill()
    with closing(service(disk.path / "data")) as ports:
        assert [ports.counters.take("day", 3, limit=10) for _ in range(4)] == [3, 3, 1, 0]
        assert ports.counters.counted("day") == 10
        disk.clear()
        assert ports.counters.take("day", 1, limit=11) == 1
    with closing(service(disk.path / "data")) as ports:
        assert ports.counters.counted("day") == 11, "what was counted meanwhile is written when the disk has room"


def test_a_full_disk_of_which_keys_make_use_once_it_has_room_is_seen_by_the_server(disk: SmallDisk) -> None:
    made(disk.path / "data")
    disk.fill()
    with closing(service(disk.path / "data")) as ports:
        assert ports.applications.application("access") is None
        disk.clear()
        with bootstrap.applications(Settings(data=disk.path / "data")) as applications:
            key = create_application(applications, ports.clock, "late").access_key
        assert ports.applications.application(key) is not None


def copied_while_open(data: Path, to: Path) -> None:
    """As a kill leaves it: what was written last stands in the log alone."""
    with closing(service(data)) as ports:
        create_application(ports.applications, ports.clock, "shop")
        for name in ("chelsea.png", "coffee.png"):
            add(ports, Add(LIBRARY_REF, source(name), metadata=Metadata(brief=name)))
        shutil.copytree(data, to)


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "killed"])
def test_a_read_only_disk_is_served_from_and_not_written_to(tmp_path: Path, stopped: bool) -> None:
    data = tmp_path / "data"
    made(data) if stopped else copied_while_open(tmp_path / "running", data)
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    with mounted("--bind", data, data):
        mount("-o", "remount,bind,ro", data)
        with closing(service(data)) as ports:
            assert [line.count("Read-only") for line in ports.problems()] == [1, 1]
            assert_reads_are_served_and_writes_refused(ports)
            with pytest.raises(Unavailable):
                delete(ports, Delete(LIBRARY_REF, source("coffee.png")))
            purge(ports, lambda: False)
        assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before
        with closing(service(data)) as ports:
            mount("-o", "remount,bind,rw", data)
            ports.problems()  # the first write after that may find out that the files are open to be read only
            assert_writes_work(ports)


def test_a_read_only_disk_whose_log_cannot_be_read_is_refused_instead_of_showing_old_rows(tmp_path: Path) -> None:
    data = tmp_path / "data"
    copied_while_open(tmp_path / "running", data)
    (data / "catalog.db-shm").unlink()
    with mounted("--bind", data, data):
        mount("-o", "remount,bind,ro", data)
        with pytest.raises(SettingsError, match=r"catalog\.db: cannot be used"):
            service(data)


def test_a_catalog_that_a_full_disk_cannot_bring_up_to_date_is_left_as_it_is(
    disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(disk.path / "data")
    disk.fill()
    monkeypatch.setattr("lookalike.stores.local.sqlite_schema.MIGRATIONS", (*migrations(), ("CREATE TABLE more (x) ",)))
    with pytest.raises(SettingsError, match="has to be brought up to date, and the disk takes no writes"):
        service(disk.path / "data")
    monkeypatch.undo()
    with closing(service(disk.path / "data")) as ports:
        assert found(ports, "chelsea.png") == {"chelsea.png", "coffee.png"}


def migrations() -> tuple[tuple[str, ...], ...]:
    from lookalike.stores.local import sqlite_schema  # noqa: PLC0415

    return sqlite_schema.MIGRATIONS


def test_opening_what_is_up_to_date_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with closing(SqliteStores(path)) as stores:
        stores.catalog.put(row("library", "a"), None)
    before = path.stat().st_mtime_ns, path.read_bytes()
    with closing(SqliteStores(path)) as stores:
        assert stores.catalog.pictures("library", None, 10)
        log = tmp_path / "catalog.db-wal"
        assert not log.exists() or log.stat().st_size == 0
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_a_dead_letter_is_kept_whole_or_not_at_all(disk: SmallDisk) -> None:
    letters = FileDeadLetters(disk.path / "dead-letters.jsonl", lambda: 1)
    letters.send(DeadLetter("ingest", "reason", "first"))
    disk.fill()
    with pytest.raises(Unavailable):
        letters.send(DeadLetter("ingest", "reason", "x" * 10_000))
    disk.clear()
    letters.send(DeadLetter("ingest", "reason", "second"))
    lines = (disk.path / "dead-letters.jsonl").read_text().splitlines()
    assert [json.loads(line)["body"] for line in lines] == ["first", "second"]


def test_a_failing_disk_refuses_originals_until_it_works_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "data")
    with closing(service(tmp_path / "data")) as ports:
        with monkeypatch.context() as failing:
            failing.setattr(os, "fsync", refuse)
            with pytest.raises(Unavailable):
                add(ports, Add(LIBRARY_REF, source("rocket.jpg"), metadata=Metadata(brief="rocket.jpg")))
            assert ports.problems() == [f"originals take no writes ({os.strerror(errno.EIO)})"]
        assert_writes_work(ports)


def refuse(_file: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
