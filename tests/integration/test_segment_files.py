"""The index's files: a start from them answers as a fill from nothing, whatever happened to them and to the process."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.domain.search import Query, TagFilter
from lookalike.stores.local import picture_row, snapshot
from lookalike.stores.local.catalog_changes import CatalogChanges
from lookalike.stores.local.picture_folder import PictureFolder
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.segments import segment_file
from lookalike.stores.segments.checked_blocks import BLOCK_BYTES, CheckedBlocks, DamagedSegmentError, block_sums
from lookalike.stores.vectors import file_keeper, library_index, segment_folder
from lookalike.stores.vectors import index as index_module
from lookalike.stores.vectors.file_keeper import FileKeeper
from lookalike.stores.vectors.index import FaissIndex
from lookalike.stores.vectors.scans import Codebook
from lookalike.stores.vectors.segment_folder import MANIFEST, SegmentFolder
from tests.contract.rows import MODEL, deleted, described, random_vectors, row
from tests.support.examples import examples
from tests.support.fakes import TinyEmbedder

LIBRARIES = ("one", "two")
VECTORS = random_vectors(3000, seed=21)
VIEWS = random_vectors(3, seed=22).astype(np.float32)

#: Rows of a mutable segment in these tests, so that a few writes seal and merge.
FEW = 8


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@dataclass
class Machine:
    """A catalog and its index, which can be left at any moment and opened again."""

    folder: Path
    codebook: Codebook | None = None

    def __post_init__(self) -> None:
        self.stores = SqliteStores(self.folder / "catalog.db")
        self.index = self.started()

    @property
    def files(self) -> Path:
        return self.folder / "segments"

    def started(self) -> FaissIndex:
        codebooks = {} if self.codebook is None else {Kind.SIMILAR: self.codebook}
        keeper = FileKeeper(SegmentFolder(self.files), self.stores.changes)
        index = FaissIndex(codebooks, MODEL, FEW, keeper)
        keeper.start(index)
        return index

    def put(self, picture: Picture) -> None:
        held = self.stores.catalog.picture(picture.key)
        self.stores.catalog.put(picture, None if held is None else held.revision)
        self.index.write([picture])

    def remove(self, picture: Picture) -> None:
        self.stores.catalog.remove(picture.key, picture.revision)
        self.index.remove([picture])

    def pictures(self) -> list[Picture]:
        return [one for batch in self.stores.catalog.every_row() for one in batch]

    def restart(self, *, close: bool = True) -> None:
        """Open the index anew, after closing it, or after leaving it as a kill would."""
        if close:
            self.index.close()
        self.index._keeper = None
        self.index.close()
        self.index = self.started()

    def close(self) -> None:
        self.index.close()
        self.stores.close()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr(file_keeper, "_MANY_CHANGES", FEW)
    monkeypatch.setattr(file_keeper, "_MANY_CHANGES_AT_CLOSE", 1)
    with closing(Machine(tmp_path)) as made:
        yield made


def told(index: FaissIndex) -> dict[str, Any]:
    """Everything that an index can be asked for."""
    entries = sorted(((one.key.library, one.key.id), one) for batch in index.entries() for one in batch)
    answers = {
        (libraries, tag, views): index.search(
            Query(
                Kind.SIMILAR, libraries, MODEL, VIEWS[:views], 20, None if tag is None else TagFilter(frozenset([tag]))
            )
        )
        for libraries in (*((one,) for one in LIBRARIES), LIBRARIES)
        for tag in (None, "2", "3")
        for views in (1, 3)
    }
    counts = {library: index.count(library) for library in LIBRARIES}
    return {"entries": [one for _, one in entries], "answers": answers, "counts": counts}


def filled_from_nothing(machine: Machine) -> dict[str, Any]:
    with closing(FaissIndex({}, MODEL)) as index:
        for kind in Kind:
            index.fill(machine.stores.catalog.scan(kind))
        return told(index)


def assert_same(machine: Machine) -> None:
    assert told(machine.index) == filled_from_nothing(machine)


def picture(number: int, revision: int = 1, library: str = "one") -> Picture:
    tags = tuple(str(every) for every in (2, 3) if number % every == 0)
    return row(library, f"p{number:04}", revision, vector=VECTORS[number % len(VECTORS)], tags=tags)


def lived_in(machine: Machine, count: int = 120) -> None:
    """Pictures in both libraries, some of them changed, hidden and removed."""
    for number in range(count):
        machine.put(picture(number, library=LIBRARIES[number % 3 == 0]))
    for number in range(0, count, 7):
        machine.put(described(picture(number, 2, LIBRARIES[number % 3 == 0]), brief="new"))
    for number in range(1, count, 7):
        machine.put(deleted(picture(number, 1, LIBRARIES[number % 3 == 0]), 3))
    for number in range(2, count, 7):
        machine.remove(picture(number, library=LIBRARIES[number % 3 == 0]))
    machine.index.wait_for_compactions()


def segment_paths(machine: Machine) -> list[Path]:
    return sorted(machine.files.glob("*.segment"), key=lambda path: path.stat().st_size)


class TestStart:
    @pytest.mark.parametrize("close", [True, False], ids=["closed", "killed"])
    def test_it_is_what_a_fill_from_nothing_is(self, machine: Machine, close: bool) -> None:
        lived_in(machine)
        assert_same(machine)
        machine.restart(close=close)
        assert_same(machine)
        assert any(segments for segments, _ in machine.index.captured().values())
        machine.put(picture(500))
        machine.restart(close=close)
        assert_same(machine)

    def test_files_are_read_instead_of_rows(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        lived_in(machine)
        machine.index.close()
        read: list[int] = []
        everything = machine.stores.changes.everything

        def noted() -> Iterator[Sequence[Picture]]:
            read.append(1)
            return everything()

        monkeypatch.setattr(machine.stores.changes, "everything", noted)
        machine.restart(close=False)
        assert not read
        assert_same(machine)

    def test_a_snapshot_has_the_files_and_starts_from_them(
        self,
        machine: Machine,
        tmp_path: Path,
        tmp_path_factory: pytest.TempPathFactory,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        lived_in(machine)
        machine.put(picture(500))
        place = tmp_path_factory.mktemp("snapshots")
        snapshot.take_snapshot(tmp_path, place / "kept", "now")
        machine.put(picture(501))  # not in the snapshot
        snapshot.take_snapshot(place / "kept", place / "back", "now")  # as a restore does
        (inode,) = {path.stat().st_ino for path in segment_paths(machine)[:1]}
        assert inode in {path.stat().st_ino for path in (place / "back/segments").iterdir()}

        def unread(_: CatalogChanges) -> Iterator[Sequence[Picture]]:
            raise AssertionError("all rows are read")

        monkeypatch.setattr(CatalogChanges, "everything", unread)
        with closing(Machine(place / "back")) as back:
            assert_same(back)
            assert picture(500).key in {one.key for one in back.pictures()}
            assert picture(501).key not in {one.key for one in back.pictures()}
            back.put(picture(502))
            back.restart()
            assert_same(back)
        machine.restart()
        assert_same(machine)

    def test_rows_that_are_in_no_file_are_found_however_few(self, machine: Machine) -> None:
        """A folder of the version before: no log has its rows."""
        for number in range(40):
            machine.put(picture(number))
        machine.put(picture(41, library="two"))
        machine.index.close()
        machine.stores.database.write(lambda connection: connection.execute("DELETE FROM changes"))
        shutil.rmtree(machine.files)
        for turn in range(4):
            machine.restart(close=turn > 1)
            assert_same(machine)
            assert machine.index.count("two") == 1

    def test_changes_by_others_while_no_server_runs(self, machine: Machine) -> None:
        lived_in(machine)
        machine.index.close()
        catalog = machine.stores.catalog
        catalog.put(described(picture(7, 9, "one"), brief="theirs"), 2)
        catalog.remove(Key("two", "p0003"), 1)
        catalog.put(picture(900), None)
        machine.restart(close=False)
        assert_same(machine)
        assert machine.index.count("one") == machine.index.live_by_model()[MODEL] - machine.index.count("two")

    def test_the_log_is_short_where_files_hold_what_it_says(self, machine: Machine) -> None:
        lived_in(machine)
        machine.restart()
        with machine.stores.database.reading() as connection:
            (left,) = connection.execute("SELECT count(*) FROM changes").fetchone()
        assert left < 3 * FEW

    def test_large_segments_are_searched_by_codes_from_the_file(
        self, tmp_path: Path, codebook: Codebook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with closing(Machine(tmp_path, codebook)) as machine:
            many = [picture_row.row_of(picture(number)) for number in range(2500)]
            machine.stores.database.write(lambda connection: connection.executemany(picture_row.INSERT, many))
            machine.restart()
            machine.restart()
            (segments, is_logged) = machine.index.captured()["one"]
            assert is_logged
            assert sum(one.segment.count for one in segments) == 2500
            assert segments[0].segment.pq_index is not None
            assert not segments[0].segment.vectors.flags.owndata
            assert_same(machine)


@pytest.fixture(scope="module")
def codebook() -> Codebook:
    """Any codebook serves: what estimates miss is looked for more deeply."""
    chance = np.random.default_rng(4)
    return chance.normal(scale=1 / 16, size=(128, 16, 2)).astype(np.float32)


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def cut(path: Path, by: int) -> None:
    os.truncate(path, path.stat().st_size - by)


def swap(one: Path, other: Path) -> None:
    between = one.with_suffix(".between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def states(machine: Machine) -> Path:
    return next(machine.files.glob("*.states"))


def put_other_states(path: Path) -> None:
    """A file of states that is whole, but another segment's, or of another moment."""
    _, _, data = path.read_bytes().partition(b"\n")
    other = data[:-1] + bytes([1 - data[-1]])
    path.write_bytes(b"%08x\n%b" % (zlib.crc32(other), other))


DAMAGES: dict[str, Callable[[Machine], object]] = {
    "missing": lambda machine: segment_paths(machine)[-1].unlink(),
    "empty": lambda machine: os.truncate(segment_paths(machine)[-1], 0),
    "short by a byte": lambda machine: cut(segment_paths(machine)[-1], 1),
    "short by half": lambda machine: cut(segment_paths(machine)[-1], segment_paths(machine)[-1].stat().st_size // 2),
    "longer": lambda machine: os.truncate(segment_paths(machine)[-1], segment_paths(machine)[-1].stat().st_size + 1),
    "header flipped": lambda machine: flip(segment_paths(machine)[-1], 40),
    "newer version": lambda machine: flip(segment_paths(machine)[-1], 8),
    "other beginning": lambda machine: flip(segment_paths(machine)[-1], 0),
    "swapped": lambda machine: swap(*segment_paths(machine)[-2:]),
    "list missing": lambda machine: (machine.files / MANIFEST).unlink(),
    "list flipped": lambda machine: flip(machine.files / MANIFEST, 60),
    "list short": lambda machine: cut(machine.files / MANIFEST, 5),
    "states missing": lambda machine: states(machine).unlink(),
    "states flipped": lambda machine: flip(states(machine), 12),
    "states swapped": lambda machine: put_other_states(states(machine)),
    "states short": lambda machine: cut(states(machine), 1),
    "all gone": lambda machine: shutil.rmtree(machine.files),
}


class TestDamagedFiles:
    @pytest.fixture
    def stopped(self, machine: Machine) -> Machine:
        lived_in(machine)
        for number in range(200, 280):
            machine.put(picture(number))
        machine.index.wait_for_compactions()
        machine.put(deleted(picture(210, 1), 5))
        machine.index.close()
        assert len(segment_paths(machine)) >= 2
        return machine

    @pytest.mark.parametrize("name", DAMAGES)
    def test_it_is_made_again(self, stopped: Machine, name: str, log_lines: Callable[[], list[dict[str, Any]]]) -> None:
        DAMAGES[name](stopped)
        stopped.restart(close=False)
        assert_same(stopped)
        said = [line["message"] for line in log_lines() if "made again from the catalog" in line["message"]]
        assert said
        stopped.restart()
        assert_same(stopped)

    def test_every_byte_that_is_flipped(self, stopped: Machine, tmp_path: Path) -> None:
        """A flip anywhere in the sections is found, at the start or by the search that reads it, and answers stay right."""
        kept = tmp_path / "kept"
        shutil.copytree(stopped.files, kept)
        path = segment_paths(stopped)[-1]
        chance = random.Random(6)
        places = [chance.randrange(segment_file.HEADER_BYTES, path.stat().st_size) for _ in range(40)]
        places += range(segment_file.HEADER_BYTES, path.stat().st_size, path.stat().st_size // 25)
        expected = filled_from_nothing(stopped)
        database = stopped.folder / "catalog.db"
        stopped.stores.close()
        shutil.copy(database, tmp_path / "copy.db")
        for place in places:
            shutil.rmtree(stopped.files)
            shutil.copytree(kept, stopped.files)
            shutil.copy(tmp_path / "copy.db", database)
            flip(path, place)
            with closing(SqliteStores(database)) as stopped.stores:
                stopped.index = stopped.started()
                assert told(stopped.index) == expected, place
                stopped.index._keeper = None
                stopped.index.close()
        stopped.stores = SqliteStores(database)

    def test_an_older_list_is_not_believed(self, stopped: Machine, tmp_path: Path) -> None:
        shutil.copytree(stopped.files, tmp_path / "old")
        stopped.restart(close=False)
        for number in range(300, 340):
            stopped.put(picture(number))
        stopped.put(deleted(picture(220, 1), 5))
        stopped.index.close()
        shutil.copytree(tmp_path / "old", stopped.files, dirs_exist_ok=True)
        stopped.restart(close=False)
        assert_same(stopped)

    def test_an_older_catalog_is_not_answered_for_by_newer_files(self, stopped: Machine, tmp_path: Path) -> None:
        """Restored from a backup, and written to before the next start."""
        backup = tmp_path / "backup.db"
        with stopped.stores.database.reading() as connection:
            connection.execute("VACUUM INTO ?", (str(backup),))
        stopped.restart(close=False)
        for number in range(300, 340):
            stopped.put(picture(number))
        stopped.index.close()
        stopped.stores.close()
        for left in ("-wal", "-shm"):
            (stopped.folder / f"catalog.db{left}").unlink(missing_ok=True)
        shutil.copy(backup, stopped.folder / "catalog.db")
        stopped.stores = SqliteStores(stopped.folder / "catalog.db")
        for number in range(400, 460):
            stopped.stores.catalog.put(picture(number), None)
        stopped.restart(close=False)
        assert_same(stopped)

    def test_files_of_another_folder_are_not_believed(self, stopped: Machine, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        with closing(Machine(tmp_path / "other")) as other:
            for number in range(600, 660):
                other.put(picture(number))
            other.index.close()
            shutil.rmtree(stopped.files)
            shutil.copytree(other.files, stopped.files)
        stopped.restart(close=False)
        assert_same(stopped)

    def test_files_made_for_another_model_are_not_used(
        self, stopped: Machine, codebook: Codebook, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        stopped.codebook = codebook
        stopped.restart(close=False)
        assert_same(stopped)
        assert any("made for another model" in line["message"] for line in log_lines())

    def test_a_damage_found_by_a_search_is_mended_while_others_search_and_write(self, stopped: Machine) -> None:
        path = segment_paths(stopped)[-1]
        stopped.index = stopped.started()
        flip(path, segment_file.HEADER_BYTES + 100)
        done = threading.Event()
        wrong: list[object] = []

        def ask() -> None:
            while not done.is_set():
                found = stopped.index.search(Query(Kind.SIMILAR, ("one",), MODEL, VIEWS, 1000))
                if len({one.key for one in found}) != len(found):
                    wrong.append(found)

        searchers = [threading.Thread(target=ask) for _ in range(3)]
        for thread in searchers:
            thread.start()
        for number in range(700, 760):
            stopped.put(picture(number))
        done.set()
        for thread in searchers:
            thread.join()
        stopped.index.wait_for_compactions()
        assert not wrong
        assert_same(stopped)
        stopped.restart()
        assert_same(stopped)


STEPS = {
    "a segment is written": (segment_folder.SegmentFolder, "keep"),
    "states are written": (segment_folder.SegmentFolder, "keep_states"),
    "the list is written": (segment_folder.SegmentFolder, "publish"),
    "other files are removed": (segment_folder.SegmentFolder, "_remove_all_but"),
}


class TestKilled:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("step", [*STEPS, "a mark", "marks are removed", "changes are removed"])
    @pytest.mark.parametrize("turn", [1, 2, 5])
    def test_at_each_step(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, step: str, *, after: bool, turn: int
    ) -> None:
        where = {
            "a mark": (machine.stores.changes, "new_mark"),
            "marks are removed": (machine.stores.changes, "drop_marks"),
            "changes are removed": (machine.stores.changes, "drop"),
        }
        owner, name = where.get(step) or STEPS[step]
        real, calls = getattr(owner, name), [0]

        def killed(*given: Any, **named: Any) -> Any:
            calls[0] += 1
            if calls[0] == turn and not after:
                raise Killed
            result = real(*given, **named)
            if calls[0] == turn:
                raise Killed
            return result

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, killed)
            try:
                lived_in(machine, 100)
                machine.index.close()
            except Killed:
                pass
        machine.restart(close=False)
        assert_same(machine)
        machine.restart()
        assert_same(machine)

    @settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_any_life_with_any_restarts(
        self, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(file_keeper, "_MANY_CHANGES", FEW)
        monkeypatch.setattr(library_index, "MAX_SEGMENT_ROWS", 40)
        with closing(Machine(tmp_path_factory.mktemp("life"))) as machine:
            for revision in range(2, 8):
                numbers = data.draw(st.lists(st.integers(0, 80), max_size=40, unique=True))
                for number in numbers:
                    held = machine.stores.catalog.picture(Key("one", f"p{number:04}"))
                    what = data.draw(st.sampled_from(["put", "put", "put", "hide", "remove"]))
                    if what == "remove" and held is not None:
                        machine.remove(held)
                    elif what == "hide" and held is not None:
                        machine.put(deleted(held, revision))
                    else:
                        machine.put(picture(number, revision))
                machine.restart(close=data.draw(st.booleans()))
                assert_same(machine)


WRITER = """
import sys
from pathlib import Path
from lookalike.stores.vectors import file_keeper
from tests.integration.test_segment_files import *
file_keeper._MANY_CHANGES = FEW
machine = Machine(Path(sys.argv[1]))
print("ready", flush=True)
first = int(sys.argv[2]) * 10_000
for number in range(first, first + 10_000):
    machine.put(picture(number))
    if number % 3 == 0:
        machine.put(described(picture(number, 2), brief="new"))
    if number % 5 == 0:
        machine.put(deleted(picture(number, 2), 3))
    if number % 7 == 0:
        machine.remove(machine.stores.catalog.picture(picture(number).key))
"""


@pytest.mark.slow
def test_sigkill_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(8)
    for turn in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(turn)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            killer = threading.Timer(chance.uniform(0.05, 1.2), writer.kill)
            killer.start()
            writer.wait()
            killer.join()
        assert writer.returncode == -9
        with closing(Machine(tmp_path)) as machine:
            assert_same(machine)
            machine.index._keeper = None  # the next writer finds what the killed one left


class TestFullDisk:
    def test_it_works_on_and_keeps_files_again_when_there_is_room(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        with monkeypatch.context() as patch:

            def full(_: int) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{os.urandom(4).hex()}.part")

            patch.setattr(os, "fsync", full)
            lived_in(machine)
            assert_same(machine)
            assert not list(machine.files.iterdir())
        assert len([line for line in log_lines() if "keeps no files at present" in line["message"]]) == 1
        for number in range(800, 820):
            machine.put(picture(number))
        machine.index.wait_for_compactions()
        assert segment_paths(machine)
        assert_same(machine)
        machine.restart()
        assert_same(machine)

    def test_it_keeps_files_when_it_ends_if_there_is_room_by_then(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            lived_in(machine)
            machine.index.wait_for_compactions()
        machine.index.close()
        assert segment_paths(machine)
        machine.restart(close=False)
        assert_same(machine)

    def test_start_on_a_full_disk(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        lived_in(machine)
        machine.index.close()
        segment_paths(machine)[-1].unlink()

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            machine.restart(close=False)
            assert_same(machine)
        machine.restart()
        assert_same(machine)


class TestBlocks:
    @given(
        data=st.binary(max_size=5 * BLOCK_BYTES),
        place=st.integers(0, 5 * BLOCK_BYTES),
        reads=st.lists(st.integers(0, 5 * BLOCK_BYTES), max_size=9),
    )
    @settings(max_examples=examples(50), deadline=None)
    def test_what_is_read_is_compared(self, data: bytes, place: int, reads: list[int]) -> None:
        written = np.frombuffer(data, np.uint8).copy()
        sums = block_sums(memoryview(data))
        flipped = place < len(data)
        if flipped:
            written[place] ^= 1
        checked = CheckedBlocks(memoryview(written), sums, "library", "file")
        for start in reads:
            if start + 16 > len(data):
                continue
            touched = flipped and start // BLOCK_BYTES <= place // BLOCK_BYTES <= (start + 15) // BLOCK_BYTES
            with pytest.raises(DamagedSegmentError) if touched else nullcontext():
                checked.require(np.array([start]), 16)
            with pytest.raises(DamagedSegmentError) if touched else nullcontext():
                checked.require_range(start, start + 16)


def test_a_bare_folders_index_starts_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_MIN_SEALED_ROWS", 1)
    with closing(PictureFolder(tmp_path / "kept", TinyEmbedder())) as stores:
        for number in range(30):
            stores.catalog.put(picture(number), None)
            stores.index.write([picture(number)])
        there = sorted(one.key.id for batch in stores.index.entries() for one in batch)
    assert len(there) == 30
    PictureFolder(tmp_path / "kept", TinyEmbedder()).close()  # fills, and seals what it has filled

    def unread(_: CatalogChanges) -> Iterator[Sequence[Picture]]:
        raise AssertionError("all rows are read")

    monkeypatch.setattr(CatalogChanges, "everything", unread)
    with closing(PictureFolder(tmp_path / "kept", TinyEmbedder())) as stores:
        assert sorted(one.key.id for batch in stores.index.entries() for one in batch) == there
