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
from lookalike.domain.picture import Key, Metadata
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
        snapshot.restore_snapshot(tmp_path / "data", tmp_path / "other")
    snapshot.restore_snapshot(tmp_path / "kept", tmp_path / "back")
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
        snapshot.restore_snapshot(tmp_path / "kept", tmp_path / "back")
    with closing(sqlite3.connect(tmp_path / "broken/catalog.db")) as database:
        size = database.execute("PRAGMA page_size").fetchone()[0]
    with (tmp_path / "broken/catalog.db").open("r+b") as catalog:
        catalog.seek(3 * size)
        catalog.write(b"x" * size)
    with pytest.raises(SettingsError, match=r"catalog.db: (damaged|cannot be copied)"):
        snapshot.restore_snapshot(tmp_path / "broken", tmp_path / "back")
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


def replace(folder: Path) -> None:
    snapshot.restore_snapshot(folder / "kept", folder / "data", aside=folder / "data.before")


def test_a_folder_in_use_is_not_replaced_and_nothing_is_left_of_the_try(ports: Ports, tmp_path: Path) -> None:
    put(ports, 1)
    snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now")
    for _ in range(2):
        with pytest.raises(SettingsError, match="in use by another server"):
            replace(tmp_path)
        assert {one.name for one in tmp_path.iterdir()} == {"data", "kept"}


@pytest.mark.parametrize("before", ["the copy", "the copy is whole", "the first renaming", "the second renaming"])
def test_a_restore_that_was_killed_is_done_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with closing(LocalStores(tmp_path / "data", TinyEmbedder())) as stores:
        given = {name: getattr(stores, name) for name in ("catalog", "index", "originals", "maps")}
        ports = memory_ports(SHOP, **given)
        put(ports, 1)
        was = contents(ports, SHOP, "shop")
        snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now")
        put(ports, 2)
    renamed = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if (path.name == "data.part") == (before == "the second renaming"):
            raise KeyboardInterrupt
        return renamed(path, target)

    with monkeypatch.context() as patch:
        if before == "the copy":
            patch.setattr(snapshot, "_copy_catalog", killed)
        elif before == "the copy is whole":
            patch.setattr(snapshot, "_flush_all", killed)
        else:
            patch.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            replace(tmp_path)
    assert (tmp_path / "data.part").exists()
    assert (tmp_path / "data").exists() == (before != "the second renaming")
    aside = tmp_path / "data.before"
    if aside.exists():
        snapshot.restore_snapshot(tmp_path / "kept", tmp_path / "data", aside=tmp_path / "data.later")
    else:
        replace(tmp_path)
    assert checked(tmp_path / "data") == was
    assert len(checked(aside)) == 2
    assert {one.name for one in tmp_path.iterdir()} == {"data", "kept", "data.before"}


def test_a_folder_that_cannot_be_put_in_place_leaves_the_one_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(LocalStores(tmp_path / "data", TinyEmbedder())) as stores:
        given = {name: getattr(stores, name) for name in ("catalog", "index", "originals", "maps")}
        put(memory_ports(SHOP, **given), 1)
        snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now")
    renamed = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name == "data.part":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return renamed(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(SettingsError, match="nothing was made"):
            replace(tmp_path)
    assert len(checked(tmp_path / "data")) == 1
    assert {one.name for one in tmp_path.iterdir()} == {"data", "kept"}


def test_what_lies_of_a_removed_library_is_not_counted_nor_asked_for(ports: Ports, tmp_path: Path) -> None:
    put(ports, 1)
    put(ports, 2)
    other = LibraryRef(SHOP.tenant, "other", Kind.SAME, Identity.OWN)
    add(ports, Add(other, Source(BOUNDS, data=picture(3)), Metadata(), "kept"))
    library = ports.catalog.library(SHOP.tenant, "shop")
    assert library is not None
    ports.catalog.remove_library(library, 1)
    row = ports.catalog.picture(Key(library.uid, "id 1"))
    assert row is not None
    ports.originals.remove([row.object_key])
    assert snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now").pictures == 1
    assert snapshot.restore_snapshot(tmp_path / "kept", tmp_path / "back").pictures == 1


def test_a_picture_without_its_original_is_named_as_its_owner_knows_it(ports: Ports, tmp_path: Path) -> None:
    put(ports, 1)
    snapshot.take_snapshot(tmp_path / "data", tmp_path / "kept", "now")
    for file in [one for one in (tmp_path / "kept/originals").rglob("*") if one.is_file()]:
        file.unlink()
    with pytest.raises(SettingsError, match="the original of shop/id 1 is missing"):
        snapshot.restore_snapshot(tmp_path / "kept", tmp_path / "back")
