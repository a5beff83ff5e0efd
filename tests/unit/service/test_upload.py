"""From uploaded objects to pictures: doubled, late, replaced, broken off and impossible events."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from PIL import Image

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Embedding, Metadata, Picture, Pixels, sign_of
from lookalike.domain.upload import Holding, Upload
from lookalike.errors import (
    ApplicationDisabled,
    ApplicationNotFound,
    InvalidArgument,
    LibraryNotFound,
    LookalikeError,
    NotAPicture,
    PictureSizeError,
    RevisionConflict,
    Unavailable,
)
from lookalike.handlers.process_ports import serving
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.purge import purge
from lookalike.service.upload import MAX_BYTES, ObjectCreated, Outcome, ingest, is_processed
from lookalike.service.upload_metadata import metadata_digest
from lookalike.settings import Settings
from tests.support.baidu import Caller
from tests.support.examples import examples
from tests.support.fakes import MemoryCatalog, MemoryObjects, MemoryUploads, SetClock, TinyEmbedder, memory_ports

ALICE = Application("access", "secret", "10000001", "tenant", "alice")
IDLE = Application("access-idle", "secret", "10000009", "tenant-idle", "idle", active=False)
KEY = "uploads/10000001/same_hq/shoes/red.png"
BUCKET = "uploads"
DAY = 86_400_000


def file(number: int, **options: int) -> bytes:
    """A picture for each number."""
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


class World:
    """Stores in memory, and an upload bucket."""

    def __init__(self, **overrides: Any) -> None:
        self.objects = MemoryObjects()
        self.catalog: MemoryCatalog = overrides.pop("catalog", None) or MemoryCatalog()
        self.uploads: MemoryUploads = overrides.pop("uploads", None) or MemoryUploads()
        self.clock = SetClock(1_000 * DAY)
        self.ports: Ports = memory_ports(
            ALICE,
            IDLE,
            objects=self.objects,
            catalog=self.catalog,
            uploads=self.uploads,
            clock=self.clock,
            **overrides,
        )

    def put(self, sequencer: str, data: bytes, key: str = KEY, **words: str) -> ObjectCreated:
        """Put an object; the event of it."""
        return ObjectCreated(BUCKET, key, sequencer, self.objects.put(BUCKET, key, data, **words))

    def live(self) -> list[Picture]:
        return [row for row in self.catalog.rows.values() if row.live]

    def briefs(self) -> list[str]:
        return sorted(row.metadata.brief for row in self.live())


def until_settled(world: World, event: ObjectCreated) -> None:
    """The event comes again, as it does, until it need not."""
    for _ in range(3):
        try:
            ingest(world.ports, event)
        except RevisionConflict:
            world.clock.now += 60_000
        else:
            return
    raise AssertionError("it comes for ever")


@pytest.fixture
def world() -> World:
    return World()


def by_hand(world: World, number: int) -> Picture:
    """Somebody adds this picture to the same library over HTTP."""
    bounds = Bounds(1 << 20, 1, 64, 4096, frozenset({"PNG"}))
    return add(
        world.ports,
        Add(
            LibraryRef("tenant", "same_hq", Kind.SAME),
            Source(bounds, data=file(number)),
            metadata=Metadata(brief="hand"),
        ),
    )


def test_an_upload_is_added_with_what_is_said_of_it(world: World) -> None:
    event = world.put("1", file(1), brief="书", tags=" 1, 2,1,", label="shoe", desc='{"a": 1}')
    assert ingest(world.ports, event) is Outcome.ADDED
    (row,) = world.live()
    assert row.metadata == Metadata("书", "shoe", '{"a":1}', ("1", "2"))
    assert row.kind is Kind.SAME
    assert world.ports.index.count(row.key.library) == 1
    assert world.ports.originals.get(row.object_key) == file(1)
    holds = Holding(row.key, row.added, metadata_digest(row.metadata))
    assert world.uploads.upload(f"{BUCKET}/{KEY}") == Upload(f"{BUCKET}/{KEY}", "1", holds)
    assert world.objects.head(BUCKET, KEY) is not None


@pytest.mark.parametrize(
    ("name", "brief"), [("shoes/red.png", "shoes/red.png"), ("é" * 200 + ".png", "é" * 126 + ".png")]
)
def test_without_a_brief_its_name_is_shown(world: World, name: str, brief: str) -> None:
    ingest(world.ports, world.put("1", file(1), f"uploads/10000001/similar/{name}"))
    assert world.briefs() == [brief]


@pytest.mark.parametrize(
    ("name", "kind"), [("same_hq", Kind.SAME), ("similar", Kind.SIMILAR), ("product", Kind.PRODUCT)]
)
def test_the_vendors_libraries_are_made_by_their_first_upload(world: World, name: str, kind: Kind) -> None:
    ingest(world.ports, world.put("1", file(1), f"uploads/10000001/{name}/a.png"))
    library = world.catalog.library("tenant", name)
    assert library is not None
    assert library.kind is kind


def test_other_libraries_have_to_be_there(world: World) -> None:
    event = world.put("1", file(1), "uploads/10000001/cats/a.png")
    with pytest.raises(LibraryNotFound, match="cats"):
        ingest(world.ports, event)
    world.catalog.create_library(Library("tenant", "cats", "uid", Kind.PRODUCT, Identity.PICTURE, 1))
    assert ingest(world.ports, event) is Outcome.ADDED
    assert world.live()[0].key.library == "uid"


def test_an_upload_goes_if_the_settings_say_so_and_only_once_it_is_added() -> None:
    world = World(settings=Settings(keep_uploads=False))
    ingest(world.ports, world.put("1", file(1)))
    assert world.objects.files == {}
    with pytest.raises(NotAPicture):
        ingest(world.ports, world.put("2", b"no picture"))
    assert len(world.objects.files) == 1


def test_an_upload_that_cannot_be_removed_is_added_all_the_same() -> None:
    world = World(settings=Settings(keep_uploads=False))

    def refuse(*_: object) -> None:
        raise Unavailable("no answer")

    world.objects.remove = refuse  # type: ignore[method-assign, assignment]
    assert ingest(world.ports, world.put("1", file(1))) is Outcome.ADDED


def test_an_object_put_while_the_one_before_is_added_is_not_removed() -> None:
    world = World(settings=Settings(keep_uploads=False))
    first = world.put("1", file(1))
    read = world.objects.read

    def read_and_replace(bucket: str, key: str, etag: str) -> bytes | None:
        data = read(bucket, key, etag)
        world.objects.put(bucket, key, file(2))
        return data

    world.objects.read = read_and_replace  # type: ignore[method-assign]
    ingest(world.ports, first)
    assert [data for data, _ in world.objects.files.values()] == [file(2)]


# -- Events doubled and out of order -----------------------------------------------------------------------------------


def test_a_doubled_event_does_nothing(world: World) -> None:
    event = world.put("1", file(1))
    ingest(world.ports, event)
    delete(world.ports, Delete(LibraryRef("tenant", "same_hq", Kind.SAME), (_sign(world.live()[0]),)))
    assert ingest(world.ports, event) is Outcome.DUPLICATE_EVENT
    assert is_processed(world.ports, event)
    assert world.live() == []


def _sign(row: Picture) -> str:
    return sign_of(row.digest)


def test_what_was_deleted_and_purged_does_not_come_back_with_a_doubled_event(world: World) -> None:
    event = world.put("1", file(1))
    ingest(world.ports, event)
    delete(world.ports, Delete(LibraryRef("tenant", "same_hq", Kind.SAME), (_sign(world.live()[0]),)))
    world.clock.now += 8 * DAY
    assert purge(world.ports, lambda: True).pictures == 1
    assert ingest(world.ports, event) is Outcome.DUPLICATE_EVENT
    assert world.catalog.rows == {}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("005B7A2C", "005B7A2D"),
        ("005b7a2c", "005B7A2D"),
        ("005B7A2C", "005B7A2C01"),
        ("005B7A2C", "1"),
        ("0055AED6DCD90281E5", "0055AED6DCD90281E6"),
    ],
)
def test_an_older_event_does_nothing(world: World, earlier: str, later: str) -> None:
    old = world.put(earlier, file(1))
    new = world.put(later, file(2))
    assert ingest(world.ports, new) is Outcome.ADDED
    assert ingest(world.ports, old) is Outcome.DUPLICATE_EVENT
    assert [row.file_digest for row in world.live()] == [_digest(file(2))]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_sequencers_that_differ_in_zeros_at_the_end_are_one(world: World) -> None:
    event = world.put("5B", file(1))
    ingest(world.ports, event)
    assert ingest(world.ports, replace(event, sequencer="5b00")) is Outcome.DUPLICATE_EVENT


def test_the_event_of_an_object_that_was_replaced_since_leaves_it_to_the_later_event(world: World) -> None:
    old = world.put("1", file(1))
    new = world.put("2", file(2))
    assert ingest(world.ports, old) is Outcome.SUPERSEDED
    assert world.live() == []
    assert ingest(world.ports, new) is Outcome.ADDED


def test_an_object_replaced_while_it_is_read_is_left_to_the_later_event(world: World) -> None:
    event = world.put("1", file(1))
    world.objects.read = lambda *_: None  # type: ignore[method-assign]
    assert ingest(world.ports, event) is Outcome.SUPERSEDED


def test_an_object_that_is_gone_is_nothing(world: World) -> None:
    assert ingest(world.ports, ObjectCreated(BUCKET, KEY, "1", "etag")) is Outcome.GONE
    assert world.catalog.rows == {}


# -- An object replaced ------------------------------------------------------------------------------------------------


def test_an_object_replaced_takes_away_what_was_made_of_the_one_before(world: World) -> None:
    ingest(world.ports, world.put("1", file(1), brief="one"))
    assert ingest(world.ports, world.put("2", file(2), brief="two")) is Outcome.ADDED
    assert world.briefs() == ["two"]
    assert world.ports.index.count(world.live()[0].key.library) == 1


def test_what_somebody_else_has_added_again_stays(world: World) -> None:
    ingest(world.ports, world.put("1", file(1)))
    delete(world.ports, Delete(LibraryRef("tenant", "same_hq", Kind.SAME), (_sign(world.live()[0]),)))
    again = by_hand(world, 1)
    ingest(world.ports, world.put("2", file(2), brief="two"))
    assert world.briefs() == ["hand", "two"]
    assert world.ports.index.count(again.key.library) == 2


def test_a_picture_that_is_there_already_is_nobodys_to_take_away(world: World) -> None:
    by_hand(world, 1)
    assert ingest(world.ports, world.put("1", file(1))) is Outcome.ALREADY_PRESENT
    ingest(world.ports, world.put("2", file(2), brief="two"))
    assert world.briefs() == ["hand", "two"]


def test_replaced_by_a_picture_that_is_there_already_it_takes_its_own_away(world: World) -> None:
    by_hand(world, 2)
    ingest(world.ports, world.put("1", file(1)))
    assert ingest(world.ports, world.put("2", file(2))) is Outcome.ALREADY_PRESENT
    assert world.briefs() == ["hand"]


def test_the_same_picture_put_again_says_its_newer_words(world: World) -> None:
    ingest(world.ports, world.put("1", file(1), brief="old", tags="1"))
    (before,) = world.live()
    event = world.put("2", file(1, compress_level=1), brief="new", label="l")
    assert ingest(world.ports, event) is Outcome.ALREADY_PRESENT
    (after,) = world.live()
    assert (after.metadata, after.added) == (Metadata("new", "l"), before.added)
    assert world.ports.index.count(after.key.library) == 1
    ingest(world.ports, world.put("3", file(2), brief="two"))
    assert world.briefs() == ["two"]


def test_the_same_picture_with_the_same_words_changes_nothing(world: World) -> None:
    ingest(world.ports, world.put("1", file(1)))
    (before,) = world.live()
    assert ingest(world.ports, world.put("2", file(1))) is Outcome.ALREADY_PRESENT
    assert world.live()[0].revision == before.revision


def test_an_object_that_is_refused_changes_nothing(world: World) -> None:
    ingest(world.ports, world.put("1", file(1), brief="one"))
    refused = world.put("2", b"no picture")
    with pytest.raises(NotAPicture):
        ingest(world.ports, refused)
    assert world.briefs() == ["one"]
    assert is_processed(world.ports, refused)
    assert ingest(world.ports, refused) is Outcome.DUPLICATE_EVENT
    ingest(world.ports, world.put("3", file(3), brief="three"))
    assert world.briefs() == ["three"]


# -- What never will be a picture --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("uploads/10000001/same_hq", InvalidArgument),
        ("uploads/10000001/same_hq/", InvalidArgument),
        ("uploads/10000001//a.png", InvalidArgument),
        ("uploads/../10000001/same_hq/a.png", InvalidArgument),
        ("uploads/x/same_hq/a.png", InvalidArgument),
        ("uploads/１０００００１/same_hq/a.png", InvalidArgument),
        ("elsewhere/10000001/same_hq/a.png", InvalidArgument),
        ("a.png", InvalidArgument),
        ("", InvalidArgument),
        ("uploads/20000001/same_hq/a.png", ApplicationNotFound),
        ("uploads/10000009/same_hq/a.png", ApplicationDisabled),
        ("uploads/10000001/../same_hq/a.png", LibraryNotFound),
        ("uploads/10000001/same_hq\n/a.png", LibraryNotFound),
        ("uploads/10000001/" + "x" * 900 + "/a.png", LibraryNotFound),
    ],
)
def test_keys_that_lead_nowhere(world: World, key: str, error: type[LookalikeError]) -> None:
    with pytest.raises(error) as caught:
        ingest(world.ports, world.put("1", file(1), key))
    assert not caught.value.retryable
    assert world.catalog.rows == {}
    assert world.objects.read_keys == []


@pytest.mark.parametrize("name", ["../../../etc/passwd", "a b+c.png", "猫🐈.png", "%00", "x" * 900, "a\nb"])
def test_hostile_names_are_just_names(world: World, name: str) -> None:
    key = f"uploads/10000001/similar/{name}"
    assert ingest(world.ports, world.put("1", file(1), key)) is Outcome.ADDED


@pytest.mark.parametrize(
    "words",
    [
        {"brief": "x" * 257},
        {"brief": "a\0b"},
        {"brief": "\ud800"},
        {"label": "書" * 171},
        {"desc": "{"},
        {"desc": '"' + "x" * 4096 + '"'},
        {"desc": "[" * 4000},
        {"tags": ",".join(map(str, range(11)))},
        {"tags": "x" * 257},
        {"tags": "x"},
        {"tags": "0"},
        {"tags": "65536"},
        {"tags": "1:5"},
        {"tags": "1,2,3"},
    ],
)
def test_words_that_cannot_be_kept_are_refused_by_name(world: World, words: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(words))):
        ingest(world.ports, world.put("1", file(1), **words))
    assert world.catalog.rows == {}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("1:5,2:7", ("1:5", "2:7")),
        (" 2:007 ", ("2:7",)),
        ("2:7,2:7", ("2:7",)),
        *[(said, None) for said in ("5", "3:5", "1:", "1:x", "1:65536", "1:5,1:6")],
    ],
)
def test_a_products_tags_are_a_number_in_each_of_two_places(
    world: World, said: str, kept: tuple[str, ...] | None
) -> None:
    event = world.put("1", file(1), "uploads/10000001/product/a.png", tags=said)
    with nullcontext() if kept is not None else pytest.raises(InvalidArgument, match="tags"):
        ingest(world.ports, event)
    assert [row.metadata.tags for row in world.catalog.rows.values()] == ([] if kept is None else [kept])


@pytest.mark.parametrize(
    "tags", ["", "1", "7,9", "007", "1,2,3", "x", "0", "65535", "65536", "-1", "1.5", "1,,2", " 1 , 2 ", "٣"]
)
def test_an_uploads_tags_are_taken_and_refused_as_a_clients_are(tags: str) -> None:
    world = World()
    caller = Caller(ALICE)
    with serving(memory_ports(ALICE, catalog=(catalog := MemoryCatalog()))):
        refused = "error_code" in caller.call("similar", "add", image=file(1), brief="b", tags=tags)
    try:
        ingest(world.ports, world.put("1", file(1), "uploads/10000001/similar/a.png", tags=tags))
    except InvalidArgument:
        assert refused
    assert [row.metadata.tags for row in world.catalog.rows.values()] == [
        row.metadata.tags for row in catalog.rows.values()
    ]


def test_an_object_of_200_mb_is_never_downloaded(world: World) -> None:
    event = world.put("1", file(1))
    world.objects.sizes[BUCKET, KEY] = 200_000_000
    with pytest.raises(PictureSizeError, match=f"200000000 bytes, more than {MAX_BYTES}"):
        ingest(world.ports, event)
    assert world.objects.read_keys == []


@pytest.mark.parametrize("data", [b"", b"no picture", file(1)[:-40]])
def test_what_is_no_picture_is_refused(world: World, data: bytes) -> None:
    with pytest.raises(LookalikeError) as caught:
        ingest(world.ports, world.put("1", data))
    assert not caught.value.retryable
    assert world.catalog.rows == {}


# -- Crashes and races -------------------------------------------------------------------------------------------------


class Crash(Exception):  # noqa: N818 - it stands for no error
    """The process ends here."""


class CrashingCatalog(MemoryCatalog):
    """Crashes at a put, before it or behind it, as often as told."""

    before = behind = 0

    def put(self, picture: Picture, previous: int | None) -> None:
        if self.before:
            self.before -= 1
            raise Crash
        super().put(picture, previous)
        if self.behind:
            self.behind -= 1
            raise Crash


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_crash_around_the_write_converges_when_the_event_comes_again(where: str, *, replaced: bool) -> None:
    catalog = CrashingCatalog()
    world = World(catalog=catalog)
    if replaced:
        ingest(world.ports, world.put("1", file(1), brief="one"))
    event = world.put("2", file(2), brief="two")
    for attempt in range(3):
        setattr(catalog, where, 1)
        try:
            ingest(world.ports, event)
        except Crash:
            world.clock.now += 60_000
            setattr(catalog, where, 0 if attempt else 1)
        setattr(catalog, where, 0)
    ingest(world.ports, event)
    assert world.briefs() == ["two"]
    assert is_processed(world.ports, event)
    world.clock.now += 60_000
    ingest(world.ports, world.put("3", file(3), brief="three"))  # and it is still known whose the picture is
    assert world.briefs() == ["three"]


def test_a_picture_that_was_to_be_left_and_comes_back_is_still_its_uploads() -> None:
    catalog = CrashingCatalog()
    world = World(catalog=catalog)
    ingest(world.ports, world.put("1", file(1), brief="before"))
    catalog.before = 1
    with pytest.raises(Crash):
        ingest(world.ports, world.put("2", file(2)))
    ingest(world.ports, world.put("3", file(1), brief="again"))
    assert world.briefs() == ["again"]
    ingest(world.ports, world.put("4", file(3), brief="another"))
    assert world.briefs() == ["another"]


class CrashingUploads(MemoryUploads):
    """Crashes behind the next write."""

    crash = False

    def save_upload(self, upload: Upload, known: Upload | None) -> None:
        super().save_upload(upload, known)
        if self.crash:
            self.crash = False
            raise Crash


def test_a_crash_behind_the_intent_converges() -> None:
    uploads = CrashingUploads()
    world = World(uploads=uploads)
    event = world.put("1", file(1), brief="one")
    uploads.crash = True
    with pytest.raises(Crash):
        ingest(world.ports, event)
    assert not is_processed(world.ports, event)
    assert ingest(world.ports, event) is Outcome.ADDED
    assert world.briefs() == ["one"]


class Meanwhile(MemoryCatalog):
    """Something happens just before, or just after, the next row is put."""

    first: Callable[[], object] | None = None
    then: Callable[[], object] | None = None

    def put(self, picture: Picture, previous: int | None) -> None:
        first, self.first = self.first, None
        if first is not None:
            first()
        super().put(picture, previous)
        then, self.then = self.then, None
        if then is not None:
            then()


def test_a_later_event_that_goes_past_this_one_wins() -> None:
    catalog = Meanwhile()
    world = World(catalog=catalog)
    old = world.put("1", file(1), brief="one")

    def later() -> None:
        assert ingest(world.ports, world.put("2", file(2), brief="two")) is Outcome.ADDED

    catalog.first = later
    assert ingest(world.ports, old) is Outcome.SUPERSEDED
    assert world.briefs() == ["two"]
    ingest(world.ports, world.put("3", file(3), brief="three"))
    assert world.briefs() == ["three"]


def test_a_later_event_of_the_same_picture_does_not_lose_it() -> None:
    for moment in ("first", "then"):
        catalog = Meanwhile()
        world = World(catalog=catalog)
        old = world.put("1", file(1), brief="one")

        def later(world: World = world) -> None:
            ingest(world.ports, world.put("2", file(1), brief="two"))

        setattr(catalog, moment, later)
        until_settled(world, old)
        assert world.briefs() == ["two"], moment
        world.clock.now += 1
        ingest(world.ports, world.put("3", file(3), brief="three"))
        assert world.briefs() == ["three"], moment


def test_back_to_the_first_picture_while_the_second_is_added_keeps_the_first() -> None:
    catalog = Meanwhile()
    world = World(catalog=catalog)
    ingest(world.ports, world.put("1", file(1), brief="one"))
    second = world.put("2", file(2), brief="two")
    embedder = world.ports.embedder

    class Slow(TinyEmbedder):
        """While it embeds, the object becomes what it was."""

        def embed(self, pictures: Sequence[Pixels]) -> Sequence[Embedding]:
            made = embedder.embed(pictures)
            ingest(replace(world.ports, embedder=embedder), world.put("3", file(1), brief="again"))
            return made

    with pytest.raises(RevisionConflict):
        ingest(replace(world.ports, embedder=Slow()), second)
    until_settled(world, second)
    assert world.briefs() == ["again"]


def test_an_event_doubled_at_the_same_time_is_done_once() -> None:
    catalog = Meanwhile()
    world = World(catalog=catalog)
    event = world.put("1", file(1), brief="one")

    def twin() -> None:
        ingest(world.ports, event)

    catalog.first = twin
    until_settled(world, event)
    assert world.briefs() == ["one"]
    world.clock.now += 1
    assert is_processed(world.ports, event)


def test_two_first_events_at_once_leave_one_to_come_again() -> None:
    world = World()
    old, new = world.put("1", file(1)), world.put("2", file(2), brief="two")
    world.objects.put(BUCKET, KEY, file(1))
    read = world.objects.read

    def read_beside_another(bucket: str, key: str, etag: str) -> bytes | None:
        data = read(bucket, key, etag)
        world.objects.read = read  # type: ignore[method-assign]
        world.objects.put(BUCKET, KEY, file(2), brief="two")
        ingest(world.ports, new)
        return data

    world.objects.read = read_beside_another  # type: ignore[method-assign]
    with pytest.raises(RevisionConflict) as caught:
        ingest(world.ports, old)
    assert caught.value.retryable
    assert ingest(world.ports, old) is Outcome.DUPLICATE_EVENT
    assert world.briefs() == ["two"]


# -- Any order of anything ---------------------------------------------------------------------------------------------

keys = st.sampled_from([KEY, "uploads/10000001/same_hq/b.png"])
pictures = st.integers(0, 2)


class UploadLife(RuleBasedStateMachine):
    """Objects are put and deleted, their events come in any order and any number, some runs crash, days pass.

    Each object has a picture nobody else adds or deletes, so once all events have come, what is live is what the
    objects of each key show now, or showed last.
    """

    @initialize()
    def begin(self) -> None:
        self.catalog = CrashingCatalog()
        self.world = World(catalog=self.catalog)
        self.events: list[ObjectCreated] = []
        self.shown: dict[str, tuple[int, str]] = {}
        self.done: dict[str, int] = {}
        self.count = 0

    @rule(key=keys, picture=pictures, brief=st.sampled_from("ab"))
    def put(self, key: str, picture: int, brief: str) -> None:
        self.count += 1
        number = picture * 2 + (key == KEY)  # the keys share no picture
        self.events.append(self.world.put(f"{self.count:04x}", file(number), key, brief=brief))
        self.shown[key] = number, brief

    @rule(which=st.integers(0, 1000), crash=st.sampled_from(["", "", "before", "behind"]))
    def event_comes(self, which: int, crash: str) -> None:
        if not self.events:
            return
        event = self.events[which % len(self.events)]
        if crash:
            setattr(self.catalog, crash, 1)
        try:
            ingest(self.world.ports, event)
        except Crash:
            pass
        finally:
            self.catalog.before = self.catalog.behind = 0

    @rule(days=st.sampled_from([0.001, 3, 8]))
    def time_passes(self, days: float) -> None:
        self.world.clock.now += int(days * DAY)
        assert purge(self.world.ports, lambda: True).done

    @rule()
    def all_events_come(self) -> None:
        for event in self.events:
            ingest(self.world.ports, event)
        rows = {(row.file_digest, row.metadata.brief) for row in self.world.live()}
        assert rows == {(_digest(file(number)), brief) for number, brief in self.shown.values()}

    @invariant()
    def nothing_is_live_twice(self) -> None:
        assert len(self.world.live()) <= 2 * len(self.shown)


UploadLife.TestCase.settings = settings(max_examples=examples(80), stateful_step_count=30)
test_upload_life = UploadLife.TestCase
