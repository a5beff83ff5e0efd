"""Pictures put in the place of live ones, whatever else happens to them at the same time."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Embedding, Metadata, Picture, Pixels, State
from lookalike.errors import PictureExists, PictureNotFound, RevisionMismatch, Unavailable
from lookalike.service.add import Add, add
from lookalike.service.groups import list_pictures
from lookalike.service.image_source import Source
from lookalike.service.libraries import create_library
from lookalike.service.restore import restore
from lookalike.service.update import Update, update
from lookalike.service.upload import ObjectCreated, ObjectRemoved, ingest
from tests.support.fakes import TinyEmbedder
from tests.unit.service import test_holders as holders
from tests.unit.service import test_library_life as life
from tests.unit.service import test_restore as restoring
from tests.unit.service.test_groups import BOUNDS, source


class World(restoring.World):
    """A library with the picture 1, in stores whose calls are counted."""

    def put(self, number: int, *, revision: int | None = None, brief: str | None = None) -> Picture:
        self.clock.now += 1
        metadata = Metadata(brief=str(number) if brief is None else brief)
        id_ = "a" if self.ref.identity is Identity.OWN else None
        command = Add(self.ref, source(number), metadata, id_, replace=True, revision=revision)
        return add(self.ports, command, self.library)

    def try_to_put(self, number: int, *, revision: int | None = None) -> None:
        with suppress(RevisionMismatch):
            self.put(number, revision=revision)

    def try_to_delete(self) -> None:
        with suppress(PictureNotFound):
            self.delete()

    def try_to_restore(self) -> None:
        with suppress(PictureNotFound):
            self.restore()

    def update(self) -> None:
        self.clock.now += 1
        with suppress(PictureNotFound):
            update(self.ports, Update(self.ref, self.name, {"label": "updated"}))


class CountingEmbedder(TinyEmbedder):
    """Counts the pictures embedded."""

    count = 0

    def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
        self.count += len(pictures)
        return super().embed(pictures)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("kind", Kind)
def test_another_file_takes_the_place_of_a_picture(kind: Kind) -> None:
    world = World(kind=kind)
    old = world.row
    written = world.put(2)
    assert written is world.row
    assert written.revision == written.added > old.revision
    assert (written.key, written.metadata, written.live) == (old.key, Metadata(brief="2"), True)
    assert world.found(2)[0] == (1.0, "2")
    assert 1.0 not in [score for score, _ in world.found(1)]
    assert list(world.originals.files) == [written.object_key]
    assert world.index.rows == {written.key: written}


def test_the_same_file_only_changes_metadata(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = CountingEmbedder()
    world.ports = world._ports(embedder)
    old = world.row
    puts: list[str] = []
    monkeypatch.setattr(type(world.originals), "put", lambda _, key, __: puts.append(key))
    written = world.put(1, brief="new")
    assert (written.metadata.brief, written.added, written.vector is old.vector) == ("new", old.added, True)
    assert written.revision > old.revision
    assert world.index.rows[written.key] is written
    assert world.put(1, brief="new") is written
    assert world.row is written
    assert embedder.count == 0
    assert puts == [], "the file is there"


def test_the_same_file_is_stored_again_if_it_is_lost(world: World) -> None:
    files = dict(world.originals.files)
    for lost in ({}, dict.fromkeys(files, b"damaged")):
        world.originals.files = lost
        assert world.put(1) is world.picture
        assert world.originals.files == files


def test_the_same_file_takes_no_store_that_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(type(world.originals), "get", away)
    assert world.put(1, brief="new").metadata.brief == "new"


def test_the_index_takes_what_it_missed_when_a_call_is_repeated(world: World) -> None:
    world.index.rows.clear()
    written = world.put(1)
    assert written is world.picture
    assert world.index.rows == {written.key: written}


def test_after_a_change_of_the_model_the_same_file_is_embedded_anew(world: World) -> None:
    world.change_model()
    assert world.put(1).model == "other"
    assert world.found() == [(1.0, "1")]
    world.check()


@pytest.mark.parametrize("state", [None, State.DELETED, State.PURGING, State.DAMAGED])
def test_where_no_picture_is_live_one_is_added(world: World, state: State | None) -> None:
    if state is None:
        world.catalog.rows.clear()
        world.originals.remove([world.picture.object_key])
        world.maps.remove_maps([world.picture.object_key])
    else:
        world.catalog.rows[world.picture.key] = world.picture.but(state=state, deleted_at=1)
    with pytest.raises(RevisionMismatch) as refused:
        world.put(2, revision=world.picture.revision)
    assert (refused.value.key, refused.value.revision) == (world.picture.key, None)
    assert world.put(2).live
    world.check()


def test_only_that_revision_is_replaced(world: World) -> None:
    for number in (1, 2):
        with pytest.raises(RevisionMismatch) as refused:
            world.put(number, revision=1)
        assert refused.value.revision == world.picture.revision
        assert world.row is world.picture
    second = world.put(2, revision=world.picture.revision)
    third = world.put(2, revision=second.revision, brief="new")
    assert third is world.row
    world.check()


def test_another_revision_saves_the_download(world: World) -> None:
    unreachable = Source(BOUNDS, url="http://nowhere/")
    with pytest.raises(RevisionMismatch):
        add(world.ports, Add(world.ref, unreachable, id="a", replace=True, revision=1), world.library)


def test_without_being_asked_nothing_is_replaced(world: World) -> None:
    with pytest.raises(PictureExists):
        world.add(2)
    assert world.row is world.picture


def test_a_picture_that_is_its_own_id_takes_another_file_and_metadata() -> None:
    ref = LibraryRef("tenant", "library", Kind.SAME)
    world = World(Identity.PICTURE)
    bounds = life.BOUNDS
    first = add(world.ports, Add(ref, Source(bounds, data=life.file(7, "PNG"))), world.library)
    command = Add(ref, Source(bounds, data=life.file(7, "BMP")), Metadata(brief="bmp"), replace=True)
    second = add(world.ports, command, world.library)
    assert (second.key, second.metadata.brief) == (first.key, "bmp")
    assert second.file_digest != first.file_digest
    assert add(world.ports, command, world.library) is second
    world.check()


#: What happens at the same time.
MEANWHILE: dict[str, Callable[[World], object]] = {
    "delete": World.try_to_delete,
    "delete and restore": lambda world: [world.try_to_delete(), world.try_to_restore()],  # type: ignore[func-returns-value]
    "update": World.update,
    "another is put": lambda world: world.put(3),
    "the same is put": lambda world: world.put(2),
    "the old one is put": lambda world: world.put(1, brief="again"),
}


@pytest.mark.parametrize("number", [1, 2], ids=["same file", "another file"])
@pytest.mark.parametrize(("name", "calls", "behind"), list(itertools.product(MEANWHILE, range(1, 11), [False, True])))
def test_whatever_happens_meanwhile(name: str, calls: int, behind: bool, number: int) -> None:
    """Before or behind every call to a store: the rows have their files, and the index what the catalog has."""
    world = World()
    world.calls.tell(calls, lambda: MEANWHILE[name](world), behind=behind)
    written = world.put(number, brief="mine")
    assert written.metadata.brief == "mine"
    world.check()
    for row in world.catalog.rows.values():
        assert hashlib.sha256(world.originals.files[row.object_key]).hexdigest() == row.file_digest
        if name in ("update", "delete and restore"):
            assert (row.live, row.metadata.brief, row.file_digest) == (True, "mine", written.file_digest)
        if row.revision == written.revision:
            assert row is written


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(("name", "calls"), list(itertools.product(MEANWHILE, range(1, 6))))
def test_of_a_revision_nothing_else_is_replaced(name: str, calls: int, number: int) -> None:
    world = World()
    world.calls.tell(calls, lambda: MEANWHILE[name](world))
    world.try_to_put(number, revision=world.picture.revision)
    world.check()


# -- Uploads --------------------------------------------------------------------------------------------------------------

SHOP = LibraryRef("tenant", "shop", Kind.SIMILAR, Identity.OWN)


class Shop(holders.World):
    """A bucket, and a group whose pictures have callers' ids."""

    def __init__(self, *, keep: bool = True) -> None:
        super().__init__(keep=keep)
        self.library = create_library(self.ports, SHOP)

    def event(self, number: int) -> ObjectCreated:
        """The group's object has another file now."""
        self.count += 1
        self.clock.now += 1
        key = "uploads/10000001/shop/x"
        etag = self.objects.put(holders.BUCKET, key, holders.FILES[number])
        return ObjectCreated(holders.BUCKET, key, f"{self.count:04x}", etag)

    def replace(self, number: int) -> Picture:
        """A client puts a picture in the place of the only one."""
        (row,) = list_pictures(self.ports, self.library, None, 10).pictures
        self.clock.now += 1
        file = Source(holders.BOUNDS, data=holders.FILES[number])
        return add(self.ports, Add(SHOP, file, Metadata(brief="client"), row.key.id, replace=True), self.library)


@pytest.mark.parametrize("number", [0, 1], ids=["same file", "another file"])
def test_what_a_client_puts_is_the_clients(number: int) -> None:
    """No event of the upload that added the picture replaced hides or describes the client's."""
    shop = Shop()
    event = shop.event(0)
    shop.come(event)
    mine = shop.replace(number)
    shop.come(event)
    assert shop.shown() == {number: "client"}
    shop.come(shop.event(2))
    assert shop.shown() == {number: "client", 2: "x"}
    shop.objects.files.clear()
    shop.come(ObjectRemoved(holders.BUCKET, "uploads/10000001/shop/x"))
    assert shop.shown() == {number: "client", 2: "x"}
    assert shop.catalog.rows[mine.key] is mine


@pytest.mark.parametrize("number", [0, 1], ids=["same file", "another file"])
@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("calls", range(1, 14))
def test_a_client_puts_a_picture_while_its_upload_changes(calls: int, behind: bool, number: int) -> None:
    shop = Shop()
    shop.come(shop.event(0))
    event = shop.event(2)

    def replace() -> None:
        rows = list_pictures(shop.ports, shop.library, None, 10).pictures
        if len(rows) == 1 and rows[0].digest == holders.DIGESTS[0]:
            shop.replace(number)

    shop.stores.tell(calls, replace, behind=behind)
    shop.come(event)
    shop.come(event)
    assert shop.shown() in ({number: "client", 2: "x"}, {2: "x"})


@pytest.mark.parametrize("number", [0, 1], ids=["same file", "another file"])
def test_an_event_that_broke_off_does_not_add_again_what_a_client_has_replaced(number: int) -> None:
    shop = Shop()
    event = shop.event(0)
    shop.stores.tell(holders.calls_until(shop, "put"), holders.crash, behind=True)
    with pytest.raises(holders.Crash):
        ingest(shop.ports, event)
    shop.replace(number)
    shop.come(event)
    assert shop.shown() == {number: "client"}
    shop.come(shop.event(2))
    assert shop.shown() == {number: "client", 2: "x"}


def test_what_is_deleted_can_be_put_or_restored_again(world: World) -> None:
    world.put(2)
    world.delete()
    assert restore(world.ports, world.library, "a").metadata.brief == "2"
    world.delete()
    world.put(1)
    world.check()
