"""A snapshot is whole whenever it is taken, and is restored without touching what is there."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lookalike.cli.main import app
from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Metadata
from lookalike.errors import SettingsError
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.stores.local import snapshot
from lookalike.stores.local.local_stores import LocalStores
from tests.support.archives import contents
from tests.support.baidu import picture
from tests.support.fakes import TinyEmbedder, memory_ports

SHOP = Application("access", "secret", "10000001", "tenant", "shop")
REF = LibraryRef(SHOP.tenant, "shop", Kind.SAME, Identity.OWN)
BOUNDS = Bounds(1 << 24, 1, 4096, 1 << 24, FORMATS)


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Ports]:
    """The stores of ``data``, in use."""
    with closing(LocalStores(tmp_path / "data", TinyEmbedder())) as stores:
        given = {name: getattr(stores, name) for name in ("catalog", "index", "originals", "maps")}
        yield memory_ports(SHOP, **given)


def put(ports: Ports, number: int, *, seed: int | None = None) -> None:
    data = picture(number if seed is None else seed)
    add(ports, Add(REF, Source(BOUNDS, data=data), Metadata(brief=str(number)), f"id {number}", replace=True))


def checked(folder: Path) -> dict[str, tuple[object, ...]]:
    """What a data folder holds; every original is the file that its row says."""
    stores = LocalStores(folder, TinyEmbedder())
    with closing(stores):
        given = {name: getattr(stores, name) for name in ("catalog", "index", "originals", "maps")}
        found = contents(memory_ports(SHOP, **given), SHOP, "shop")
    assert all(row[-2] is not None for row in found.values()), "an original is missing"
    return found


def test_it_is_what_was_there_and_comes_back(ports: Ports, tmp_path: Path) -> None:
    for number in range(5):
        put(ports, number)
    was = contents(ports, SHOP, "shop")
    done = snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now")
    assert (done.pictures, done.linked, done.copied) == (5, 5, 0)
    put(ports, 9)
    delete(ports, Delete(REF, ("id 1",)))
    with pytest.raises(SettingsError, match="kept: is there already"):
        snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now")
    with pytest.raises(SettingsError, match="no snapshot, or one that was not finished"):
        snapshot.restore_snapshot(tmp_path / "data", tmp_path / "other", "now")
    with pytest.raises(SettingsError, match="in use by another server"):
        snapshot.set_aside(tmp_path / "data", "aside")
    snapshot.restore_snapshot(tmp_path / "kept", tmp_path / "back", "now")
    assert checked(tmp_path / "back") == was
    assert checked(tmp_path / "kept") == was


def test_under_load_each_row_has_its_original(ports: Ports, tmp_path: Path) -> None:
    """Writers add, replace and delete all the while; replaced originals are removed at once."""
    put(ports, 0)
    stopping = threading.Event()
    acknowledged: set[int] = set()

    def write(thread: int) -> None:
        number = thread
        while not stopping.is_set():
            number += 4
            put(ports, number)
            acknowledged.add(number)
            put(ports, thread, seed=number)  # replaces
            if number % 3 == 0:
                put(ports, -number, seed=number + 1_000_000)
                delete(ports, Delete(REF, (f"id {-number}",)))

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    before: list[set[int]] = []
    try:
        for number in range(6):
            before.append(set(acknowledged))
            snapshot.take_snapshot(tmp_path / "data", tmp_path / f"kept{number}", "now")
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    for number, there in enumerate(before):
        found = checked(tmp_path / f"kept{number}")
        assert {f"id {one}" for one in there} <= found.keys(), "what was acknowledged before it began is in it"


def test_a_snapshot_that_was_killed_is_begun_anew(
    ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ports, 1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "_flush_all", killed)
        with pytest.raises(KeyboardInterrupt):
            snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now")
    assert not (tmp_path / "kept").exists()
    assert (tmp_path / "kept.part").exists()
    snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now")
    assert checked(tmp_path / "kept") == contents(ports, SHOP, "shop")
    assert not (tmp_path / "kept.part").exists()


def test_a_disk_without_hard_links(ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(ports, 1)

    def refused(*_: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "link", refused)
    done = snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now")
    assert done.linked == 0
    assert done.copied >= 1
    assert checked(tmp_path / "kept") == contents(ports, SHOP, "shop")


def test_a_full_disk_leaves_nothing_half_done(ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(ports, 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(SettingsError, match="No space left on device; nothing was made"):
        snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now")
    assert not (tmp_path / "kept").exists()


def test_a_damaged_snapshot_is_refused(ports: Ports, tmp_path: Path) -> None:
    put(ports, 1)
    snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now")
    shutil.copytree(tmp_path / "kept", tmp_path / "broken")
    for file in (tmp_path / "kept/originals").rglob("*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(SettingsError, match=r"the original of .* is missing; nothing was restored"):
        snapshot.restore_snapshot(tmp_path / "kept", tmp_path / "back", "now")
    with closing(sqlite3.connect(tmp_path / "broken/catalog.db")) as database:
        size = database.execute("PRAGMA page_size").fetchone()[0]
    with (tmp_path / "broken/catalog.db").open("r+b") as catalog:
        catalog.seek(3 * size)
        catalog.write(b"x" * size)
    with pytest.raises(SettingsError, match=r"catalog.db: (damaged|cannot be copied)"):
        snapshot.restore_snapshot(tmp_path / "broken", tmp_path / "back", "now")
    assert not (tmp_path / "back").exists()


def test_the_commands(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    data = tmp_path / "data"
    run("keys", "create", "--name", "shop", "--data", str(data))
    assert "0 pictures are in" in run("snapshot", str(tmp_path / "kept"), "--data", str(data))
    run("keys", "create", "--name", "later", "--data", str(data))
    with pytest.raises(SettingsError, match="--replace renames it"):
        run("restore", str(tmp_path / "kept"), "--data", str(data))
    run("restore", str(tmp_path / "kept"), "--data", str(data), "--replace")
    assert "later" not in run("keys", "list", "--data", str(data))
    (aside,) = tmp_path.glob("data.before-*")
    assert "later" in run("keys", "list", "--data", str(aside))
