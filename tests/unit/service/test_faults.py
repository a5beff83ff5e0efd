"""Races and failing stores: nothing acknowledged is lost, nothing refused is left behind."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Embedding, Key, Metadata, Picture, Pixels, State, sign_of
from lookalike.errors import IndexWriteError, LookalikeError, PictureExists, PictureNotFound, Unavailable
from lookalike.imaging.decode import Bounds
from lookalike.limits.fair_share import FairShare
from lookalike.ports import Ports
from lookalike.service import consistency
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import remove_group
from lookalike.service.image_source import Source
from lookalike.service.purge import purge
from lookalike.service.search import Search, search
from lookalike.service.update import Update, update
from tests.contract.rows import deleted, described, row
from tests.support.fakes import (
    MemoryCatalog,
    MemoryIndex,
    MemoryMaps,
    MemoryOriginals,
    SetClock,
    TinyEmbedder,
    memory_ports,
)

BOUNDS = Bounds(max_bytes=1 << 20, min_side=1, max_side=64, max_pixels=4096, formats=frozenset({"PNG"}))
LIBRARY_REF = LibraryRef("tenant", "same_hq", Kind.SAME)
DAY = 86_400_000


def source(number: int = 0, **options: int) -> Source:
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return Source(BOUNDS, data=buffer.getvalue())


class TogetherEmbedder(TinyEmbedder):
    """Holds every caller until all have come, so that their writes race."""

    def __init__(self, callers: int) -> None:
        self.barrier = threading.Barrier(callers)

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        self.barrier.wait(30)
        return super().embed(pictures)


def together(calls: Sequence[Callable[[], object]]) -> list[object]:
    """Run them in threads; what each returned or raised."""
    outcomes: list[object] = [None] * len(calls)

    def run(position: int) -> None:
        try:
            outcomes[position] = calls[position]()
        except LookalikeError as error:
            outcomes[position] = error

    threads = [threading.Thread(target=run, args=(position,)) for position in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_of_racing_adds_of_one_picture_one_wins_and_its_file_is_kept() -> None:
    # Within one millisecond, and as different files of the same pixels: the hardest race there is.
    originals, catalog, maps = MemoryOriginals(), MemoryCatalog(), MemoryMaps()
    ports = memory_ports(
        originals=originals, catalog=catalog, maps=maps, embedder=TogetherEmbedder(8), processors=FairShare(8)
    )
    sources = [source(compress_level=level) for level in range(8)]
    outcomes = together([partial(add, ports, Add(LIBRARY_REF, one, metadata=Metadata(brief="b"))) for one in sources])
    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, Picture)]
    assert sum(isinstance(outcome, PictureExists) for outcome in outcomes) == 7
    assert list(originals.files) == list(maps.files) == [winner.object_key]
    won = next(one for one, outcome in zip(sources, outcomes, strict=True) if outcome is winner)
    assert originals.files[winner.object_key] == won.data


def test_racing_first_adds_of_different_pictures_make_one_library() -> None:
    catalog = MemoryCatalog()
    ports = memory_ports(catalog=catalog, embedder=TogetherEmbedder(8), processors=FairShare(8))
    outcomes = together([partial(add, ports, Add(LIBRARY_REF, source(number))) for number in range(8)])
    assert len({outcome.key.library for outcome in outcomes if isinstance(outcome, Picture)}) == 1
    assert len(catalog.rows) == 8


class FailingOriginals(MemoryOriginals):
    def put(self, key: str, data: bytes) -> None:
        raise Unavailable("disk full")


class FailingMaps(MemoryMaps):
    def put_map(self, key: str, data: bytes) -> None:
        raise Unavailable("disk full")


class FailingCatalog(MemoryCatalog):
    def put(self, picture: Picture, previous: int | None) -> None:
        raise Unavailable("disk full")


@pytest.mark.parametrize(
    "broken", [{"originals": FailingOriginals()}, {"maps": FailingMaps()}, {"catalog": FailingCatalog()}]
)
def test_an_add_that_a_store_refuses_is_not_acknowledged_and_not_seen(broken: dict[str, object]) -> None:
    ports = memory_ports(**broken)
    with pytest.raises(Unavailable):
        add(ports, Add(LIBRARY_REF, source()))
    assert search(ports, Search(LIBRARY_REF, source())).matches == ()


class ForgetfulOriginals(MemoryOriginals):
    """Cannot remove anything."""

    def remove(self, keys: Sequence[str]) -> None:
        raise Unavailable("no answer")


def test_an_add_over_a_deleted_picture_is_seen_though_the_old_original_cannot_be_removed() -> None:
    ports = memory_ports(originals=ForgetfulOriginals())
    add(ports, Add(LIBRARY_REF, source(), metadata=Metadata(brief="old")))
    delete(ports, Delete(LIBRARY_REF, source()))
    add(ports, Add(LIBRARY_REF, source(), metadata=Metadata(brief="new")))
    assert ports.index.count(_uid(ports)) == 1
    assert search(ports, Search(LIBRARY_REF, source())).matches[0].candidate.metadata.brief == "new"


class StubbornCatalog(MemoryCatalog):
    """Refuses to delete one picture."""

    refused: Key | None = None

    def put(self, picture: Picture, previous: int | None) -> None:
        if picture.key == self.refused and not picture.live:
            raise Unavailable("no answer")
        super().put(picture, previous)


def test_a_list_of_which_one_cannot_be_deleted_leaves_no_ghosts_of_the_others() -> None:
    catalog = StubbornCatalog()
    ports = memory_ports(catalog=catalog)
    added = [add(ports, Add(LIBRARY_REF, source(number))) for number in range(4)]
    catalog.refused = added[2].key
    signs = tuple(sign_of(picture.digest) for picture in added)
    with pytest.raises(Unavailable):
        delete(ports, Delete(LIBRARY_REF, signs))
    assert ports.index.count(_uid(ports)) == 1
    catalog.refused = None
    assert delete(ports, Delete(LIBRARY_REF, signs)) == 1
    assert ports.index.count(_uid(ports)) == 0


class FailingIndex(MemoryIndex):
    """Refuses while ``down``, in the way of ``failure``."""

    down = True
    failure: Exception = Unavailable("no answer")

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        if self.down:
            raise self.failure
        super().write(pictures, wait=wait)

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        if self.down:
            raise Unavailable("no answer")
        super().remove(pictures, wait=wait)


@pytest.mark.parametrize("failure", [Unavailable("no answer"), KeyError("items"), MemoryError()])
def test_what_the_catalog_holds_is_acknowledged_whatever_the_index_does(failure: Exception) -> None:
    index, clock = FailingIndex(), SetClock(1_000 * DAY)
    index.failure = failure
    ports = memory_ports(index=index, clock=clock)
    added = add(ports, Add(LIBRARY_REF, source(), metadata=Metadata(brief="b")))
    # The identical picture is found through the catalog all the same.
    assert [match.score for match in search(ports, Search(LIBRARY_REF, source())).matches] == [1.0]
    update(ports, Update(LIBRARY_REF, sign_of(added.digest), change={"brief": "c"}))
    assert search(ports, Search(LIBRARY_REF, source())).matches[0].candidate.metadata.brief == "c"
    assert delete(ports, Delete(LIBRARY_REF, source())) == 1
    assert search(ports, Search(LIBRARY_REF, source())).matches == ()


def test_a_purge_that_the_index_stops_goes_on_when_it_is_back() -> None:
    index, clock, catalog, originals = FailingIndex(), SetClock(1_000 * DAY), MemoryCatalog(), MemoryOriginals()
    index.down = False
    ports = memory_ports(index=index, clock=clock, catalog=catalog, originals=originals)
    add(ports, Add(LIBRARY_REF, source()))
    delete(ports, Delete(LIBRARY_REF, source()))
    clock.now += 8 * DAY
    index.down = True
    with pytest.raises(Unavailable):
        purge(ports, lambda: True)
    assert [row.state for row in catalog.rows.values()] == [State.PURGING]
    assert len(originals.files) == 1
    index.down = False
    assert purge(ports, lambda: True).pictures == 1
    assert not catalog.rows
    assert not originals.files


class Clinging(MemoryIndex):
    """Does not let some rows go, as an index that is missing does not."""

    def __init__(self) -> None:
        super().__init__()
        self.clings: Callable[[Picture], bool] = lambda _: False
        self.asked: list[Key] = []

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        self.asked += [row.key for row in pictures]
        held = [row.key for row in pictures if self.clings(row)]
        super().remove([row for row in pictures if row.key not in held])
        if held:
            raise IndexWriteError(frozenset(held[1:]), {held[0]: "never"})


@pytest.mark.parametrize("at_once", [True, False])
def test_what_the_index_clings_to_holds_up_no_row_behind_it(*, at_once: bool) -> None:
    index, clock, catalog, originals = Clinging(), SetClock(1_000 * DAY), MemoryCatalog(), MemoryOriginals()
    ports = memory_ports(index=index, clock=clock, catalog=catalog, originals=originals)
    for number in range(450):  # more than two batches of them come first
        gone = deleted(row("uid", f"{number:03}", kind=Kind.PRODUCT if number < 420 else Kind.SAME), 2, at=1)
        gone = gone.but(deleted_at=1 if at_once else 1 + number // 7)
        catalog.put(gone, None)
        originals.put(gone.object_key, b"")
    index.clings = lambda one: one.kind is Kind.PRODUCT
    done = purge(ports, lambda: True)
    assert (done.pictures, done.stuck, done.done) == (30, 420, False)
    assert len(index.asked) == 450, "a row that is stuck is tried once in a run"
    assert {one.state for one in catalog.rows.values()} == {State.PURGING}
    assert len(catalog.rows) == len(originals.files) == 420
    index.clings = lambda one: one.key.id == "007"
    done = purge(ports, lambda: True)
    assert (done.pictures, done.stuck, done.done) == (419, 1, False)
    assert len(catalog.rows) == len(originals.files) == 1
    index.clings = lambda _: False
    done = purge(ports, lambda: True)
    assert (done.pictures, done.stuck, done.done) == (1, 0, True)
    assert not catalog.rows


class Keeping(MemoryCatalog):
    """Does not let rows go."""

    keeps = True

    def remove(self, key: Key, revision: int) -> None:
        if self.keeps:
            raise Unavailable("no answer")
        super().remove(key, revision)


def test_a_sweep_that_breaks_off_leaves_no_live_row_without_its_original() -> None:
    clock, catalog, originals = SetClock(1_000 * DAY), Keeping(), MemoryOriginals()
    ports = memory_ports(clock=clock, catalog=catalog, originals=originals)
    add(ports, Add(LIBRARY_REF, source()))
    remove_group(ports, "tenant", "same_hq")
    clock.now += DAY
    with pytest.raises(Unavailable):
        purge(ports, lambda: True)
    assert not originals.files
    assert [row.state for row in catalog.rows.values()] == [State.PURGING]
    clock.now += DAY
    assert consistency.check(ports).found == {}
    catalog.keeps = False
    assert purge(ports, lambda: True).pictures == 1
    assert not catalog.rows


class Interrupting(MemoryOriginals):
    """Lets something happen in the middle of a purge: when originals are about to go."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] | None = None

    def remove(self, keys: Sequence[str]) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        super().remove(keys)


def test_a_picture_added_again_in_the_middle_of_its_purge_lives() -> None:
    originals, clock, catalog = Interrupting(), SetClock(1_000 * DAY), MemoryCatalog()
    ports = memory_ports(originals=originals, clock=clock, catalog=catalog)
    add(ports, Add(LIBRARY_REF, source(), metadata=Metadata(brief="old")))
    delete(ports, Delete(LIBRARY_REF, source()))
    clock.now += 8 * DAY
    originals.meanwhile = lambda: add(ports, Add(LIBRARY_REF, source(), metadata=Metadata(brief="new")))
    assert purge(ports, lambda: True).pictures == 0
    (row,) = catalog.rows.values()
    assert row.live
    assert list(originals.files) == [row.object_key]
    assert search(ports, Search(LIBRARY_REF, source())).matches[0].candidate.metadata.brief == "new"


def test_a_picture_added_in_the_millisecond_of_its_purge_is_seen() -> None:
    clock = SetClock(1_000 * DAY)
    ports = memory_ports(clock=clock)
    add(ports, Add(LIBRARY_REF, source()))
    delete(ports, Delete(LIBRARY_REF, source()))
    clock.now += 8 * DAY
    assert purge(ports, lambda: True).pictures == 1
    add(ports, Add(LIBRARY_REF, source()))
    assert ports.index.count(_uid(ports)) == 1


def test_a_picture_deleted_lately_is_not_purged() -> None:
    clock = SetClock(1_000 * DAY)
    ports = memory_ports(clock=clock)
    add(ports, Add(LIBRARY_REF, source()))
    delete(ports, Delete(LIBRARY_REF, source()))
    clock.now += 7 * DAY
    assert purge(ports, lambda: True).pictures == 0
    clock.now += 1
    assert purge(ports, lambda: True).pictures == 1


class BusyCatalog(MemoryCatalog):
    """Somebody else updates every row just before each write."""

    interferences = 0
    limit = 3

    def put(self, picture: Picture, previous: int | None) -> None:
        if previous is not None and self.interferences < self.limit:
            self.interferences += 1
            row = self.rows[picture.key]
            self.rows[picture.key] = described(row.but(revision=row.revision + 1), label=f"other {self.interferences}")
        super().put(picture, previous)


def test_an_update_that_loses_a_race_is_made_on_the_newer_row() -> None:
    catalog = BusyCatalog()
    ports = memory_ports(catalog=catalog)
    add(ports, Add(LIBRARY_REF, source(), metadata=Metadata(brief="b")))
    update(ports, Update(LIBRARY_REF, source(), change={"brief": "c"}))
    (row,) = catalog.rows.values()
    assert (row.metadata.brief, row.metadata.label) == ("c", "other 3")


def test_an_update_that_loses_every_race_says_so() -> None:
    catalog = BusyCatalog()
    catalog.limit = 1_000
    ports = memory_ports(catalog=catalog)
    add(ports, Add(LIBRARY_REF, source(), metadata=Metadata(brief="b")))
    with pytest.raises(Unavailable):
        update(ports, Update(LIBRARY_REF, source(), change={"brief": "c"}))


def test_revisions_never_restart() -> None:
    clock, catalog = SetClock(1_000 * DAY), MemoryCatalog()
    ports = memory_ports(clock=clock, catalog=catalog)
    seen = [add(ports, Add(LIBRARY_REF, source())).revision]
    delete(ports, Delete(LIBRARY_REF, source()))
    seen.append(revision(catalog))
    seen.append(add(ports, Add(LIBRARY_REF, source())).revision)  # within the same millisecond
    delete(ports, Delete(LIBRARY_REF, source()))
    clock.now += 8 * DAY
    purge(ports, lambda: True)
    seen.append(add(ports, Add(LIBRARY_REF, source())).revision)
    assert seen == sorted(set(seen))


def revision(catalog: MemoryCatalog) -> int:
    (row,) = catalog.rows.values()
    return row.revision


def test_two_live_pictures_of_one_sign_are_told_apart_only_by_picture() -> None:
    catalog = MemoryCatalog()
    ports = memory_ports(catalog=catalog)
    added = add(ports, Add(LIBRARY_REF, source(), metadata=Metadata(brief="b")))
    twin = added.digest[:16] + "0" * 48
    catalog.rows[Key(added.key.library, twin)] = added.but(key=Key(added.key.library, twin), digest=twin)
    with pytest.raises(LookalikeError, match=sign_of(added.digest)):
        delete(ports, Delete(LIBRARY_REF, (sign_of(added.digest),)))
    assert delete(ports, Delete(LIBRARY_REF, source())) == 1
    assert delete(ports, Delete(LIBRARY_REF, (sign_of(added.digest),))) == 1
    with pytest.raises(PictureNotFound):
        delete(ports, Delete(LIBRARY_REF, (sign_of(added.digest),)))


def test_a_thousand_pictures_are_deleted_in_one_call() -> None:
    ports = memory_ports()
    signs = tuple(sign_of(add(ports, Add(LIBRARY_REF, source(number))).digest) for number in range(1000))
    assert delete(ports, Delete(LIBRARY_REF, signs)) == 1000
    assert ports.index.count(_uid(ports)) == 0


def _uid(ports: Ports) -> str:
    (library,) = ports.catalog.libraries("tenant")
    return library.uid
