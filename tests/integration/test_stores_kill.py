"""SIGKILL at a random moment: every write a store has acknowledged is there when it is opened again."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lookalike.domain.picture import Key
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.contract.rows import row

ROUNDS = 6

WRITER = """
import sys, threading
from pathlib import Path
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.contract.rows import deleted, row

folder = DataFolder(Path(sys.argv[1]))
folder.lock()
stores, originals = SqliteStores(folder.catalog), FolderStore(folder.originals)

def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()

def write(thread):
    for number in range(100_000):
        picture = row("library", f"{sys.argv[2]}-{thread}-{number}")
        originals.put(picture.object_key, picture.object_key.encode() * 50)
        say("original", picture.key.id)
        stores.maps.put_map(picture.object_key, picture.object_key.encode())
        say("map", picture.key.id)
        stores.catalog.put(picture, None)
        say("row", picture.key.id)
        if number % 3 == 0:
            stores.catalog.put(deleted(picture, 2), 1)
            say("deleted", picture.key.id)
        if number % 6 == 0:
            originals.remove([picture.object_key])
            say("removed", picture.key.id)

for thread in range(4):
    threading.Thread(target=write, args=(thread,)).start()
"""


def written_until_killed(data: Path, seed: int) -> list[tuple[str, str]]:
    """What a writing process acknowledged before it was killed: (what, picture id)."""
    chance = random.Random(seed)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(data), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline()]
        killer = threading.Timer(chance.uniform(0.05, 0.5), writer.kill)
        killer.start()
        lines += writer.stdout.readlines()
        killer.join()
    assert writer.returncode == -9
    return [(what, name) for what, name in (line.split() for line in lines if line.endswith("\n"))]


@pytest.mark.slow
def test_whatever_was_acknowledged_is_there(tmp_path: Path) -> None:
    acknowledged: list[tuple[str, str]] = []
    for seed in range(ROUNDS):
        acknowledged += written_until_killed(tmp_path, seed)
        folder = DataFolder(tmp_path)
        folder.lock()
        stores, originals = SqliteStores(folder.catalog), FolderStore(folder.originals)
        with stores.database.reading() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        removed = {name for what, name in acknowledged if what == "removed"}
        for what, name in acknowledged:
            picture, key = stores.catalog.picture(Key("library", name)), row("library", name).object_key
            if what == "original" and int(name.split("-")[2]) % 6:
                assert originals.get(key) == key.encode() * 50
            elif what == "map":
                assert stores.maps.maps([key]) == {key: key.encode()}
            elif what == "row":
                assert picture is not None
            elif what == "deleted":
                assert picture is not None
                assert picture.revision == 2
        assert not any(originals.get(row("library", name).object_key) for name in removed)
        stores.close()
        folder.unlock()
    assert {what for what, _ in acknowledged} == {"original", "map", "row", "deleted", "removed"}
    assert len(acknowledged) > 100
