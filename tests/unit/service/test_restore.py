"""Deleted pictures that are restored, whatever else happens to them at the same time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Key, Metadata, Picture, State, sign_of
from lookalike.errors import PictureExists, PictureNotFound, RevisionMismatch, SignAmbiguous
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import list_pictures, name_of
from lookalike.service.libraries import create_library
from lookalike.service.purge import purge
from lookalike.service.restore import restore
from lookalike.service.search import Search, search
from tests.contract.rows import row
from tests.support.fakes import (
    MemoryCatalog,
    MemoryIndex,
    MemoryMaps,
    MemoryOriginals,
    SetClock,
    TinyEmbedder,
    memory_ports,
)
from tests.unit.service import test_holders as holders
from tests.unit.service.test_groups import source

DAY = 86_400_000


class OtherEmbedder(TinyEmbedder):
    """Another model, whose vectors are others."""

    model = "other"
    _projection = np.random.default_rng(1).standard_normal(TinyEmbedder._projection.shape).astype(np.float32)


class World:
    """A library of kind ``same`` with one picture, in stores whose calls are counted."""

    def __init__(self, identity: Identity = Identity.OWN, kind: Kind = Kind.SAME) -> None:
        self.ref = LibraryRef("tenant", "library", kind, identity)
        self.calls = holders.Stores()
        self.catalog, self.index = MemoryCatalog(), MemoryIndex()
        self.originals, self.maps = MemoryOriginals(), MemoryMaps()
        self.clock = SetClock(1_000 * DAY)
        self.ports = self._ports(TinyEmbedder())
        self.library: Library = create_library(self.ports, self.ref)
        self.picture = self.add(1)
        self.name = name_of(self.library, self.picture)

    def _ports(self, embedder: TinyEmbedder) -> Ports:
        stores = {"catalog": self.catalog, "index": self.index, "originals": self.originals, "maps": self.maps}
        watched = {name: self.calls.watched(store) for name, store in stores.items()}
        return memory_ports(clock=self.clock, embedder=embedder, **watched)

    def change_model(self) -> None:
        self.ports = self._ports(OtherEmbedder())

    def add(self, number: int) -> Picture:
        self.clock.now += 1
        id_ = "a" if self.ref.identity is Identity.OWN else None
        return add(self.ports, Add(self.ref, source(number), Metadata(brief=str(number)), id_), self.library)

    def try_to_add(self, number: int) -> None:
        with suppress(PictureExists):
            self.add(number)

    def delete(self) -> None:
        self.clock.now += 1
        delete(self.ports, Delete(self.ref, (self.name,)))

    def restore(self, revision: int | None = None) -> Picture:
        self.clock.now += 1
        return restore(self.ports, self.library, self.name, revision)

    def purge(self) -> None:
        self.clock.now += 10 * DAY
        purge(self.ports, lambda: True)

    @property
    def row(self) -> Picture:
        (row,) = self.catalog.rows.values()
        return row

    def found(self, number: int = 1) -> list[tuple[float, str]]:
        matches = search(self.ports, Search(self.ref, source(number))).matches
        return [(match.score, match.candidate.metadata.brief) for match in matches]

    def check(self) -> None:
        """Asserts that the stores agree: each row has its original and map, and there are no others."""
        keys = {row.object_key for row in self.catalog.rows.values()}
        assert set(self.originals.files) == set(self.maps.files) == keys
        assert {row.key for row in self.index.rows.values() if row.live} == {
            row.key for row in self.catalog.rows.values() if row.live
        }


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("identity", Identity)
@pytest.mark.parametrize("kind", Kind)
def test_a_restored_picture_is_found_as_before(kind: Kind, identity: Identity) -> None:
    world = World(identity, kind)
    before = world.found()
    assert before == [(1.0, "1")]
    world.delete()
    assert world.found() == []
    deleted = world.row
    restored = world.restore()
    assert restored is world.row
    assert (restored.state, restored.deleted_at, restored.metadata) == (State.LIVE, None, Metadata(brief="1"))
    assert restored.revision > deleted.revision
    assert restored.added == world.picture.added
    assert world.found() == before
    assert list_pictures(world.ports, world.library, None, 10, state=State.DELETED).pictures == ()
    assert list_pictures(world.ports, world.library, None, 10).pictures == (restored,)
    assert world.restore() is restored
    world.purge()
    assert world.found() == before
    world.delete()
    world.purge()
    assert world.catalog.rows == {}
    world.check()


def test_a_live_picture_stays_as_it_is(world: World) -> None:
    assert world.restore() is world.picture
    assert world.restore(world.picture.revision) is world.picture


def test_another_revision_restores_nothing(world: World) -> None:
    world.delete()
    deleted = world.row
    with pytest.raises(RevisionMismatch) as refused:
        world.restore(world.picture.revision)
    assert refused.value.revision == deleted.revision
    assert world.row is deleted
    assert world.restore(deleted.revision).live


@pytest.mark.parametrize("state", [State.PURGING, State.DAMAGED])
@pytest.mark.parametrize("identity", Identity)
def test_what_cannot_be_restored(identity: Identity, state: State) -> None:
    world = World(identity)
    world.catalog.rows[world.picture.key] = world.picture.but(state=state, deleted_at=1)
    with pytest.raises(PictureNotFound):
        world.restore()


@pytest.mark.parametrize("identity", Identity)
@pytest.mark.parametrize("name", ["", "1,2", "4294967296,0", "b", "\0"])
def test_what_was_never_there(identity: Identity, name: str) -> None:
    world = World(identity)
    with pytest.raises(PictureNotFound):
        restore(world.ports, world.library, name)


def test_a_sign_of_two_pictures() -> None:
    world = World(Identity.PICTURE)
    other = world.picture.digest[:16] + "0" * 48
    world.catalog.rows[Key(world.library.uid, other)] = row(world.library.uid, other, kind=Kind.SAME)
    world.catalog.rows[world.picture.key] = world.picture.but(state=State.DELETED, deleted_at=1)
    with pytest.raises(SignAmbiguous):
        world.restore()


def test_a_picture_whose_original_is_lost_stays_deleted(world: World) -> None:
    world.delete()
    deleted = world.row
    for files in ({}, {deleted.object_key: b"not a picture"}):
        world.originals.files = files
        with pytest.raises(PictureNotFound):
            world.restore()
        assert world.row is deleted


def test_a_picture_that_is_there_in_another_row_by_now_is_refused() -> None:
    """White ink on transparent ground: the second of two with the same pixels has a row of its own, then the first's."""
    world = World(Identity.PICTURE)
    file = source(1).data or b""
    deleted = world.row.but(key=Key(world.library.uid, "f" * 64), state=State.DELETED, deleted_at=1)
    world.catalog.rows[deleted.key] = deleted
    world.originals.put(deleted.object_key, file)
    with pytest.raises(PictureExists) as refused:
        restore(world.ports, world.library, sign_of("f" * 64))
    assert refused.value.key == world.picture.key
    assert world.catalog.rows[deleted.key] is deleted


def test_after_a_change_of_the_model_the_picture_is_embedded_anew(world: World) -> None:
    world.delete()
    old = world.row
    world.change_model()
    restored = world.restore()
    assert (restored.model, restored.metadata, restored.digest) == ("other", old.metadata, old.digest)
    assert restored.revision == restored.added > old.revision
    assert not np.array_equal(restored.vector, old.vector)
    assert world.found() == [(1.0, "1")]
    assert world.restore() is restored
    world.check()


#: What happens at the same time.
MEANWHILE: dict[str, Callable[[World], object]] = {
    "purge": World.purge,
    "the same is added": lambda world: world.try_to_add(1),
    "another is added by its id": lambda world: world.try_to_add(2),
    "restore": World.restore,
    "restore and delete": lambda world: world.restore() and world.delete(),  # type: ignore[func-returns-value]
}


def races() -> list[tuple[str, int, bool]]:
    return list(itertools.product(MEANWHILE, range(1, 11), [False, True]))


@pytest.mark.parametrize("changed_model", [False, True])
@pytest.mark.parametrize(("name", "calls", "behind"), races())
def test_whatever_happens_meanwhile(name: str, calls: int, behind: bool, changed_model: bool) -> None:
    """Before or behind every call to a store: the answer is true, and every row has its original and its map."""
    world = World()
    world.delete()
    if changed_model:
        world.change_model()

    def meanwhile() -> None:
        MEANWHILE[name](world)

    world.calls.tell(calls, meanwhile, behind=behind)
    try:
        restored = world.restore()
    except PictureNotFound:
        assert name == "purge"
        assert world.catalog.rows == {}
    else:
        assert restored.live
        if name != "restore and delete":
            assert world.row.live
            assert world.found(int(world.row.metadata.brief))[0] == (1.0, world.row.metadata.brief)
    world.check()


def test_a_claim_finds_a_restored_picture_live(world: World) -> None:
    """Between the purge's read of what is due and its claim."""
    world.delete()
    world.clock.now += 10 * DAY
    world.calls.tell(2, world.restore)
    assert purge(world.ports, lambda: True).pictures == 0
    assert world.row.live
    world.check()


# -- Uploads --------------------------------------------------------------------------------------------------------------


def restored_in(world: holders.World, number: int) -> Picture:
    library = world.catalog.library("tenant", "same_hq")
    assert library is not None
    return restore(world.ports, library, sign_of(holders.DIGESTS[number]))


def test_an_upload_that_held_the_picture_holds_it_again() -> None:
    world = holders.World()
    world.come(world.put("a", 0))
    world.delete(0)
    assert world.shown() == {}
    restored_in(world, 0)
    assert world.shown() == {0: "a"}
    world.come(world.put("a", 1))
    assert world.shown() == {1: "a"}


def test_a_picture_that_its_upload_has_left_is_a_clients() -> None:
    world = holders.World()
    world.come(world.put("a", 0))
    world.come(world.put("a", 1))
    assert world.shown() == {1: "a"}
    restored_in(world, 0)
    world.come(world.put("b", 0))
    world.come(world.put("b", 2), world.put("a", 3))
    assert world.shown() == {0: "a", 2: "b", 3: "a"}


@pytest.mark.parametrize("calls", range(1, 12))
@pytest.mark.parametrize("behind", [False, True])
def test_a_restore_while_an_upload_leaves_the_picture(calls: int, behind: bool) -> None:
    """The picture is live, or was hidden because its object is another by now; it can be restored then."""
    world = holders.World()
    world.come(world.put("a", 0))
    world.delete(0)
    event = world.put("a", 1)
    world.stores.tell(calls, lambda: restored_in(world, 0), behind=behind)
    world.come(event)
    assert world.shown().keys() in ({0, 1}, {1})
    restored_in(world, 0)
    assert world.shown().keys() == {0, 1}
    world.come(event)
    assert world.shown().keys() == {0, 1}
