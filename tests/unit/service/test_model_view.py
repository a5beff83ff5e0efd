"""How one model sees the stores while there are vectors of two, and what becomes of both in each call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.consistency import Fault
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.model_change import ModelRef, ModelsInUse, Phase
from lookalike.domain.picture import Embedding, Key, Picture, Pixels
from lookalike.errors import IndexWriteError, Unavailable
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.ports import Ports
from lookalike.ports.clock import DAY_MS
from lookalike.service.add import Add, add
from lookalike.service.applications import create_application
from lookalike.service.catalog_writes import write_row
from lookalike.service.consistency import check
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import remove_group
from lookalike.service.image_source import Source
from lookalike.service.libraries import create_library
from lookalike.service.model_change import back, begin, switch
from lookalike.service.model_drop import drop
from lookalike.service.model_fill import Watch, fill
from lookalike.service.model_view import SeenIndex, current
from lookalike.service.purge import purge
from lookalike.service.restore import restore
from lookalike.service.second_model_check import with_second_model
from lookalike.service.update import Update, update
from tests.contract.rows import described, row
from tests.faults.faults import Faults, Plan
from tests.faults.faults import Kind as FaultKind
from tests.support.baidu import picture
from tests.support.fakes import (
    GivenModels,
    MemoryCatalog,
    MemoryEmbeddings,
    MemoryIndex,
    MemoryIndices,
    MemoryStores,
    SetClock,
    TinyEmbedder,
    memory_ports,
)

BOUNDS = Bounds(1 << 24, 1, 5000, 1 << 24, FORMATS)
NO_WAIT = Watch(pause=lambda _seconds: None)
texts = st.text(max_size=20)
refs = st.builds(ModelRef, texts, texts, texts)


class New(TinyEmbedder):
    """Another model."""

    model = "new"

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        made = super().embed(pictures)
        return [Embedding({kind: np.roll(one.vectors[kind], 3) for kind in Kind}, b"new map") for one in made]


class Shop:
    """A library of pictures with ids, of kind same."""

    def __init__(self) -> None:
        self.clock = SetClock(1_767_323_045_000)
        indices = MemoryIndices()
        stores = MemoryStores(indices=indices, index=indices.of(TinyEmbedder()))
        self.models = GivenModels(lambda: stores, TinyEmbedder(), New())
        self.raw: Ports = replace(memory_ports(clock=self.clock), stores=stores, models=self.models)
        self.tenant = create_application(self.raw.applications, self.clock, "one").tenant
        self.ref = LibraryRef(self.tenant, "shop", Kind.SAME, Identity.OWN)
        self.library: Library = create_library(self.raw, self.ref)

    @property
    def now(self) -> Ports:
        return current(self.raw)

    def add(self, id_: str, number: int = 1) -> None:
        self.clock.now += 10
        add(self.now, Add(self.ref, Source(BOUNDS, data=picture(number)), id=id_))

    def stored(self, id_: str) -> Picture:
        found = self.raw.stores.catalog.picture(Key(self.library.uid, id_))
        assert found is not None
        return found

    def beside(self, model: str) -> set[str]:
        return {key for keys in self.raw.stores.embeddings.keys(model) for key in keys}


@pytest.fixture
def shop() -> Shop:
    made = Shop()
    for number in range(4):
        made.add(f"p{number}", number)
    begin(made.raw, made.models.ref("new"), 10_000)
    return made


def test_a_call_sees_the_live_models_vectors_and_stores_rows_as_they_were(shop: Shop) -> None:
    fill(shop.raw, 0)
    before = shop.stored("p1")
    switch(shop.raw, NO_WAIT)
    seen = shop.now.catalog.picture(before.key)
    assert seen is not None
    assert (seen.model, seen.stored) == ("new", (before.model, before.vector))
    update(shop.now, Update(shop.ref, "p1", {"brief": "changed"}))
    after = shop.stored("p1")
    assert (after.model, after.metadata.brief, after.stored) == ("tiny", "changed", None)
    assert np.array_equal(after.vector, before.vector)
    assert shop.now.maps.maps([before.object_key]) == {before.object_key: b"new map"}
    back(shop.raw)
    assert shop.now.maps.maps([before.object_key]) != {before.object_key: b"new map"}


def test_what_is_purged_is_gone_by_both_models(shop: Shop) -> None:
    fill(shop.raw, 0)
    keys = {shop.stored(f"p{number}").object_key for number in range(4)}
    assert shop.beside("new") == keys
    gone = shop.stored("p2").object_key
    delete(shop.now, Delete(shop.ref, ("p2",)))
    shop.clock.now += 8 * DAY_MS
    assert purge(shop.now, lambda: True).pictures == 1
    assert shop.beside("new") == keys - {gone}
    assert all(index.count(shop.library.uid) == 3 for index in shop.raw.stores.indices.made.values())  # type: ignore[attr-defined]


def test_a_picture_that_was_deleted_when_the_fill_passed_is_restored_for_both(shop: Shop) -> None:
    delete(shop.now, Delete(shop.ref, ("p0",)))
    fill(shop.raw, 0)
    assert shop.stored("p0").object_key not in shop.beside("new")
    restore(shop.now, shop.library, "p0")
    assert shop.stored("p0").object_key in shop.beside("new")
    switch(shop.raw, NO_WAIT)
    assert shop.now.index.count(shop.library.uid) == 4


def test_a_replaced_picture_leaves_nothing_behind(shop: Shop) -> None:
    fill(shop.raw, 0)
    old = shop.stored("p3").object_key
    shop.clock.now += 10
    add(shop.now, Add(shop.ref, Source(BOUNDS, data=picture(9)), id="p3", replace=True))
    assert old not in shop.beside("new")
    assert shop.stored("p3").object_key in shop.beside("new")


@pytest.mark.parametrize("dropped", ["tiny", "new"])
def test_a_drop_gives_every_row_the_live_models_vector(shop: Shop, dropped: str) -> None:
    fill(shop.raw, 0)
    switch(shop.raw, NO_WAIT)
    shop.add("by-new", 7)
    if dropped == "new":
        back(shop.raw)
    left = drop(shop.raw, 0, NO_WAIT)
    live = "new" if dropped == "tiny" else "tiny"
    assert (None if left is None else left.live.name) == (live if live == "new" else None)
    assert {shop.stored(id_).model for id_ in ("p0", "p1", "p2", "p3", "by-new")} == {live}
    assert not shop.beside("tiny") | shop.beside("new")
    assert shop.now.index.count(shop.library.uid) == 5
    for id_ in ("p0", "by-new"):
        key = shop.stored(id_).object_key
        assert (shop.now.maps.maps([key])[key] == b"new map") is (live == "new")


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.REPEATED])
def test_a_write_whose_answer_is_lost_is_done_also_while_there_are_two_models(
    shop: Shop, kind: FaultKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = MemoryCatalog.picture

    def picture(catalog: MemoryCatalog, key: Key) -> Picture | None:
        """Return a row with a vector of its own, as stores read it from bytes."""
        found = read(catalog, key)
        return None if found is None else found.but(vector=found.vector.copy())

    monkeypatch.setattr(MemoryCatalog, "picture", picture)
    fill(shop.raw, 0)
    switch(shop.raw, NO_WAIT)
    faults = Faults()
    shop.raw = replace(faults.wrap(shop.raw), models=shop.models)
    row = shop.stored("p1")
    shown = shop.now.catalog.picture(row.key)
    assert shown is not None
    faults.expect(Plan(kind))
    assert write_row(shop.now, shown.but(revision=row.revision + 1), row.revision)
    assert (shop.stored("p1").revision, shop.stored("p1").model) == (row.revision + 1, "tiny")
    faults.expect(None)
    assert not write_row(shop.now, described(shown.but(revision=row.revision + 1), brief="another"), row.revision)


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.REPEATED])
def test_a_row_whose_new_vector_was_stored_without_an_answer_is_in_the_index(shop: Shop, kind: FaultKind) -> None:
    fill(shop.raw, 0)
    switch(shop.raw, NO_WAIT)
    faults = Faults()
    raw = replace(faults.wrap(shop.raw), models=shop.models)
    put = raw.stores.catalog.put

    def lose(picture: Picture, previous: int | None) -> None:
        faults.expect(Plan(kind))
        put(picture, previous)

    raw.stores.catalog.put = lose  # type: ignore[method-assign]
    drop(raw, 0, NO_WAIT)
    shop.clock.now += DAY_MS
    assert check(shop.now).found == {}


@pytest.mark.parametrize("steps", ["filled", "switched", "dropped"])
def test_pictures_of_a_library_that_was_removed_meanwhile_lack_nothing(shop: Shop, steps: str) -> None:
    remove_group(shop.now, shop.tenant, shop.library.name)
    fill(shop.raw, 0)
    if steps != "filled":
        switch(shop.raw, NO_WAIT)
    if steps == "dropped":
        drop(shop.raw, 0, NO_WAIT)
    shop.clock.now += DAY_MS
    report = with_second_model(shop.now, check(shop.now), repair=False)
    assert (report.totals.rows, report.found) == (4, {})


def test_a_lost_original_is_missed_once_while_there_are_two_models(shop: Shop) -> None:
    row = next(row for batch in shop.raw.catalog.every_row() for row in batch if row.live)
    shop.raw.originals.remove([row.object_key])
    fill(shop.raw, 0)
    shop.clock.now += DAY_MS
    report = with_second_model(shop.now, check(shop.now), repair=False)
    assert report.found == {Fault.NO_ORIGINAL: 1}


class Failing(MemoryIndex):
    """An index that does not take writes."""

    def __init__(self, error: Callable[[Key], Unavailable]) -> None:
        super().__init__()
        self.error = error

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        raise self.error(pictures[0].key)


def test_the_live_index_is_written_whatever_becomes_of_the_second() -> None:
    refusing = Failing(lambda key: IndexWriteError(frozenset(), {key: "too long"}))
    for second, expected in (
        (Failing(lambda _key: Unavailable("red")), Unavailable),
        (refusing, IndexWriteError),
    ):
        embeddings, live = MemoryEmbeddings(), MemoryIndex()
        one = row("uid", "a")
        embeddings.put("second", one.object_key, one.vector, b"")
        index = SeenIndex({one.model: live, "second": second}, one.model, embeddings)
        with pytest.raises(expected):
            index.write([one])
        assert live.count("uid") == 1


def test_a_row_without_a_vector_waits_for_it() -> None:
    embeddings, live, second = MemoryEmbeddings(), MemoryIndex(), MemoryIndex()
    one = row("uid", "a")
    index = SeenIndex({one.model: live, "second": second}, one.model, embeddings)
    index.write([one])
    assert (live.count("uid"), second.count("uid")) == (1, 0)
    embeddings.put("second", one.object_key, one.vector, b"")
    index.write([one])
    assert second.count("uid") == 1


@given(refs, st.none() | refs, st.none() | st.sampled_from(Phase), st.integers(0, 2**50), st.lists(texts, max_size=3))
def test_models_in_use_are_read_as_they_were_written(
    live: ModelRef, other: ModelRef | None, phase: Phase | None, began: int, examples: list[str]
) -> None:
    models = ModelsInUse(live, other, phase, began, 2.5, 3, tuple(examples), 7)
    assert ModelsInUse.of_json(models.to_json(), 7) == models
    assert set(models.written) <= {live, other}
    assert live in models.written
    if other is not None:
        assert models.swapped(Phase.RETIRED, 1).swapped(Phase.FILLED, began).live == live
