"""Segments in S3 beside a log in the table: answers stay right whatever happens to either, and the log says what was mended."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.domain.search import Query, TagFilter
from lookalike.errors import Unavailable
from lookalike.ports import VectorIndex
from lookalike.ports.clock import unix_milliseconds
from lookalike.stores.aws import segment_compaction, segment_objects
from lookalike.stores.aws.dynamodb_keys import ItemKey, log_partition
from lookalike.stores.aws.dynamodb_table import Table
from lookalike.stores.aws.s3_objects import CONFIG
from lookalike.stores.aws.segment_compaction import Limits, NewSegments
from lookalike.stores.aws.segment_index import MAX_RESIDENT, SegmentIndex
from lookalike.stores.aws.segment_log import SegmentLog
from lookalike.stores.aws.segment_manifest import Manifest, manifest_of
from lookalike.stores.aws.segment_models import SegmentModels
from lookalike.stores.aws.segment_objects import PREFIX, SegmentObjects
from lookalike.stores.segments.index_row import IndexRow
from tests.contract.rows import MODEL, deleted, random_vectors, row
from tests.servers.dynamodb import server
from tests.support.emulated import aws
from tests.support.examples import examples
from tests.support.fakes import MemoryCatalog, MemoryEmbeddings, MemoryIndex, SetClock

LIBRARY = "shop"
VECTORS = random_vectors(3000, seed=31)
VIEWS = random_vectors(3, seed=32).astype(np.float32)
AGAIN = "is made again from the catalog"
BUCKET = "originals"


@dataclass
class Account:
    """A table and a bucket, whose index several processes have open. ``expected`` is what all of them have to answer.

    The clock begins with the bucket's, by which objects have their age.
    """

    table: Table
    s3: Any
    clock: SetClock = field(default_factory=lambda: SetClock(unix_milliseconds()))
    expected: MemoryIndex = field(default_factory=MemoryIndex)

    def process(
        self, log_rows: int = 8, kept_ms: int = 1000, late: int = 0, max_resident: int = MAX_RESIDENT
    ) -> SegmentIndex:
        """The index in a new process, whose clock is ``late`` by so many milliseconds."""
        return SegmentIndex(
            self.table,
            SegmentObjects(self.s3, BUCKET),
            self.pictures_of,
            clock=lambda: self.clock() - late,
            limits=Limits(log_rows=log_rows, kept_ms=kept_ms),
            max_resident=max_resident,
        )

    def pictures_of(self, library: str) -> Iterator[Sequence[Picture]]:
        yield [one for one in self.expected.rows.values() if one.key.library == library]

    def write(self, index: SegmentIndex, rows: Sequence[Picture], *, wait: bool = False) -> None:
        """Write to the catalog, then to the index."""
        self.expected.write(rows)
        index.write(rows, wait=wait)

    def objects(self) -> set[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX).get("Contents", [])
        return {one["Key"] for one in found}

    def log(self, library: str = LIBRARY) -> SegmentLog:
        return SegmentLog(self.table, library)

    def answers_right(self, index: SegmentIndex, libraries: Sequence[str] = (LIBRARY,)) -> None:
        """Assert that the index answers, counts and lists as an exact scan of all rows does."""
        for views, tags in ((VIEWS[:1], None), (VIEWS, None), (VIEWS, TagFilter(frozenset("t")))):
            query = Query(Kind.SIMILAR, tuple(libraries), MODEL, views, 20, tags)
            found, wanted = index.search(query), self.expected.search(query)
            assert [one.key for one in found] == [one.key for one in wanted]
            assert [one.cosine for one in found] == pytest.approx([one.cosine for one in wanted], abs=1e-5)
        for library in libraries:
            assert index.count(library) == self.expected.count(library)


@pytest.fixture
def account() -> Iterator[Account]:
    with aws() as make:
        s3 = make("s3", config=CONFIG)
        s3.create_bucket(Bucket=BUCKET)
        yield Account(server.new_table(), s3)


def rows(start: int, end: int, revision: int = 1, library: str = LIBRARY) -> list[Picture]:
    """Some pictures, every third of them tagged."""
    return [
        row(library, f"p{n}", revision, vector=VECTORS[n], tags=("t",) if n % 3 == 0 else ()) for n in range(start, end)
    ]


def manifest_key(library: str = LIBRARY) -> ItemKey:
    return ItemKey(log_partition(library), "manifest")


@pytest.fixture(autouse=True)
def warnings_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Another test may have built a service that says less."""
    caplog.set_level(logging.WARNING, "lookalike")


def test_processes_see_each_others_writes_at_once(account: Account) -> None:
    first, second = account.process(), account.process()
    for step in range(12):
        writer, reader = (first, second) if step % 2 else (second, first)
        account.write(writer, rows(step * 5, step * 5 + 7, revision=step + 1), wait=step % 3 == 0)
        account.answers_right(reader)
        account.write(reader, [deleted(one, 100 + step) for one in rows(step, step + 1)], wait=True)
        account.answers_right(writer)
    account.answers_right(account.process())


def test_a_process_that_slept_long_catches_up(account: Account) -> None:
    """Meanwhile the entries and segments that it knew were deleted."""
    sleeper, writer = account.process(kept_ms=0), account.process(kept_ms=0)
    account.write(sleeper, rows(0, 3), wait=True)
    account.answers_right(sleeper)
    for step in range(10):
        account.clock.now += 10_000
        account.write(writer, rows(step, step + 10, revision=step + 2))
    account.answers_right(sleeper)
    account.write(sleeper, rows(40, 44), wait=True)
    account.answers_right(writer)


def test_what_a_killed_compactor_left_is_removed(account: Account) -> None:
    """A segment that no list has ever named; those of another log are none of this one's."""
    index = account.process()
    account.write(index, rows(0, 8))
    objects = SegmentObjects(account.s3, BUCKET)
    sections = NewSegments.of(LIBRARY, [IndexRow.of(one) for one in rows(0, 8)]).sections
    left, of_another = (
        objects.put(LIBRARY, space, MODEL, Kind.SIMILAR, next(iter(sections.values()))).object for space in ("", "b")
    )
    account.write(index, rows(8, 16))
    assert left in account.objects()  # its compactor may be about to publish it
    account.clock.now += 5000
    account.write(index, rows(16, 24))
    assert left not in account.objects()
    assert of_another in account.objects()
    account.answers_right(account.process())


def test_a_forgotten_index_leaves_nothing(account: Account) -> None:
    index = account.process()
    account.write(index, rows(0, 8))
    sections = NewSegments.of(LIBRARY, [IndexRow.of(one) for one in rows(0, 8)]).sections
    SegmentObjects(account.s3, BUCKET).put(LIBRARY, "", MODEL, Kind.SIMILAR, next(iter(sections.values())))
    assert len(account.objects()) > 1
    index.forget()
    assert account.objects() == set()


def test_writers_whose_clocks_are_a_minute_apart_miss_nothing(account: Account) -> None:
    late, early, reader = account.process(late=60_000), account.process(late=-60_000), account.process()
    for step in range(12):
        account.clock.now += 500
        account.write(early, rows(step * 4, step * 4 + 3, revision=step + 1))
        account.answers_right(reader)
        account.write(late, rows(step * 4 + 2, step * 4 + 6, revision=step + 2))
        account.answers_right(reader)
    account.answers_right(account.process())


def test_what_is_replaced_is_removed_once_nobody_can_read_it(account: Account) -> None:
    index = account.process()
    for step in range(12):
        account.clock.now += 600
        account.write(index, rows(0, 8, revision=step + 1))
    account.clock.now += 5000
    account.write(index, rows(0, 8, revision=50))
    item = account.log().manifest()
    assert item is not None
    entries = [one.number for one in account.log().read(0).entries]
    assert entries == [int(item["cut"]["N"])], "those that a reader of the list before may need"
    assert len(account.objects()) <= 3
    account.answers_right(account.process())


def a_log_in_segments(account: Account, count: int) -> str:
    """Write so many pictures into one segment; return its object's name."""
    account.write(account.process(log_rows=count), rows(0, count))
    (name,) = account.objects()
    return name


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def cut_in_its_header(data: bytes) -> bytes:
    return data[:100]


def empty(_data: bytes) -> bytes:
    return b""


def of_a_newer_version(data: bytes) -> bytes:
    return data[:8] + struct.pack("<I", 2) + data[12:]


def flipped_in_its_header(data: bytes) -> bytes:
    return data[:40] + bytes([data[40] ^ 1]) + data[41:]


def flipped_in_its_vectors(data: bytes) -> bytes:
    return data[:9000] + bytes([data[9000] ^ 1]) + data[9001:]


def of_another_kind(_data: bytes) -> bytes:
    return b"GIF89a" + bytes(20_000)


DAMAGES = [
    cut,
    cut_in_its_header,
    empty,
    of_a_newer_version,
    flipped_in_its_header,
    flipped_in_its_vectors,
    of_another_kind,
]


@pytest.mark.parametrize("count", [30, 2500])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_segment_is_made_again(
    account: Account, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes], count: int
) -> None:
    name = a_log_in_segments(account, count)
    data = account.s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
    account.s3.put_object(Bucket=BUCKET, Key=name, Body=damage(data))
    mended_and_said(account, caplog, name)


def test_a_segment_that_is_gone_is_made_again(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    name = a_log_in_segments(account, 30)
    account.s3.delete_object(Bucket=BUCKET, Key=name)
    mended_and_said(account, caplog, name)


def test_another_librarys_segment_is_not_believed(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    name = a_log_in_segments(account, 30)
    account.write(account.process(log_rows=5), rows(40, 50, library="other"))
    (other,) = account.objects() - {name}
    account.s3.copy_object(Bucket=BUCKET, Key=name, CopySource={"Bucket": BUCKET, "Key": other})
    mended_and_said(account, caplog, name)


def test_a_list_that_names_another_models_segment_is_not_believed(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    name = a_log_in_segments(account, 30)
    item = account.table.get(manifest_key())
    assert item is not None
    account.table.put({**item, "segments": {"S": item["segments"]["S"].replace(MODEL, "model-0")}})
    mended_and_said(account, caplog, name)


def mended_and_said(account: Account, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """Assert that a new process answers right and says why it took long, and that the next one finds nothing wrong."""
    with caplog.at_level(logging.WARNING):
        account.answers_right(account.process())
        said = [record.getMessage() for record in caplog.records if AGAIN in record.getMessage()]
        assert len(said) == 1
        assert name in said[0]
        caplog.clear()
        account.answers_right(account.process())
        assert not caplog.records


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 40_000), bit=st.integers(0, 7))
def test_whichever_bit_is_flipped_answers_stay_right(account: Account, place: int, bit: int) -> None:
    library = f"{place}-{bit}"
    account.write(account.process(log_rows=20), rows(0, 20, library=library))
    (name,) = {one for one in account.objects() if one.startswith(f"{PREFIX}{library}/")}
    data = bytearray(account.s3.get_object(Bucket=BUCKET, Key=name)["Body"].read())
    data[place % len(data)] ^= 1 << bit
    account.s3.put_object(Bucket=BUCKET, Key=name, Body=bytes(data))
    account.answers_right(account.process(), [library])


LISTS: dict[str, dict[str, Any] | None] = {
    "of a newer version": {"version": {"N": "2"}},
    "no JSON": {"segments": {"S": "{"}},
    "no text": {"segments": {"N": "5"}},
    "without a number": {"number": {"S": "x"}},
    "gone": None,
}


@pytest.mark.parametrize("change", LISTS.values(), ids=LISTS)
def test_a_list_that_cannot_be_used_is_made_again(
    account: Account, caplog: pytest.LogCaptureFixture, change: dict[str, Any] | None
) -> None:
    a_log_in_segments(account, 30)
    warm = account.process()
    account.answers_right(warm)
    account.write(account.process(log_rows=100), rows(30, 34), wait=True)
    item = account.table.get(manifest_key())
    assert item is not None
    if change is None:
        account.table.delete(manifest_key())
    else:
        account.table.put({**item, **change})
    with caplog.at_level(logging.WARNING):
        account.answers_right(account.process())
        assert (AGAIN in caplog.text) == (change is not None), "a library without a list is new, and nothing is wrong"
        account.write(account.process(), rows(34, 50), wait=True)
        account.answers_right(warm)
        account.answers_right(account.process())


@pytest.mark.parametrize("is_gone", [True, False])
def test_an_entry_of_the_log_that_is_gone_or_damaged_is_made_up_for(
    account: Account, caplog: pytest.LogCaptureFixture, is_gone: bool
) -> None:
    writer = account.process(log_rows=100)
    for step in range(4):
        account.write(writer, rows(step * 3, step * 3 + 3), wait=True)
    (_, entry, *_) = account.log().read(0).entries
    key = ItemKey(log_partition(LIBRARY), f"e{entry.number:016d}")
    if is_gone:
        account.table.delete(key)
    else:
        account.table.put({**key.values, "rows": {"B": b"\x93no rows"}})
    with caplog.at_level(logging.WARNING):
        account.answers_right(account.process())
        assert AGAIN in caplog.text
        caplog.clear()
        account.answers_right(account.process())
        account.answers_right(writer)
        assert not caplog.records


def test_of_two_compactors_at_once_one_wins_and_the_other_leaves_nothing(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = SegmentLog.publish
    others = [account.process(), account.process()]
    account.write(account.process(log_rows=100), rows(0, 12), wait=True)
    outcomes = []

    def publish_second(log: SegmentLog, manifest: Manifest, previous: Any) -> bool:
        if others:
            account.write(others.pop(), rows(20 + len(others), 22 + len(others)))
        outcomes.append(publish(log, manifest, previous))
        return outcomes[-1]

    monkeypatch.setattr(SegmentLog, "publish", publish_second)
    account.write(account.process(), rows(12, 20))
    assert outcomes.count(True) == 1
    assert outcomes.count(False) == 2
    item = account.log().manifest()
    assert item is not None
    named = manifest_of(item)
    assert account.objects() == {
        *(one.object for one in named.segments),
        *(name for one in named.outdated for name in one.objects),
    }
    account.answers_right(account.process())


def test_many_writers_and_compactors_at_once(account: Account) -> None:
    """Threads of four processes, each with pictures of its own, and searches beside them."""
    processes = [account.process() for _ in range(4)]
    account.expected.write([one for number in range(4) for one in rows(number * 50, number * 50 + 40, revision=3)])

    def work(number: int) -> None:
        for revision in (1, 2, 3):
            for start in range(number * 50, number * 50 + 40, 10):
                processes[number].write(rows(start, start + 10, revision=revision), wait=start % 20 == 0)
                found = processes[(number + 1) % 4].held(Kind.SIMILAR, [Key(LIBRARY, f"p{start}")])
                assert found[0].revision >= revision

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    for index in (*processes, account.process()):
        account.answers_right(index)


def test_a_writer_that_is_never_first_is_told_so(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    index = account.process()
    account.write(index, rows(0, 3))
    monkeypatch.setattr(SegmentLog, "append", lambda *_: False)
    monkeypatch.setattr("lookalike.stores.aws.segment_library._MAX_PAUSE", 0)
    with pytest.raises(Unavailable, match="always first"):
        index.write(rows(3, 4))


def test_a_bucket_that_takes_nothing_leaves_the_log(
    account: Account, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_args: object) -> None:
        raise Unavailable("S3: Slow Down")

    with monkeypatch.context() as patch:
        patch.setattr(SegmentObjects, "put", refuse)
        with caplog.at_level(logging.WARNING):
            account.write(account.process(), rows(0, 30))
        assert "could not be written" in caplog.text
        account.answers_right(account.process())
        assert not account.objects()
    account.write(account.process(), rows(30, 31))
    assert account.objects()
    account.answers_right(account.process())


def test_a_reader_that_may_not_write_answers_all_the_same(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes the index in its own memory, once."""
    name = a_log_in_segments(account, 30)
    account.s3.delete_object(Bucket=BUCKET, Key=name)
    read: list[str] = []
    pictures_of = account.pictures_of

    def counting(library: str) -> Iterator[Sequence[Picture]]:
        read.append(library)
        return pictures_of(library)

    monkeypatch.setattr(account, "pictures_of", counting)
    reader = account.process()

    def refuse(*_args: object) -> None:
        raise Unavailable("S3: Access Denied")

    monkeypatch.setattr(SegmentObjects, "put", refuse)
    account.answers_right(reader)
    account.write(account.process(log_rows=100), rows(30, 33), wait=True)
    account.answers_right(reader)
    assert read.count(LIBRARY) <= 2


def test_memory_is_bounded(account: Account) -> None:
    libraries = [f"library{number}" for number in range(6)]
    for library in libraries:
        account.write(account.process(log_rows=20), rows(0, 20, library=library))
    index = account.process(max_resident=60_000)
    for library in (*libraries, *libraries):
        account.answers_right(index, [library])
    resident = sum(one.resident for one in index._libraries.values())
    assert resident <= 100_000, "of two libraries at most, the one that was used last and the one before"


def test_large_segments_are_read_by_ranges(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of 16,000 pictures and more are."""
    monkeypatch.setattr(segment_objects, "_SMALL", 9000)
    monkeypatch.setattr(segment_objects, "_BYTES_AT_A_TIME", 10_000)
    a_log_in_segments(account, 200)
    account.answers_right(account.process())


def test_a_merge_drops_what_no_longer_counts(account: Account) -> None:
    index = account.process(kept_ms=0)
    for step in range(20):
        account.write(index, rows(step * 10, step * 10 + 10))
        account.clock.now += 60_000
    gone = rows(0, 150)
    for one in gone:
        account.expected.remove([one])
    for start in range(0, 150, 10):
        index.remove(gone[start : start + 10])
        account.clock.now += 60_000
    sizes = [one["Size"] for one in account.s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)["Contents"]]
    assert sum(sizes) < 8192 * len(sizes) + 120 * 800
    account.answers_right(account.process())
    listed = [one for batch in index.entries() for one in batch]
    assert len(listed) == 50


def test_segments_stay_few(account: Account) -> None:
    index = account.process(kept_ms=0)
    for step in range(0, 400, 8):
        account.write(index, rows(step, step + 8))
        account.clock.now += 60_000
    assert len(account.objects()) <= 9
    account.answers_right(account.process())


def test_an_index_that_was_away_is_filled_from_the_catalog(account: Account) -> None:
    """As one is that was in use, and then another, and is to be used again."""
    index = account.process()
    account.write(index, rows(0, 20))
    account.expected.write([deleted(one, 5) for one in rows(0, 5)])
    account.expected.write(rows(20, 40))
    warm = account.process()
    assert warm.count(LIBRARY) == 20
    assert index.make_again(LIBRARY) == 35
    for process in (index, warm, account.process()):
        account.answers_right(process)


def test_forgetting_leaves_nothing_and_begins_anew(account: Account) -> None:
    index, other = account.process(), account.process()
    account.write(index, rows(0, 20))
    account.answers_right(other)
    index.forget()
    assert not account.objects()
    assert list(account.table.query(log_partition(LIBRARY))) == list(account.table.query(log_partition(""))) == []
    account.write(account.process(), rows(20, 24), wait=True)
    account.answers_right(other)


def test_the_thresholds_are_those_that_the_docs_name() -> None:
    assert segment_compaction.Limits() == Limits(log_rows=256, dead_share=0.25, max_rows=131_072, kept_ms=3_600_000)


@pytest.fixture
def rows_of_two_models() -> tuple[MemoryCatalog, MemoryEmbeddings, list[Picture]]:
    """A catalog of pictures with vectors of one model, and those of another model beside it, for all but the last."""
    catalog, embeddings, made = MemoryCatalog(), MemoryEmbeddings(), rows(0, 6)
    for number, one in enumerate(made):
        catalog.put(one, None)
        if one is not made[-1]:
            embeddings.put("model-2", one.object_key, VECTORS[100 + number], b"")
    return catalog, embeddings, made


def model_called(name: str) -> Any:
    return SimpleNamespace(model=name)


def nearest_of(index: VectorIndex, model: str, vector: Any) -> list[str]:
    query = Query(Kind.SIMILAR, (LIBRARY,), model, vector.astype(np.float32)[None], 1)
    return [one.key.id for one in index.search(query)]


@pytest.mark.parametrize("kept", ["model-1", "model-2"])
def test_a_further_models_index_is_beside_the_one_in_use_until_one_of_them_goes(
    account: Account, rows_of_two_models: tuple[MemoryCatalog, MemoryEmbeddings, list[Picture]], kept: str
) -> None:
    catalog, embeddings, made = rows_of_two_models

    def process() -> SegmentModels:
        return SegmentModels(account.table, SegmentObjects(account.s3, BUCKET), catalog, embeddings)

    models = process()
    assert nearest_of(models.shared, "model-1", VECTORS[2]) == ["p2"]
    models.make(model_called("model-2"))
    models.make(model_called("model-2"))
    first, second = models.of(model_called("model-1")), models.of(model_called("model-2"))
    assert nearest_of(second, "model-2", VECTORS[102]) == ["p2"], "made from what there is of the other model"
    assert second.count(LIBRARY) == 5
    second.write([made[5].shown_with("model-2", VECTORS[105])])
    assert nearest_of(process().of(model_called("model-2")), "model-2", VECTORS[105]) == ["p5"]
    assert (first.count(LIBRARY), second.count(LIBRARY)) == (6, 6)
    assert nearest_of(first, "model-2", VECTORS[102]) == []

    gone = {"model-1", "model-2"} - {kept}
    models.drop(gone.pop(), kept)
    vector = VECTORS[2] if kept == "model-1" else VECTORS[102]
    for index in (models.shared, process().shared, process().of(model_called(kept))):
        assert nearest_of(index, kept, vector) == ["p2"]
    partitions = [item["sk"]["S"] for item in account.table.query(log_partition(""))]
    assert partitions == [f"{LIBRARY}@" if kept == "model-1" else f"{LIBRARY}@model-2"]
