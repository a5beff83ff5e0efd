"""Stored pictures by their names: their files to be looked at, and searches for them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from PIL import Image

from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Picture, State, sign_of, thumbnail_key
from lookalike.errors import Abandoned, PictureNotFound, SignAmbiguous, Unavailable
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.limits.call import Call
from lookalike.ports import Ports
from lookalike.ports.clock import DAY_MS
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.libraries import create_library
from lookalike.service.picture_image import THUMBNAIL_SIDE, VIEW_SIDE, ImageSize, PictureImage, picture_image
from lookalike.service.purge import purge
from lookalike.service.search import Search, search
from lookalike.service.stored import find_picture, stored_source
from tests.support.fakes import MemoryOriginals, SetClock, memory_ports
from tests.support.photographs import NAMES, jpeg, photograph, png

BOUNDS = Bounds(max_bytes=8 << 20, min_side=1, max_side=5000, max_pixels=5000 * 5000, formats=FORMATS)
CONTENT_TYPES = {
    "JPEG": "image/jpeg", "PNG": "image/png", "BMP": "image/bmp", "GIF": "image/gif", "WEBP": "image/webp"
}  # fmt: skip


class CountingOriginals(MemoryOriginals):
    """Says what was read; refuses writes of thumbnails when ``full``."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self.full = False
        self.on_thumbnail: Callable[[], object] = lambda: None

    def get(self, key: str) -> bytes | None:
        self.read.append(key)
        return super().get(key)

    def put(self, key: str, data: bytes) -> None:
        if key.endswith(".thumb"):
            self.on_thumbnail()
            if self.full:
                raise Unavailable("the disk is full")
        super().put(key, data)


class Shop:
    """A library in memory, of pictures that are their own ids, or have callers' ids."""

    def __init__(self, identity: Identity, kind: Kind = Kind.SIMILAR) -> None:
        self.originals, self.clock = CountingOriginals(), SetClock(1_000 * DAY_MS)
        self.ports: Ports = memory_ports(originals=self.originals, clock=self.clock)
        self.ref = LibraryRef("tenant", "shop", kind, identity)
        self.library: Library = create_library(self.ports, self.ref)

    def add(self, data: bytes, id_: str | None = None) -> Picture:
        return add(self.ports, Add(self.ref, Source(BOUNDS, data), id=id_), self.library)

    def delete(self, row: Picture) -> None:
        named = row.key.id if self.library.identity is Identity.OWN else sign_of(row.digest)
        delete(self.ports, Delete(self.ref, (named,)))

    def purge(self) -> None:
        self.clock.now += 30 * DAY_MS
        assert purge(self.ports, lambda: True).done

    def image(self, name: str, size: ImageSize = ImageSize.THUMB, *, deleted: bool = False) -> PictureImage:
        return picture_image(self.ports, self.library, name, size, deleted=deleted)


@pytest.fixture
def shop() -> Shop:
    return Shop(Identity.OWN)


def opened(image: PictureImage) -> Image.Image:
    picture = Image.open(io.BytesIO(image.data))
    assert picture.format is not None
    assert image.content_type == CONTENT_TYPES[picture.format]
    return picture


# -- What is shown -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_size_of_every_format(shop: Shop, form: str) -> None:
    buffer = io.BytesIO()
    photograph("chelsea.png", 400).resize((1800, 1200)).save(buffer, form)
    row = shop.add(buffer.getvalue(), "cat")
    thumb, view, original = (shop.image("cat", size) for size in ImageSize)
    assert (opened(thumb).format, max(opened(thumb).size)) == ("WEBP", THUMBNAIL_SIDE)
    assert (opened(view).format, max(opened(view).size)) == ("JPEG", VIEW_SIDE)
    assert original == PictureImage(buffer.getvalue(), CONTENT_TYPES[form], row.added)
    assert thumb.revision == view.revision == row.added


def test_the_revision_is_that_of_the_file_not_of_the_metadata(shop: Shop) -> None:
    row = shop.add(jpeg(photograph("chelsea.png")), "cat")
    shop.ports.catalog.put(row.but(revision=row.revision + 5), row.revision)
    assert shop.image("cat").revision == row.added


@pytest.mark.parametrize("size", ImageSize)
def test_a_deleted_picture_is_shown_to_who_asks_for_deleted_ones(shop: Shop, size: ImageSize) -> None:
    row = shop.add(jpeg(photograph("chelsea.png")), "cat")
    shop.add(jpeg(photograph("coffee.png")), "cup")
    shop.delete(row)
    with pytest.raises(PictureNotFound):
        shop.image("cat", size)
    assert opened(shop.image("cat", size, deleted=True)).size
    assert shop.image("cup", size, deleted=True) == shop.image("cup", size)
    shop.purge()
    with pytest.raises(PictureNotFound):
        shop.image("cat", size, deleted=True)


@pytest.mark.parametrize("state", [State.PURGING, State.DAMAGED])
def test_what_is_being_purged_or_is_damaged_is_not_shown(shop: Shop, state: State) -> None:
    row = shop.add(jpeg(photograph("chelsea.png")), "cat")
    shop.ports.catalog.put(row.but(state=state, revision=row.revision + 1), row.revision)
    with pytest.raises(PictureNotFound):
        shop.image("cat", deleted=True)


@pytest.mark.parametrize("size", ImageSize)
def test_a_missing_or_damaged_original_is_unavailable(shop: Shop, size: ImageSize) -> None:
    row = shop.add(jpeg(photograph("chelsea.png")), "cat")
    shop.originals.files[row.object_key] = b"<html>"
    with pytest.raises(Unavailable, match="damaged"):
        shop.image("cat", size)
    del shop.originals.files[row.object_key]
    with pytest.raises(Unavailable, match="missing"):
        shop.image("cat", size)


@pytest.mark.parametrize("size", [ImageSize.THUMB, ImageSize.VIEW])
def test_nothing_is_decoded_for_nobody(shop: Shop, size: ImageSize) -> None:
    class Gone(Call):
        def check(self) -> None:
            raise Abandoned("gone")

    shop.add(jpeg(photograph("chelsea.png")), "cat")
    with pytest.raises(Abandoned):
        picture_image(replace(shop.ports, call=Gone()), shop.library, "cat", size)


# -- Thumbnails --------------------------------------------------------------------------------------------------------


def test_a_thumbnail_is_made_once(shop: Shop) -> None:
    row = shop.add(jpeg(photograph("chelsea.png")), "cat")
    assert list(shop.originals.files) == [row.object_key]
    first = shop.image("cat")
    assert set(shop.originals.files) == {row.object_key, thumbnail_key(row.object_key)}
    shop.originals.read.clear()
    assert shop.image("cat") == first
    assert shop.originals.read == [thumbnail_key(row.object_key)]


def test_where_it_cannot_be_kept_it_is_shown_all_the_same(shop: Shop) -> None:
    row = shop.add(jpeg(photograph("chelsea.png")), "cat")
    shop.originals.full = True
    shown = shop.image("cat")
    assert opened(shown).format == "WEBP"
    assert list(shop.originals.files) == [row.object_key]
    shop.originals.full = False
    assert shop.image("cat") == shown
    assert len(shop.originals.files) == 2


def test_purge_removes_it(shop: Shop) -> None:
    row = shop.add(jpeg(photograph("chelsea.png")), "cat")
    shop.image("cat")
    shop.delete(row)
    shop.image("cat", deleted=True)
    assert len(shop.originals.files) == 2
    shop.purge()
    assert shop.originals.files == {}


def test_the_purge_of_a_removed_library_removes_it(shop: Shop) -> None:
    shop.add(jpeg(photograph("chelsea.png")), "cat")
    shop.image("cat")
    shop.ports.catalog.remove_library(shop.library, shop.clock.now)
    shop.purge()
    assert shop.originals.files == {}


def test_another_picture_in_its_place_has_one_of_its_own(shop: Shop) -> None:
    first = shop.add(jpeg(photograph("chelsea.png")), "it")
    before = shop.image("it")
    shop.delete(first)
    second = shop.add(jpeg(photograph("coffee.png")), "it")
    after = shop.image("it")
    assert after.data != before.data
    assert after.revision > before.revision
    assert set(shop.originals.files) == {second.object_key, thumbnail_key(second.object_key)}


def claimed(row: Picture) -> Picture:
    return row.but(state=State.PURGING, revision=row.revision + 1)


@pytest.mark.parametrize("race", ["purged", "claimed", "replaced"])
def test_no_thumbnail_outlives_an_original_that_is_removed_meanwhile(shop: Shop, race: str) -> None:
    row = shop.add(jpeg(photograph("chelsea.png")), "it")
    shop.delete(row)

    def meanwhile() -> None:
        shop.originals.on_thumbnail = lambda: None
        if race == "purged":
            shop.purge()
        elif race == "claimed":
            current = find_picture(shop.ports, shop.library, "it", deleted=True)
            shop.ports.catalog.put(claimed(current), current.revision)
        else:
            shop.add(jpeg(photograph("coffee.png")), "it")

    shop.originals.on_thumbnail = meanwhile
    assert opened(shop.image("it", deleted=True)).format == "WEBP"
    assert thumbnail_key(row.object_key) not in shop.originals.files


# -- Names -------------------------------------------------------------------------------------------------------------


def test_a_picture_that_is_its_own_id_is_named_by_it_or_by_its_sign() -> None:
    shop = Shop(Identity.PICTURE)
    row = shop.add(png(photograph("chelsea.png")))
    other = shop.add(png(photograph("coffee.png")))
    for name in (row.key.id, sign_of(row.digest)):
        assert find_picture(shop.ports, shop.library, name).key == row.key
    assert find_picture(shop.ports, shop.library, sign_of(other.digest)).key == other.key


def test_two_with_one_sign_have_to_be_named_by_their_ids_unless_one_is_deleted() -> None:
    shop = Shop(Identity.PICTURE)
    row = shop.add(png(photograph("chelsea.png")))
    twin = row.key.id[:16] + "f" * 48
    shop.ports.catalog.put(row.but(key=replace(row.key, id=twin), digest=twin), None)
    with pytest.raises(SignAmbiguous):
        shop.image(sign_of(row.digest))
    assert find_picture(shop.ports, shop.library, twin).key.id == twin
    deleted = row.but(state=State.DELETED, deleted_at=1, revision=row.revision + 1)
    shop.ports.catalog.put(deleted, row.revision)
    for wanted in (False, True):
        assert find_picture(shop.ports, shop.library, sign_of(row.digest), deleted=wanted).key.id == twin
    assert find_picture(shop.ports, shop.library, row.key.id, deleted=True).key == row.key


@pytest.mark.parametrize("name", ["", "cat\0", "x" * 513, "\ud800", "../cat", "CAT", "1,2", "99999999999,1"])
@pytest.mark.parametrize("identity", Identity)
def test_a_name_of_nothing_is_not_found(identity: Identity, name: str) -> None:
    shop = Shop(identity)
    shop.add(jpeg(photograph("chelsea.png")), "cat" if identity is Identity.OWN else None)
    with pytest.raises(PictureNotFound):
        shop.image(name)


def test_with_callers_ids_signs_name_nothing(shop: Shop) -> None:
    row = shop.add(jpeg(photograph("chelsea.png")), "cat")
    with pytest.raises(PictureNotFound):
        shop.image(sign_of(row.digest))


def test_any_id_names_its_picture(shop: Shop) -> None:
    for id_ in ("a/b", "猫" * 170, "x\0y", "1,2", "<script>"):
        row = shop.add(jpeg(photograph("chelsea.png")), id_)
        assert find_picture(shop.ports, shop.library, id_) is row


def test_of_another_library_nothing_is_shown(shop: Shop) -> None:
    shop.add(jpeg(photograph("chelsea.png")), "cat")
    other = create_library(shop.ports, LibraryRef("another", "shop", Kind.SIMILAR, Identity.OWN))
    for call in (
        lambda: picture_image(shop.ports, other, "cat", ImageSize.ORIGINAL, deleted=True),
        lambda: stored_source(shop.ports, other, "cat", BOUNDS),
    ):
        with pytest.raises(PictureNotFound):
            call()


# -- Searching by what is stored ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", Identity)
@pytest.mark.parametrize("kind", Kind)
def test_a_stored_picture_finds_itself_first(identity: Identity, kind: Kind) -> None:
    shop = Shop(identity, kind)
    files = [jpeg(photograph(name, 200)) for name in NAMES]
    rows = [shop.add(file, str(number) if identity is Identity.OWN else None) for number, file in enumerate(files)]
    for row in rows:
        for name in {row.key.id, sign_of(row.digest) if identity is Identity.PICTURE else row.key.id}:
            source = stored_source(shop.ports, shop.library, name, BOUNDS)
            match = search(shop.ports, Search((shop.library,), source)).matches[0]
            assert (match.candidate.key, match.score, match.reason) == (row.key, 1.0, "exact")


def test_what_is_gone_is_not_searched_for(shop: Shop) -> None:
    row = shop.add(jpeg(photograph("chelsea.png")), "cat")
    del shop.originals.files[row.object_key]
    with pytest.raises(Unavailable, match="missing"):
        stored_source(shop.ports, shop.library, "cat", BOUNDS)
    shop.delete(row)
    with pytest.raises(PictureNotFound):
        stored_source(shop.ports, shop.library, "cat", BOUNDS)
