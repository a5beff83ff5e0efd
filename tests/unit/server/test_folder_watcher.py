"""The folder watcher sends each complete file once, and again after a failure."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.application import Application
from lookalike.domain.picture import Picture
from lookalike.errors import Unavailable
from lookalike.handlers.process_ports import serving
from lookalike.handlers.uploads import upload_handler
from lookalike.ports import Ports
from lookalike.server.folder_watcher import FolderWatcher, created_event
from lookalike.service.upload import ObjectCreated, ObjectRemoved
from lookalike.settings import Settings
from lookalike.stores.local.dead_letter_file import FileDeadLetters
from lookalike.stores.local.watched_folder import WatchedFolder
from lookalike.triggers.uploads import ObjectEvent, messages
from tests.support.fakes import MemoryCatalog, MemoryDeadLetters, memory_ports

ALICE = Application("access", "secret", "10000001", "tenant", "alice")
SOON = 20.0


def file(number: int) -> bytes:
    """Return a picture file, a different one for each number."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class World:
    """A watched folder, and in-memory stores that outlive the watcher."""

    def __init__(self, root: Path, **overrides: Any) -> None:
        self.root = root
        self.folder = WatchedFolder(root)
        self.catalog: MemoryCatalog = overrides.pop("catalog", None) or MemoryCatalog()
        self.letters = MemoryDeadLetters()
        chosen = {"objects": self.folder, "catalog": self.catalog, "dead_letters": self.letters, **overrides}
        self.ports: Ports = memory_ports(ALICE, **chosen)
        self.events: list[Any] = []

    def put(self, name: str, data: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    @contextmanager
    def watching(self) -> Iterator[None]:
        ingest = upload_handler()

        def handler(event: Any, context: Any) -> Any:
            self.events.append(event)
            return ingest(event, context)

        watcher = FolderWatcher(self.folder, handler, self.ports, pause=0.01)
        with serving(self.ports):
            watcher.start()
            try:
                yield
            finally:
                watcher.stop()

    def briefs(self) -> list[str]:
        with self.catalog.lock:
            return sorted(row.metadata.brief for row in self.catalog.rows.values() if row.live)

    def sent(self) -> list[str]:
        """Return the names of the files sent so far, in order."""
        items = [item for event in list(self.events) for message in messages(event) for item in message.items]
        return [
            item.command.key.rpartition("/")[2]
            for item in items
            if isinstance(item, ObjectEvent) and isinstance(item.command, ObjectCreated)
        ]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def wait_for(true: Callable[[], bool]) -> None:
    """Wait until the condition is true."""
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


def test_what_is_put_is_added_with_what_is_said_beside_it(world: World) -> None:
    world.put("10000001/similar/été red+.png", file(1))
    with world.watching():
        wait_for(lambda: world.briefs() == ["été red+.png"])
        world.put("10000001/similar/b.png.json", b'{"brief": "bee", "tags": [1]}')
        world.put("10000001/similar/b.png", file(2))
        wait_for(lambda: world.briefs() == ["bee", "été red+.png"])
        world.put("10000001/similar/b.png.json", b'{"brief": "buzz"}')
        wait_for(lambda: world.briefs() == ["buzz", "été red+.png"])
    assert world.letters.letters == []


def test_an_overwritten_file_replaces_its_picture_and_a_removed_one_does_nothing(world: World) -> None:
    path = world.put("10000001/similar/a.png", file(1))
    with world.watching():
        wait_for(lambda: world.briefs() == ["a.png"])
        (before,) = world.catalog.rows
        world.put("new", file(2)).rename(path)
        wait_for(lambda: [key for key, row in world.catalog.rows.items() if row.live] not in ([before], []))
        path.unlink()
        other = world.put("10000001/similar/c.png", file(3))
        wait_for(lambda: "c.png" in world.briefs())
    assert world.briefs() == ["a.png", "c.png"]
    assert other.exists()


def test_files_that_move_stay_with_their_present_names(world: World) -> None:
    for number, name in enumerate("abc"):
        world.put(f"10000001/similar/{name}.png", file(number))
    library = world.root / "10000001/similar"
    with world.watching():
        wait_for(lambda: world.briefs() == ["a.png", "b.png", "c.png"])
        (library / "old").mkdir()
        for name, to in (("a", "old/a"), ("b", "a"), ("c", "b")):
            (library / f"{name}.png").rename(library / f"{to}.png")
        wait_for(lambda: world.briefs() == ["a.png", "b.png", "old/a.png"])
    assert len(world.catalog.rows) == 3


def test_a_copy_speaks_for_the_picture_once_the_first_is_gone(world: World) -> None:
    first = world.put("10000001/similar/a.png", file(1))
    with world.watching():
        wait_for(lambda: world.briefs() == ["a.png"])
        world.put("10000001/similar/b.png", file(1))
        wait_for(lambda: "b.png" in world.sent())
        first.unlink()
        wait_for(lambda: world.briefs() == ["b.png"])


def test_a_copy_speaks_for_the_picture_though_the_first_went_while_nobody_watched(world: World) -> None:
    first = world.put("10000001/similar/a.png", file(1))
    with world.watching():
        wait_for(lambda: world.briefs() == ["a.png"])
        world.put("10000001/similar/b.png", file(1))
        wait_for(lambda: "b.png" in world.sent())
    first.unlink()
    with world.watching():
        wait_for(lambda: world.briefs() == ["b.png"])


def test_what_is_gone_is_sent_until_it_is_heard(tmp_path: Path) -> None:
    world = World(tmp_path)
    path = world.put("10000001/similar/a.png", file(1))
    answers: list[Any] = [RuntimeError("a fault of ours"), {"batchItemFailures": [{"itemIdentifier": "0"}]}, {}]
    sent = []

    def handler(event: Any, _context: Any) -> Any:
        (message,) = messages(event)
        (item,) = message.items
        if not isinstance(item, ObjectEvent) or not isinstance(item.command, ObjectRemoved):
            return {"batchItemFailures": []}
        sent.append(item.command.key)
        answer = answers.pop(0) or {"batchItemFailures": []}
        if isinstance(answer, Exception):
            raise answer
        return answer

    watcher = FolderWatcher(world.folder, handler, world.ports, pause=0.01)
    watcher.start()
    wait_for(lambda: bool(watcher._done))
    path.unlink()
    wait_for(lambda: not answers and not watcher._gone)
    watcher.stop()
    assert sent == ["uploads/10000001/similar/a.png"] * 3


def test_what_was_done_is_not_sent_again_after_a_restart(world: World) -> None:
    world.put("10000001/similar/a.png", file(1))
    world.put("10000001/similar/broken.png", b"no picture")
    with world.watching():
        wait_for(lambda: sorted(world.sent()) == ["a.png", "broken.png"])
        wait_for(lambda: len(world.letters.letters) == 1)
    world.events.clear()
    with world.watching():
        world.put("10000001/similar/b.png", file(2))
        wait_for(lambda: "b.png" in world.briefs())
    assert world.sent() == ["b.png"]
    assert len(world.letters.letters) == 1
    assert world.letters.letters[0].reason.startswith("NotAPicture: ")


def test_a_file_that_still_changes_is_not_sent(tmp_path: Path) -> None:
    world = World(tmp_path)
    path = world.put("10000001/similar/a.png", file(1)[:100])
    ports = world.ports
    watcher = FolderWatcher(world.folder, lambda *_: {"batchItemFailures": []}, ports)
    assert watcher._scan() == []  # seen for the first time
    path.write_bytes(file(1))
    os.utime(path)
    assert watcher._scan() == []  # another one since
    assert [key for key, _ in watcher._scan()] == ["uploads/10000001/similar/a.png"]


class Failing(MemoryCatalog):
    """A catalog whose writes fail for a while."""

    failures = 2

    def put(self, picture: Picture, previous: int | None) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("no answer")
        super().put(picture, previous)


def test_what_failed_is_tried_again_after_longer_and_longer_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.server.folder_watcher._FIRST_RETRY_SECONDS", 0.05)
    world = World(tmp_path, catalog=Failing())
    world.put("10000001/similar/a.png", file(1))
    began = time.monotonic()
    with world.watching():
        wait_for(lambda: world.briefs() == ["a.png"])
    assert world.sent() == ["a.png"] * 3
    assert time.monotonic() - began >= 0.05 + 0.1
    assert world.letters.letters == []


def test_a_handler_that_raises_is_tried_again(world: World) -> None:
    calls: list[Any] = []

    def handler(event: Any, _context: Any) -> Any:
        calls.append(event)
        raise RuntimeError("a fault of ours")

    world.put("10000001/similar/a.png", file(1))
    watcher = FolderWatcher(world.folder, handler, world.ports, pause=0.01)
    watcher.start()
    wait_for(lambda: bool(calls))
    watcher.stop()
    assert len(calls) == 1  # the next try comes a second later


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("readme.txt", "InvalidArgument: key"),
        ("10000001/a.png", "InvalidArgument: key"),
        ("20000001/similar/a.png", "ApplicationNotFound"),
        ("10000001/none/a.png", "LibraryNotFound"),
        (os.fsdecode(b"10000001/similar/\xff.png"), "InvalidArgument: name: is not UTF-8"),
    ],
)
def test_what_cannot_be_added_is_said_once(world: World, name: str, reason: str) -> None:
    world.put(name, file(1))
    with world.watching():
        wait_for(lambda: bool(world.letters.letters))
        world.put("10000001/similar/b.png", file(2))
        wait_for(lambda: world.briefs() == ["b.png"])
    (letter,) = world.letters.letters
    assert letter.reason.startswith(reason)
    assert letter.file == str(world.root / name)


@pytest.mark.parametrize("name", ["10000001/none/a.png", os.fsdecode(b"10000001/similar/\xff.png")])
def test_what_cannot_be_added_is_said_once_over_restarts(tmp_path: Path, name: str) -> None:
    """It is tried again, for its library may be there now; what comes of it is in the file already."""
    letters = tmp_path / "dead-letters.jsonl"
    (tmp_path / "watched").mkdir()
    catalog = MemoryCatalog()
    for number in range(3):
        world = World(tmp_path / "watched", catalog=catalog, dead_letters=FileDeadLetters(letters, lambda: 7))
        world.put(name, file(1)) if number == 0 else None
        with world.watching():
            wait_for(lambda: len(world.events) == 1)  # noqa: B023 - it is waited for here
    assert len(letters.read_text().splitlines()) == 1


def test_junk_over_a_file_leaves_its_picture(world: World) -> None:
    path = world.put("10000001/similar/a.png", file(1))
    with world.watching():
        wait_for(lambda: world.briefs() == ["a.png"])
        world.put("new", b"junk").rename(path)
        wait_for(lambda: bool(world.letters.letters))
    assert world.briefs() == ["a.png"]


def test_files_of_200_mb_are_not_read(world: World) -> None:
    path = world.put("10000001/similar/a.png", b"")
    os.truncate(path, 200 * 1024 * 1024)
    with world.watching():
        wait_for(lambda: bool(world.letters.letters))
    assert world.letters.letters[0].reason.startswith("PictureSizeError: picture: 209715200 bytes")


def test_files_go_once_they_are_added_if_the_settings_say_so(tmp_path: Path) -> None:
    world = World(tmp_path, settings=Settings(keep_uploads=False))
    path = world.put("10000001/similar/a.png", file(1))
    broken = world.put("10000001/similar/b.png", b"no picture")
    with world.watching():
        wait_for(lambda: not path.exists() and bool(world.letters.letters))
    assert world.briefs() == ["a.png"]
    assert broken.exists()


def test_many_files_go_in_batches(world: World) -> None:
    for number in range(25):
        world.put(f"10000001/similar/{number:02}.png", file(number))
    with world.watching():
        wait_for(lambda: len(world.briefs()) == 25)
    assert max(len(event["Records"]) for event in world.events) == 10


def test_the_event_is_that_of_s3() -> None:
    (message,) = messages(created_event([("uploads/1/l/a b+é%.png", "0000000000000001")]))
    (put,) = message.items
    assert isinstance(put, ObjectEvent)
    assert (message.id, put.command.bucket, put.command.key) == ("0", "watch", "uploads/1/l/a b+é%.png")
    assert isinstance(put.command, ObjectCreated)
    assert (put.command.sequencer, put.command.etag) == ("0000000000000001", None)
