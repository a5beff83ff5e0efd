"""Pictures that several uploads hold, one after another or at once, whatever comes between."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from lookalike.domain.application import Application
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Metadata, Picture, sign_of
from lookalike.domain.upload import Upload, UploadState
from lookalike.errors import PictureExists, PictureNotFound, RevisionConflict, Unavailable
from lookalike.imaging.decode import Bounds, decode
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.holders import commit_intent
from lookalike.service.image_source import Source
from lookalike.service.purge import purge
from lookalike.service.update import Update, update
from lookalike.service.upload import ObjectCreated, ObjectRemoved, Outcome, ingest, is_processed, remove
from lookalike.settings import Settings
from tests.contract.rows import described
from tests.support.examples import examples, spread
from tests.support.fakes import MemoryCatalog, MemoryObjects, MemoryUploads, SetClock, memory_ports, with_stores
from tests.unit.service.test_upload import file

ALICE = Application("access", "secret", "10000001", "tenant", "alice")
BUCKET = "uploads"
LIBRARY_REF = LibraryRef("tenant", "same_hq", Kind.SAME)
DAY = 86_400_000
BOUNDS = Bounds(1 << 20, 1, 64, 4096, frozenset({"PNG"}))
FILES = [file(number) for number in range(6)]
DIGESTS = [decode(data, BOUNDS).digest for data in FILES]


class Crash(Exception):  # noqa: N818 - it stands for no error
    """The process ends here."""


class Stores:
    """What several stores share: before or behind one of the next calls of any of them something happens, once."""

    def __init__(self) -> None:
        self.calls = 0
        self.at = 0
        self.behind = False
        self.happens: Callable[[], object] | None = None

    def watched(self, store: Any) -> Any:
        return Watched(self, store)

    def tell(self, calls: int, happens: Callable[[], object], *, behind: bool = False) -> None:
        self.at, self.happens, self.behind = self.calls + calls, happens, behind

    def happen(self) -> None:
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()


class Watched:
    """A store whose calls are counted."""

    def __init__(self, stores: Stores, store: Any) -> None:
        self.stores = stores
        self.store = store

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            self.stores.calls += 1
            now = self.stores.calls == self.stores.at
            if now and not self.stores.behind:
                self.stores.happen()
            answer = found(*args, **options)
            if now and self.stores.behind:
                self.stores.happen()
            return answer

        return call


class World:
    """A bucket, and stores in memory."""

    def __init__(self, *, keep: bool = True) -> None:
        self.stores = Stores()
        self.objects = MemoryObjects()
        self.catalog = MemoryCatalog()
        self.uploads = MemoryUploads()
        self.clock = SetClock(1_000 * DAY)
        self.count = 0
        self.ports: Ports = memory_ports(
            ALICE,
            objects=self.stores.watched(self.objects),
            catalog=self.stores.watched(self.catalog),
            uploads=self.stores.watched(self.uploads),
            clock=self.clock,
            settings=Settings(keep_uploads=keep),
        )

    def put(self, name: str, number: int, **words: str) -> ObjectCreated:
        self.count += 1
        self.clock.now += 1
        etag = self.objects.put(BUCKET, key(name), FILES[number], **words)
        return ObjectCreated(BUCKET, key(name), f"{self.count:04x}", etag)

    def move(self, name: str, to: str) -> tuple[ObjectCreated, ObjectRemoved]:
        """As ``aws s3 mv`` and a file manager do it."""
        self.count += 1
        self.clock.now += 1
        data, words = self.objects.files.pop((BUCKET, key(name)))
        etag = self.objects.put(BUCKET, key(to), data, **words)
        return ObjectCreated(BUCKET, key(to), f"{self.count:04x}", etag), ObjectRemoved(BUCKET, key(name))

    def remove(self, name: str) -> ObjectRemoved:
        del self.objects.files[BUCKET, key(name)]
        return ObjectRemoved(BUCKET, key(name))

    def come(self, *events: ObjectCreated | ObjectRemoved) -> None:
        """The events come, again and again as long as they have to."""
        for event in events:
            for _ in range(4):
                self.clock.now += 1
                try:
                    happen(self.ports, event)
                except (RevisionConflict, Unavailable):
                    continue
                break
            else:
                raise AssertionError("it comes for ever")

    def add(self, number: int) -> None:
        """A client adds it."""
        self.clock.now += 1
        add(self.ports, Add(LIBRARY_REF, Source(BOUNDS, data=FILES[number]), metadata=Metadata(brief="client")))

    def delete(self, number: int) -> None:
        """A client deletes it."""
        self.clock.now += 1
        delete(self.ports, Delete(LIBRARY_REF, (sign_of(DIGESTS[number]),)))

    def shown(self) -> dict[int, str]:
        """The live pictures, and what is said of each."""
        return {DIGESTS.index(row.digest): row.metadata.brief for row in self.catalog.rows.values() if row.live}

    def row(self, number: int) -> Picture | None:
        rows = [row for row in self.catalog.rows.values() if row.digest == DIGESTS[number]]
        return rows[0] if rows else None


def key(name: str) -> str:
    return f"uploads/10000001/same_hq/{name}"


def happen(ports: Ports, event: ObjectCreated | ObjectRemoved) -> Outcome:
    return ingest(ports, event) if isinstance(event, ObjectCreated) else remove(ports, event)


@pytest.fixture
def world() -> World:
    return World()


def orders(events: list[Any]) -> list[list[Any]]:
    """The events as they happened, backwards, and shuffled."""
    shuffled = [random.Random(seed).sample(events, len(events)) for seed in range(4)]
    return [events, events[::-1], *shuffled]


@pytest.mark.parametrize("order", range(6))
def test_files_that_move_up_by_one_stay_with_their_present_names(world: World, order: int) -> None:
    world.come(*(world.put(name, number) for number, name in enumerate("abcd")))
    events: list[Any] = [world.remove("a")]
    for name, to in ("ba", "cb", "dc"):
        events += world.move(name, to)
    world.come(*orders(events)[order])
    assert world.shown() == {1: "a", 2: "b", 3: "c"}


@pytest.mark.parametrize("order", range(6))
def test_files_that_change_places_stay_with_their_present_names(world: World, order: int) -> None:
    world.come(world.put("a", 0), world.put("b", 1))
    events = [*world.move("a", "t"), *world.move("b", "a"), *world.move("t", "b")]
    world.come(*orders(events)[order])
    assert world.shown() == {1: "a", 0: "b"}


@pytest.mark.parametrize("order", range(6))
def test_a_file_put_away_before_a_new_one_takes_its_name_stays(world: World, order: int) -> None:
    world.come(world.put("current", 0))
    events = [*world.move("current", "archive/1"), world.put("current", 1)]
    world.come(*orders(events)[order])
    assert world.shown() == {0: "archive/1", 1: "current"}


def test_a_copy_speaks_for_the_picture_once_the_first_is_gone(world: World) -> None:
    world.come(world.put("a", 0), world.put("b", 0))
    assert world.shown() == {0: "a"}
    world.come(world.remove("a"))
    assert world.shown() == {0: "b"}


def test_what_uploads_say_leaves_an_old_sign_alone(world: World) -> None:
    def old_sign() -> str:
        row = world.row(0)
        return "" if row is None else row.metadata.old_sign

    world.come(world.put("a", 0))
    update(world.ports, Update(LIBRARY_REF, sign_of(DIGESTS[0]), {"old_sign": "1,2"}))
    world.come(world.put("a", 0, brief="said anew"))
    assert (world.shown(), old_sign()) == ({0: "said anew"}, "1,2")
    world.come(world.put("b", 0), world.remove("a"))
    assert (world.shown(), old_sign()) == ({0: "b"}, "1,2")
    world.come(world.put("b", 1))
    assert world.shown() == {1: "b"}
    world.come(world.put("c", 0))
    assert (world.shown(), old_sign()) == ({1: "b", 0: "c"}, "1,2")


def test_a_deletion_that_comes_late_changes_nothing(world: World) -> None:
    world.come(world.put("a", 0), world.put("b", 0))
    gone = world.remove("a")
    world.come(world.put("a", 0), gone)
    assert world.shown() == {0: "a"}


def test_the_last_to_be_overwritten_takes_the_picture_with_it(world: World) -> None:
    world.come(world.put("a", 0), world.put("b", 0), world.put("c", 0))
    world.come(world.put("a", 1))
    assert world.shown() == {0: "b", 1: "a"}
    world.come(world.put("c", 2))
    assert world.shown() == {0: "b", 1: "a", 2: "c"}
    world.come(world.put("b", 3))
    assert world.shown() == {1: "a", 2: "c", 3: "b"}


def test_a_name_that_is_gone_holds_nothing(world: World) -> None:
    world.come(world.put("a", 0))
    world.come(*world.move("a", "b"))
    world.come(world.put("b", 1))
    assert world.shown() == {1: "b"}


def test_a_deleted_upload_leaves_its_picture(world: World) -> None:
    world.come(world.put("a", 0))
    world.come(world.remove("a"))
    assert world.shown() == {0: "a"}
    world.come(world.put("a", 1))  # and is overwritten all the same
    assert world.shown() == {1: "a"}


def test_a_name_that_comes_back_as_it_was_is_looked_at_afresh(world: World) -> None:
    """As when a disk is away for a while."""
    event = world.put("a", 0)
    world.come(event, world.put("b", 0))
    away = world.objects.files.pop((BUCKET, key("a")))
    world.come(world.put("b", 1))
    assert world.shown() == {1: "b"}
    world.objects.files[BUCKET, key("a")] = away
    world.come(event)
    assert world.shown() == {0: "a", 1: "b"}


def test_what_is_said_beside_the_file_that_is_left_is_said_of_the_picture(world: World) -> None:
    world.come(world.put("a", 0, brief="first"), world.put("b", 0, brief="second", tags="7", label="l", desc="1"))
    world.come(world.put("a", 1))
    row = world.row(0)
    assert row is not None
    assert row.metadata == Metadata("second", "l", "1", ("7",))


def test_the_file_that_speaks_for_a_picture_may_say_something_new(world: World) -> None:
    world.come(world.put("a", 0), world.put("b", 0))
    world.come(world.put("b", 0, brief="not asked"))
    assert world.shown() == {0: "a"}
    world.come(world.put("a", 0, brief="new"))
    assert world.shown() == {0: "new"}


def test_what_a_client_says_stays_while_others_come_and_go(world: World) -> None:
    world.come(world.put("a", 0), world.put("b", 0))
    row = world.row(0)
    assert row is not None
    world.catalog.put(described(row.but(revision=row.revision + 1), brief="client"), row.revision)
    world.come(world.put("c", 0), world.put("b", 1), world.put("c", 2))
    assert world.shown()[0] == "client"


@pytest.mark.parametrize("others", [(), ("b",)])
def test_no_file_takes_away_or_renames_what_a_client_has_added(world: World, others: tuple[str, ...]) -> None:
    world.add(0)
    world.come(*(world.put(name, 0) for name in ("a", *others)))
    world.come(*world.move("a", "c"))
    world.come(*(world.put(name, 1) for name in ("c", *others)))
    assert world.shown()[0] == "client"


def test_what_a_client_adds_again_is_the_clients(world: World) -> None:
    world.come(world.put("a", 0))
    world.delete(0)
    world.add(0)
    world.come(world.put("a", 0, brief="file"))
    world.come(world.put("a", 1))
    assert world.shown() == {0: "client", 1: "a"}


def test_what_a_client_deletes_comes_back_with_a_file_that_is_put_again_alone(world: World) -> None:
    first, second = world.put("a", 0), world.put("b", 0)
    world.come(first, second)
    world.delete(0)
    world.come(first, second, world.put("b", 1))
    assert world.shown() == {1: "b"}
    world.come(world.put("a", 0))
    assert world.shown() == {0: "a", 1: "b"}


def test_an_intent_never_makes_a_clients_picture_a_files(world: World) -> None:
    event = world.put("a", 0)
    world.stores.tell(calls_until(world, "put"), crash)
    with pytest.raises(Crash):
        ingest(world.ports, event)
    world.add(0)
    world.come(event, world.put("a", 1))
    assert world.shown() == {0: "client", 1: "a"}


def test_an_intent_that_never_came_true_is_not_taken_for_what_a_client_did(world: World) -> None:
    event = world.put("a", 0)
    world.stores.tell(calls_until(world, "put"), crash)
    with pytest.raises(Crash):
        ingest(world.ports, event)
    world.add(0)
    world.delete(0)
    world.come(event)
    assert world.shown() == {0: "a"}


def calls_until(world: World, name: str) -> int:
    """Calls of the stores until the catalog's method of that name, when a first picture is added."""
    probe = World()
    seen: list[str] = []
    watched = probe.ports.catalog

    class Spy:
        def __getattr__(self, called: str) -> Any:
            def call(*args: Any) -> Any:
                answer = getattr(watched, called)(*args)
                if called == name:
                    seen.append(called)
                    raise Crash
                return answer

            return call

    with pytest.raises(Crash):
        ingest(with_stores(probe.ports, catalog=Spy()), probe.put("a", 0))
    assert seen
    return probe.stores.calls


def crash() -> None:
    raise Crash


@pytest.mark.parametrize("library", ["product", "same_hq"])
def test_in_another_library_it_is_another_picture(world: World, library: str) -> None:
    world.come(world.put("a", 0))
    data, _ = world.objects.files.pop((BUCKET, key("a")))
    there = f"uploads/10000001/{library}/b"
    world.come(
        ObjectCreated(BUCKET, there, "ffff", world.objects.put(BUCKET, there, data)), ObjectRemoved(BUCKET, key("a"))
    )
    rows = [row for row in world.catalog.rows.values() if row.live]
    assert sorted(row.metadata.brief for row in rows) == (["a", "b"] if library == "product" else ["b"])


def test_an_upload_in_a_bucket_that_is_not_ours_to_look_into_counts_as_there(world: World) -> None:
    elsewhere = "other/uploads/10000001/same_hq/x"
    world.come(world.put("a", 0))
    row = world.row(0)
    assert row is not None
    held = world.uploads.rows[f"{BUCKET}/{key('a')}"].holds
    world.uploads.save_upload(Upload(elsewhere, "1", held), None)
    world.come(world.put("a", 1))
    assert world.shown() == {0: "a", 1: "a"}


def test_who_is_left_with_a_picture_that_was_deleted_and_added_again_takes_it_away(world: World) -> None:
    world.come(world.put("a", 0))
    world.delete(0)
    world.come(world.put("b", 0))
    world.come(world.put("b", 1))
    assert world.shown() == {0: "a", 1: "b"}
    world.come(world.put("a", 2))
    assert world.shown() == {1: "b", 2: "a"}


@pytest.mark.parametrize("calls", spread(range(1, 40), 8))
def test_an_heir_that_changes_meanwhile_changes_no_less(world: World, calls: int) -> None:
    world.come(world.put("a", 0))
    world.delete(0)
    world.come(world.put("b", 0))
    first, second = world.put("b", 1), world.put("a", 2)
    world.stores.tell(calls, lambda: world.come(second))
    world.come(first, second)
    assert world.shown() == {1: "b", 2: "a"}


def test_of_a_name_that_is_gone_unheard_nothing_is_said_any_more(world: World) -> None:
    world.come(world.put("a", 0), world.put("b", 0), world.put("c", 0))
    gone = world.remove("a")
    world.come(world.put("b", 1), gone)
    assert world.shown() == {0: "c", 1: "b"}


def test_a_copy_speaks_instead_of_one_that_is_gone_unheard_although_there_is_another(world: World) -> None:
    world.come(world.put("a", 0), world.put("b", 0))
    gone = world.remove("a")
    world.come(world.put("c", 0), gone)
    assert world.shown() == {0: "c"}


def test_a_name_that_has_gone_is_looked_at_once(world: World) -> None:
    world.come(world.put("a", 0))
    moved, _ = world.move("a", "b")
    world.come(moved)
    states = {source.rpartition("/")[2]: one.state for source, one in world.uploads.rows.items()}
    assert states == {"a": UploadState.GONE, "b": UploadState.SETTLED}
    row = world.row(0)
    assert row is not None
    assert [one.source for one in world.uploads.holders(row.key)] == [f"{BUCKET}/{key('b')}"]


# -- Uploads of the version before -------------------------------------------------------------------------------------


def unsure(world: World, event: ObjectCreated) -> None:
    """As the version before has remembered an upload that did not make its picture."""
    world.uploads.save_upload(Upload(event.source, event.sequencer, state=UploadState.UNSURE), None)


def test_an_upload_that_did_not_say_which_picture_it_holds_is_looked_at_again(world: World) -> None:
    world.come(world.put("a", 0))
    copy = world.put("b", 0)
    unsure(world, copy)
    world.come(copy, world.put("a", 1))
    assert world.shown() == {0: "b", 1: "a"}


def test_an_upload_that_did_not_say_which_picture_it_holds_brings_back_nothing(world: World) -> None:
    """It may be there no more because somebody has deleted it."""
    event = world.put("a", 0)
    unsure(world, event)
    world.come(event)
    assert world.shown() == {}
    assert is_processed(world.ports, event)
    world.come(world.put("a", 0))
    assert world.shown() == {0: "a"}


def test_a_picture_whose_upload_did_not_say_its_words_takes_those_of_the_next(world: World) -> None:
    world.come(world.put("a", 0), world.put("b", 0))
    known = world.uploads.rows[f"{BUCKET}/{key('a')}"]
    assert known.holds is not None
    world.uploads.save_upload(replace(known, holds=replace(known.holds, metadata_digest="")), known)
    world.come(world.put("a", 1))
    assert world.shown() == {0: "b", 1: "a"}


# -- Uploads that are cleared away -------------------------------------------------------------------------------------


def test_what_is_cleared_away_stays_as_it_was_added() -> None:
    world = World(keep=False)
    world.come(world.put("a", 0))
    world.come(world.put("b", 0))
    assert world.objects.files == {}
    world.come(ObjectRemoved(BUCKET, key("a")), ObjectRemoved(BUCKET, key("b")))
    world.come(world.put("b", 1))
    assert world.shown() == {0: "a", 1: "b"}
    world.come(world.put("a", 2))
    assert world.shown() == {1: "b", 2: "a"}


def test_of_what_is_cleared_away_a_deletion_is_expected() -> None:
    world = World(keep=False)
    world.come(world.put("a", 0))
    calls = world.stores.calls
    world.come(ObjectRemoved(BUCKET, key("a")))
    assert world.stores.calls == calls + 1


def test_what_was_cleared_away_holds_its_picture_when_uploads_are_kept_again() -> None:
    world = World(keep=False)
    world.come(world.put("a", 0))
    later = World()
    world.ports = memory_ports(
        ALICE,
        objects=world.objects,
        catalog=world.catalog,
        uploads=world.uploads,
        clock=world.clock,
        settings=later.ports.settings,
    )
    world.come(world.put("b", 0))
    world.come(world.put("b", 1))
    assert world.shown() == {0: "a", 1: "b"}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("calls", spread(range(1, 30), 8))
@pytest.mark.parametrize("before", [False, True])
def test_an_upload_that_is_to_be_cleared_away_goes_however_its_event_broke_off(
    calls: int, *, behind: bool, before: bool
) -> None:
    world = World(keep=False)
    if before:
        world.come(world.put("a", 1))
    event = world.put("a", 0)
    break_off(world, event, calls, behind=behind)
    world.come(event)
    assert world.shown() == {0: "a"}
    assert world.objects.files == {}


def break_off(world: World, event: ObjectCreated, calls: int, *, behind: bool) -> None:
    """The event comes, and its run ends at one of its calls."""
    world.stores.tell(calls, crash, behind=behind)
    try:
        ingest(world.ports, event)
    except Crash:
        world.clock.now += 1
    world.stores.happens = None


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("calls", spread(range(1, 30), 8))
def test_what_is_uploaded_while_another_leaves_it_is_kept_though_cleared_away(calls: int, *, behind: bool) -> None:
    world = World(keep=False)
    world.come(world.put("a", 0))
    leaving = world.put("a", 1)
    break_off(world, leaving, calls, behind=behind)
    world.come(world.put("b", 0), leaving)
    assert world.shown().keys() == {0, 1}


# -- Anything, between any two calls -----------------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("calls", spread(range(1, 30), 8))
@pytest.mark.parametrize("clients", [False, True])
def test_a_copy_that_comes_while_the_last_holder_leaves_is_in_the_library(
    calls: int, *, behind: bool, clients: bool
) -> None:
    world = World()
    if clients:
        world.add(0)
    world.come(world.put("a", 0))
    leaving, coming = world.put("a", 1), world.put("b", 0)
    world.stores.tell(calls, lambda: world.come(coming), behind=behind)
    world.come(leaving, coming)
    assert world.shown() == {0: "client" if clients else "b", 1: "a"}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("calls", spread(range(1, 30), 8))
def test_the_last_holder_may_leave_while_a_copy_comes(calls: int, *, behind: bool) -> None:
    world = World()
    world.come(world.put("a", 0))
    leaving, coming = world.put("a", 1), world.put("b", 0)
    world.stores.tell(calls, lambda: world.come(leaving), behind=behind)
    world.come(coming, leaving)
    assert world.shown() == {0: "b", 1: "a"}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("calls", spread(range(1, 30), 8))
def test_a_copy_that_breaks_off_and_comes_again_while_the_last_holder_leaves(calls: int, *, behind: bool) -> None:
    for breaks in range(1, 16):
        world = World()
        world.come(world.put("a", 0, brief="same"), world.put("c", 0, brief="same"))
        world.remove("c")  # of which nothing is heard: it still says whose the picture is
        leaving, coming = world.put("a", 1), world.put("b", 0, brief="same")

        def comes(world: World = world, coming: ObjectCreated = coming, breaks: int = breaks) -> None:
            break_off(world, coming, breaks, behind=True)
            world.come(coming)

        world.stores.tell(calls, comes, behind=behind)
        world.come(leaving, coming)
        assert world.shown() == {0: "same", 1: "a"}, breaks


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("calls", spread(range(1, 30), 8))
def test_what_an_event_that_broke_off_has_not_released_the_next_one_does(calls: int, *, behind: bool) -> None:
    world = World()
    world.come(world.put("a", 0))
    break_off(world, world.put("a", 1), calls, behind=behind)
    world.come(world.put("a", 2))
    assert world.shown() == {2: "a"}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("calls", spread(range(1, 30), 8))
def test_the_newer_words_win_whenever_they_come(calls: int, *, behind: bool) -> None:
    world = World()
    world.come(world.put("a", 0))
    older = world.put("a", 0, brief="older")
    world.stores.tell(calls, lambda: world.come(world.put("a", 0, brief="newer")), behind=behind)
    world.come(older)
    assert world.shown() == {0: "older" if world.stores.happens else "newer"}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("calls", spread(range(1, 30), 8))
def test_two_that_leave_at_once_leave_nothing_behind(calls: int, *, behind: bool) -> None:
    world = World()
    world.come(world.put("a", 0), world.put("b", 0))
    first, second = world.put("a", 1), world.put("b", 2)
    world.stores.tell(calls, lambda: world.come(second), behind=behind)
    world.come(first, second)
    assert world.shown() == {1: "a", 2: "b"}


def test_of_two_runs_of_one_event_that_which_added_the_picture_says_so(world: World) -> None:
    """The other had recorded a later add, found the picture there, and took it for somebody else's."""
    event = world.put("a", 0)
    world.come(event)
    settled = world.uploads.rows[event.source]
    assert settled.holds is not None
    world.uploads.save_upload(replace(settled, holds=replace(settled.holds, added=None)), settled)
    assert not commit_intent(world.ports, replace(settled, state=UploadState.ADDING))
    assert world.uploads.rows[event.source] == settled
    world.come(world.put("a", 1))
    assert world.shown() == {1: "a"}


names = st.sampled_from("abc")
pictures = st.integers(0, len(FILES) - 1)


class Folder(RuleBasedStateMachine):
    """Files are put, renamed, exchanged and deleted, clients add and delete, and events come in any order and any
    number, some while another is being worked on, some broken off.

    Once all have come, what lies in the folder is in the library with a present name.
    """

    @initialize(keep=st.booleans())
    def begin(self, keep: bool) -> None:
        self.keep = keep
        self.world = World(keep=keep)
        self.events: list[ObjectCreated | ObjectRemoved] = []
        self.waiting: list[ObjectCreated | ObjectRemoved] = []
        self.lies: dict[str, tuple[int, str]] = {}
        self.excused: set[str] = set()
        self.taken_away = False

    def emit(self, *events: ObjectCreated | ObjectRemoved) -> None:
        self.events += events
        self.waiting += events

    @rule(name=names, number=pictures, brief=st.sampled_from(["", "", "said"]))
    def put(self, name: str, number: int, brief: str) -> None:
        words = {"brief": brief + name} if brief else {}
        self.emit(self.world.put(name, number, **words))
        self.lies[name] = number, brief + name
        self.excused.discard(name)

    @precondition(lambda self: self.keep)
    @rule(name=names, to=names)
    def rename(self, name: str, to: str) -> None:
        if name == to or name not in self.lies:
            return
        self.taken_away = True
        self._rename(name, to)

    def _rename(self, name: str, to: str) -> None:
        self.emit(*self.world.move(name, to))
        number, brief = self.lies.pop(name)
        self.lies[to] = number, to if brief == name else brief
        self.excused.discard(to)

    @precondition(lambda self: self.keep)
    @rule(one=names, other=names)
    def exchange(self, one: str, other: str) -> None:
        if one == other or not {one, other} <= self.lies.keys():
            return
        self.taken_away = True  # for a moment, which is long enough for a deletion to be seen
        for name, to in ((one, "t"), (other, one), ("t", other)):
            self._rename(name, to)

    @precondition(lambda self: self.keep)
    @rule(name=names)
    def remove(self, name: str) -> None:
        if name in self.lies:
            self.taken_away = True
            self.emit(self.world.remove(name))
            del self.lies[name]

    @rule(number=pictures)
    def client_adds(self, number: int) -> None:
        try:
            self.world.add(number)
        except PictureExists:
            return

    @rule(number=pictures)
    def client_deletes(self, number: int) -> None:
        self.world.clock.now += 2
        try:
            self.world.delete(number)
        except PictureNotFound:
            return
        self.excused |= {name for name, (lying, _) in self.lies.items() if lying == number}

    @rule(which=st.integers(0, 1000))
    def event_comes(self, which: int) -> None:
        if self.events:
            self._try(self.events[which % len(self.events)])

    @rule(which=st.integers(0, 1000), calls=st.integers(1, 25), behind=st.booleans())
    def event_breaks_off(self, which: int, calls: int, behind: bool) -> None:
        if self.events:
            self.world.stores.tell(calls, crash, behind=behind)
            self._try(self.events[which % len(self.events)])

    @rule(one=st.integers(0, 1000), other=st.integers(0, 1000), calls=st.integers(1, 25), behind=st.booleans())
    def event_comes_within_another(self, one: int, other: int, calls: int, behind: bool) -> None:
        if self.events:
            within = self.events[other % len(self.events)]
            self.world.stores.tell(calls, lambda: self._try(within), behind=behind)
            self._try(self.events[one % len(self.events)])

    def _try(self, event: ObjectCreated | ObjectRemoved) -> None:
        self.world.clock.now += 1
        try:
            happen(self.world.ports, event)
        except (Crash, RevisionConflict, Unavailable):
            return
        finally:
            self.world.stores.happens = None
        if event in self.waiting:
            self.waiting.remove(event)

    @rule(days=st.sampled_from([0.001, 3, 8]))
    def time_passes(self, days: float) -> None:
        self.world.clock.now += int(days * DAY)
        assert purge(self.world.ports, lambda: True).done

    @rule(seed=st.integers(0, 1000))
    def all_events_come(self, seed: int) -> None:
        waiting, self.waiting = self.waiting, []
        self.world.come(*random.Random(seed).sample(waiting, len(waiting)))
        shown = self.world.shown()
        for name, (number, _) in self.lies.items():
            assert number in shown or name in self.excused, f"{name} lies there, and {number} is not in the library"
        for number, brief in shown.items():
            said = {brief for lying, brief in self.lies.values() if lying == number}
            assert not said or not self.keep or brief in {*said, "client"}, f"{number} is shown as {brief}"
        if not self.taken_away:
            lying = {number for number, _ in self.lies.values()}
            clients = {number for number, brief in shown.items() if brief == "client"}
            assert shown.keys() <= lying | clients
        if self.keep:
            assert all(one.state in (UploadState.SETTLED, UploadState.GONE) for one in self.world.uploads.rows.values())


Folder.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=40, deadline=None)
test_folder = Folder.TestCase
