"""Groups below the dialects: callers' ids, removal and its sweep, pages that miss nothing, batches in time."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from PIL import Image

from lookalike.domain.application import Application, Policy
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Key, Metadata, Picture, State, object_key, sign_of
from lookalike.domain.search import Match, Reason
from lookalike.errors import (
    ArgumentTooLong,
    InvalidArgument,
    LibraryExists,
    LibraryFull,
    LibraryNotFound,
    OutOfTime,
    PictureExists,
    PictureNotFound,
    UrlUnreachable,
)
from lookalike.imaging.decode import Bounds
from lookalike.ports import Ports
from lookalike.service import add_many
from lookalike.service.add import Add, add
from lookalike.service.add_many import add_all
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import group_names, list_pictures, name_of, picture_in, remove_group
from lookalike.service.image_source import Source
from lookalike.service.libraries import (
    RESERVED_LIBRARIES,
    create_library,
    find_library,
    get_or_create_library,
    is_library_name,
    library_ref,
)
from lookalike.service.lookup import resolve_keys
from lookalike.service.purge import purge
from lookalike.service.ranking import merged
from lookalike.service.search import MAX_FOUND, SearchGroups, search_groups
from lookalike.settings import Settings
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.picture_row import INSERT, row_of
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.contract.rows import row
from tests.support.examples import examples
from tests.support.fakes import (
    MemoryCatalog,
    MemoryIndex,
    MemoryMaps,
    MemoryOriginals,
    MemoryWeb,
    SetClock,
    memory_ports,
)

BOUNDS = Bounds(max_bytes=1 << 20, min_side=1, max_side=64, max_pixels=4096, formats=frozenset({"PNG"}))
LIBRARY_REF = LibraryRef("tenant", "group", Kind.SIMILAR, Identity.OWN)
MINUTE = 60_000

#: Ids that would do harm if they were taken for a path, a key, a pattern or a query.
HOSTILE = [
    "..",
    ".",
    "/",
    "../../../etc/passwd",
    "a/b/c",
    "a\0b",
    "\0",
    " ",
    "a b",
    "~",
    "~" + "0" * 64,
    "a,b",
    "-",
    "%2e%2e%2f",
    "*",
    "'; DROP TABLE pictures; --",
    "\n",
    "\u2028",
    "é",
    "e\u0301",
    "É",
    "书" * 170,
    "x" * 512,
    "X" * 512,
    "\U0001f600",
    "0" * 64,
    "A" * 128,
    "a" * 128,
    "null",
]


def source(number: int) -> Source:
    """A picture for each number."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)).save(file, "PNG")
    return Source(BOUNDS, data=file.getvalue())


@pytest.fixture
def ports() -> Ports:
    return memory_ports()


@pytest.fixture
def library(ports: Ports) -> Library:
    return create_library(ports, LIBRARY_REF)


# -- Callers' ids --------------------------------------------------------------------------------------------------------


def test_ids_of_whatever_characters_are_pictures_of_their_own(tmp_path: Path) -> None:
    stores = SqliteStores(tmp_path / "catalog.db")
    ports = memory_ports(catalog=stores.catalog, originals=FolderStore(tmp_path / "originals"))
    library = create_library(ports, LIBRARY_REF)
    for number, name in enumerate(HOSTILE):
        add(ports, Add(LIBRARY_REF, source(number), id=name), library=library)
    for number, name in enumerate(HOSTILE):
        found = picture_in(ports, library, name)
        assert (found.key.id, name_of(library, found)) == (name, name)
        assert ports.originals.get(found.object_key) == source(number).data
        with pytest.raises(PictureExists):
            add(ports, Add(LIBRARY_REF, source(99), id=name), library=library)
    listing = list_pictures(ports, library, None, 1000)
    assert sorted(one.key.id for one in listing.pictures) == sorted(HOSTILE)
    stores.close()


ids = st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=40)


@given(ids, ids)
def test_object_keys_are_plain_and_differ_where_ids_do(one: str, other: str) -> None:
    first, second = (object_key(Key("uid", id_), 1, "f" * 64) for id_ in (one, other))
    assert (first == second) == (one == other)
    library, name, added = first.split("/")
    assert (library, added) == ("uid", "1-" + "f" * 16)
    assert name.isascii()
    assert name.isprintable()
    assert 1 <= len(name) <= 128
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-~")


def test_a_digest_stands_in_the_object_key_as_it_is() -> None:
    assert object_key(Key("uid", "0a" * 32), 7, "f" * 64) == f"uid/{'0a' * 32}/7-{'f' * 16}"


def test_an_id_of_our_own_where_none_is_given(ports: Ports, library: Library) -> None:
    made = {add(ports, Add(LIBRARY_REF, source(0)), library=library).key.id for _ in range(20)}
    assert len(made) == 20
    assert all(is_library_name(name) and len(name) >= 16 for name in made)


@pytest.mark.parametrize(
    ("id_", "error"), [("", InvalidArgument), ("\ud800", InvalidArgument), ("书" * 171, ArgumentTooLong)]
)
def test_ids_that_cannot_be(ports: Ports, library: Library, id_: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        add(ports, Add(LIBRARY_REF, source(0), id=id_), library=library)
    assert list_pictures(ports, library, None, 10).pictures == ()


def test_a_picture_that_is_its_own_id_takes_no_other(ports: Ports) -> None:
    with pytest.raises(InvalidArgument):
        add(ports, Add(LibraryRef("tenant", "similar", Kind.SIMILAR), source(0), id="mine"))


def test_an_id_that_is_taken_saves_the_download(library: Library, ports: Ports) -> None:
    add(ports, Add(LIBRARY_REF, source(0), id="a"), library=library)
    with pytest.raises(PictureExists):  # and not that the address leads nowhere
        add(ports, Add(LIBRARY_REF, Source(BOUNDS, url="http://nowhere/"), id="a"), library=library)


def test_an_id_can_be_had_again_once_its_picture_is_deleted(ports: Ports, library: Library) -> None:
    first = add(ports, Add(LIBRARY_REF, source(0), id="a"), library=library)
    delete(ports, Delete(LIBRARY_REF, ("a",)))
    with pytest.raises(PictureNotFound):
        picture_in(ports, library, "a")
    second = add(ports, Add(LIBRARY_REF, source(1), id="a", metadata=Metadata(label="second")), library=library)
    assert second.revision > first.revision
    assert picture_in(ports, library, "a").metadata.label == "second"
    assert list(ports.originals.files) == [second.object_key]  # type: ignore[attr-defined]


def test_a_picture_says_nothing_where_pictures_have_callers_ids(ports: Ports, library: Library) -> None:
    with pytest.raises(InvalidArgument):
        resolve_keys(ports, library, source(0))


def test_a_sign_is_what_a_picture_is_called_where_it_is_its_own_id(ports: Ports) -> None:
    ref = LibraryRef("tenant", "similar", Kind.SIMILAR)
    made = add(ports, Add(ref, source(0)))
    library = find_library(ports, "tenant", "similar")
    assert name_of(library, made) == sign_of(made.digest)
    assert picture_in(ports, library, sign_of(made.digest)) == made
    with pytest.raises(PictureNotFound):
        picture_in(ports, library, made.digest)


# -- Shelves and libraries -----------------------------------------------------------------------------------------------


def test_reserved_names_are_libraries_of_their_kind_and_all_others_are_groups() -> None:
    caller = Application("ak", "sk", "1", "tenant", "name", policy=Policy(Kind.PRODUCT))
    kinds = {name: library_ref(caller, name).kind for name in (*RESERVED_LIBRARIES, "mine")}
    assert kinds == {
        "same_hq": Kind.SAME,
        "similar": Kind.SIMILAR,
        "product": Kind.PRODUCT,
        "jumdata": Kind.PRODUCT,
        "mine": Kind.PRODUCT,
    }
    assert {library_ref(caller, name).identity for name in RESERVED_LIBRARIES} == {Identity.PICTURE}
    assert library_ref(caller, "mine").identity is library_ref(caller, "Same_hq").identity is Identity.OWN
    assert library_ref(replace(caller, policy=Policy(Kind.SAME)), "mine").kind is Kind.SAME


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "-", "...", "x" * 128])
def test_names_that_may_be(name: str) -> None:
    assert is_library_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 129, "a b", "a/b", "书", "a\n", "%", "a?b", "é", "~"])
def test_names_that_may_not_be(name: str) -> None:
    assert not is_library_name(name)
    with pytest.raises(InvalidArgument):
        library_ref(Application("ak", "sk", "1", "tenant", "name"), name)


def test_a_library_is_made_once(ports: Ports, library: Library) -> None:
    assert find_library(ports, "tenant", "group") == get_or_create_library(ports, LIBRARY_REF) == library
    with pytest.raises(LibraryExists):
        create_library(ports, LIBRARY_REF)
    with pytest.raises(LibraryNotFound):
        find_library(ports, "another", "group")


# -- Removal -------------------------------------------------------------------------------------------------------------


def filled(ports: Ports, library: Library, count: int) -> None:
    """Rows of a library, straight into the stores."""
    for number in range(count):
        made = row(library.uid, f"p{number:05d}", kind=library.kind)
        ports.catalog.put(made, None)
        ports.originals.put(made.object_key, b"x")
        ports.index.write([made])


@pytest.mark.slow
def test_ten_thousand_pictures_are_gone_in_a_moment(tmp_path: Path) -> None:
    stores = SqliteStores(tmp_path / "catalog.db")
    ports = memory_ports(catalog=stores.catalog)
    library = create_library(ports, LIBRARY_REF)
    rows = [row_of(row(library.uid, f"p{number:05d}")) for number in range(10_000)]
    stores.database.write(lambda connection: connection.executemany(INSERT, rows))
    assert len(list_pictures(ports, library, None, 1000).pictures) == 1000
    remove_group(ports, "tenant", "group")
    again = create_library(ports, LIBRARY_REF)
    assert list_pictures(ports, again, None, 1000).pictures == ()
    assert add(ports, Add(LIBRARY_REF, source(0), id="p00000"), library=again).live
    # A moment is all it takes, for no row has been touched.
    assert sum(len(some) for some in stores.catalog.scan(Kind.SIMILAR)) == 10_001
    ports.clock.now += 16 * MINUTE  # type: ignore[attr-defined]
    assert purge(ports, lambda: True).pictures == 10_000
    assert [one.key.id for one in list_pictures(ports, again, None, 10).pictures] == ["p00000"]
    stores.close()


def test_what_a_removed_group_leaves_is_swept_a_quarter_of_an_hour_later() -> None:
    clock = SetClock(1_000_000_000_000)
    catalog, index, originals, maps = MemoryCatalog(), MemoryIndex(), MemoryOriginals(), MemoryMaps()
    ports = memory_ports(catalog=catalog, index=index, originals=originals, maps=maps, clock=clock)
    removed, kept = create_library(ports, LIBRARY_REF), create_library(ports, replace(LIBRARY_REF, name="kept"))
    filled(ports, removed, 450)
    filled(ports, kept, 3)
    remove_group(ports, "tenant", "group")
    remove_group(ports, "tenant", "group")
    remove_group(ports, "stranger", "kept")
    assert group_names(ports, "tenant") == ["kept"]
    clock.now += 15 * MINUTE
    assert purge(ports, lambda: True) == purge(ports, lambda: True)
    assert len(catalog.rows) == 453
    clock.now += 1
    left = iter([True, True, True])  # one look for deleted rows, two steps of the sweep
    assert not purge(ports, lambda: next(left, False)).done
    assert 3 < len(catalog.rows) < 453
    done = purge(ports, lambda: True)
    assert done.done
    assert set(catalog.rows) == set(index.rows) == {Key(kept.uid, f"p{number:05d}") for number in range(3)}
    assert len(originals.files) == 3
    assert catalog.removed == {}


def test_rows_that_come_late_are_swept_too() -> None:
    clock = SetClock(1_000_000_000_000)
    catalog = MemoryCatalog()
    ports = memory_ports(catalog=catalog, clock=clock)
    library = create_library(ports, LIBRARY_REF)
    remove_group(ports, "tenant", "group")
    add(ports, Add(LIBRARY_REF, source(0), id="late"), library=library)  # a call that had found the library before
    deleted = row(library.uid, "deleted", kind=library.kind).but(state=State.DELETED, deleted_at=clock.now)
    catalog.put(deleted, None)
    clock.now += 16 * MINUTE
    assert purge(ports, lambda: True).pictures == 2
    assert catalog.rows == {}


# -- Pages ---------------------------------------------------------------------------------------------------------------


class Pages(RuleBasedStateMachine):
    """Walks over a group in pages while pictures come and go: what is there all the while is met exactly once."""

    @initialize()
    def begin(self) -> None:
        self.ports = memory_ports()
        self.library = create_library(self.ports, LIBRARY_REF)
        self.live: set[str] = set()
        self.walking = False

    @rule(name=st.sampled_from(HOSTILE))
    def add_or_delete(self, name: str) -> None:
        if name in self.live:
            delete(self.ports, Delete(LIBRARY_REF, (name,)))
            self.live.discard(name)
            if self.walking:
                self.stayed.discard(name)
        else:
            add(self.ports, Add(LIBRARY_REF, source(0), id=name), library=self.library)
            self.live.add(name)

    @rule()
    def start(self) -> None:
        self.walking = True
        self.after: str | None = None
        self.met: list[str] = []
        self.stayed = set(self.live)

    @rule(limit=st.integers(1, 4))
    def next_page(self, limit: int) -> None:
        if not self.walking:
            return
        listing = list_pictures(self.ports, self.library, self.after, limit)
        names = [one.key.id for one in listing.pictures]
        assert len(names) <= limit
        assert set(names) <= self.live
        self.met += names
        self.after = listing.after
        if listing.after is None:
            assert self.stayed <= set(self.met)
            self.walking = False
        else:
            assert len(names) == limit

    @invariant()
    def nothing_is_met_twice(self) -> None:
        if self.walking:
            assert len(self.met) == len(set(self.met))


Pages.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40)
test_pages = Pages.TestCase


def test_a_page_of_many_deleted_pictures_ends_early_and_the_next_goes_on(ports: Ports, library: Library) -> None:
    for number in range(5_300):
        made = row(library.uid, f"p{number:05d}", kind=library.kind)
        if number != 5_250:
            made = made.but(state=State.DELETED, deleted_at=1)
        ports.catalog.put(made, None)
    first = list_pictures(ports, library, None, 10)
    assert (first.pictures, first.after) == ((), "p04999")
    second = list_pictures(ports, library, first.after, 10)
    assert [one.key.id for one in second.pictures] == ["p05250"]
    assert second.after is None


# -- Batches -------------------------------------------------------------------------------------------------------------


class SlowWeb:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.asked = threading.Semaphore(0)

    def __call__(self, url: str, max_bytes: int) -> bytes:
        self.asked.release()
        assert self.let.wait(60)
        data = source(len(url)).data
        assert data is not None
        return data


def test_what_is_not_done_in_time_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add_many, "_GRACE_SECONDS", 0.2)
    web, catalog = SlowWeb(), MemoryCatalog()
    ports = memory_ports(fetch=web, catalog=catalog)
    library = create_library(ports, LIBRARY_REF)
    commands = [Add(LIBRARY_REF, source(1), id="at once")]
    commands += [Add(LIBRARY_REF, Source(BOUNDS, url=f"http://slow/{number}"), id=f"{number}") for number in range(30)]
    outcomes = add_all(ports, library, commands, seconds=0.5)
    assert isinstance(outcomes[0], Picture)
    assert {type(outcome) for outcome in outcomes[1:]} == {OutOfTime}
    web.let.set()
    for thread in threading.enumerate():
        if thread.name.startswith("batch"):
            thread.join()
    assert [key.id for key in catalog.rows] == ["at once"]


def test_pictures_are_fetched_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    web = SlowWeb()
    ports = memory_ports(fetch=web)
    library = create_library(ports, LIBRARY_REF)
    commands = [Add(LIBRARY_REF, Source(BOUNDS, url=f"http://slow/{'x' * number}")) for number in range(8)]

    def let_all_go() -> None:
        for _ in commands:
            assert web.asked.acquire(timeout=60)
        web.let.set()

    watcher = threading.Thread(target=let_all_go)
    watcher.start()
    outcomes = add_all(ports, library, commands, seconds=60)
    watcher.join()
    assert all(isinstance(outcome, Picture) for outcome in outcomes)


@dataclass
class Wanted:
    """One element of a batch: which picture, which id, and whether the picture can be had."""

    number: int
    id: str | None
    bad: bool = False


wanted = st.builds(Wanted, st.integers(0, 3), st.none() | st.sampled_from(["a", "b", "..", "书"]), st.booleans())


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(wanted, max_size=12), st.lists(wanted, max_size=6))
def test_every_element_of_a_mixed_batch_has_its_own_outcome(first: list[Wanted], second: list[Wanted]) -> None:
    ports = memory_ports()
    library = create_library(ports, LIBRARY_REF)
    taken: set[str] = set()
    for elements in (first, second):
        commands = [
            Add(LIBRARY_REF, Source(BOUNDS, url="http://nowhere/") if one.bad else source(one.number), id=one.id)
            for one in elements
        ]
        outcomes = add_all(ports, library, commands, seconds=60)
        for one, outcome in zip(elements, outcomes, strict=True):
            if one.id in taken:
                assert isinstance(outcome, PictureExists)
            elif one.bad:
                assert isinstance(outcome, UrlUnreachable)
            else:
                assert isinstance(outcome, Picture)
                assert one.id in (None, outcome.key.id)
                taken.add(outcome.key.id)
    assert {one.key.id for one in list_pictures(ports, library, None, 100).pictures} == taken


def test_a_group_takes_no_more_than_it_may_hold() -> None:
    ports = memory_ports(settings=Settings(group_pictures=3))
    library = create_library(ports, LIBRARY_REF)
    assert all(isinstance(one, Picture) for one in add_all(ports, library, [Add(LIBRARY_REF, source(0))] * 2, 60))
    outcomes = add_all(ports, library, [Add(LIBRARY_REF, source(0))] * 3, 60)
    assert [type(outcome) for outcome in outcomes] == [Picture, LibraryFull, LibraryFull]
    assert [type(one) for one in add_all(ports, library, [Add(LIBRARY_REF, source(0))], 60)] == [LibraryFull]
    similar = create_library(ports, LibraryRef("tenant", "similar", Kind.SIMILAR))
    commands = [Add(LibraryRef("tenant", "similar", Kind.SIMILAR), source(number)) for number in range(5)]
    assert all(isinstance(one, Picture) for one in add_all(ports, similar, commands, 60))


def test_in_a_full_group_each_picture_gets_the_error_it_deserves() -> None:
    web = MemoryWeb()
    ports = memory_ports(settings=Settings(group_pictures=2), fetch=web)
    library = create_library(ports, LIBRARY_REF)
    nowhere = Source(BOUNDS, url="http://nowhere/")
    add(ports, Add(LIBRARY_REF, source(0), id="taken"), library=library)
    commands = [
        Add(LIBRARY_REF, nowhere, id="a"),
        Add(LIBRARY_REF, source(1), id="taken"),
        Add(LIBRARY_REF, nowhere, id="b"),
        Add(LIBRARY_REF, source(1), id="b"),
        Add(LIBRARY_REF, source(2), id="c"),
        Add(LIBRARY_REF, source(3), id="b"),
        Add(LIBRARY_REF, nowhere),
    ]
    outcomes = [type(outcome) for outcome in add_all(ports, library, commands, 60)]
    kinds = [UrlUnreachable, PictureExists, UrlUnreachable, Picture, LibraryFull, PictureExists, UrlUnreachable]
    assert outcomes == kinds
    assert [one.key.id for one in list_pictures(ports, library, None, 10).pictures] == ["b", "taken"]
    assert ports.index.count(library.uid) == 2


def test_an_unforeseen_failure_is_one_pictures_alone() -> None:
    class Broken(MemoryWeb):
        def __call__(self, url: str, max_bytes: int) -> bytes:
            raise ZeroDivisionError

    ports = memory_ports(fetch=Broken())
    library = create_library(ports, LIBRARY_REF)
    commands = [Add(LIBRARY_REF, Source(BOUNDS, url="http://x/")), Add(LIBRARY_REF, source(0))]
    assert [type(one) for one in add_all(ports, library, commands, 60)] == [ZeroDivisionError, Picture]


# -- Search --------------------------------------------------------------------------------------------------------------


def test_groups_of_several_kinds_are_one_list() -> None:
    ports = memory_ports()
    refs = [
        LIBRARY_REF,
        replace(LIBRARY_REF, name="products", kind=Kind.PRODUCT),
        LibraryRef("tenant", "same_hq", Kind.SAME),
    ]
    libraries = tuple(create_library(ports, ref) for ref in refs)
    for ref, library in zip(refs, libraries, strict=True):
        for number in range(4):
            add(ports, Add(ref, source(number)), library=library)
    found = search_groups(ports, SearchGroups(libraries, source(2), 100))
    assert_is_ranked(found)
    assert [match.reason for match in found[:3]] == [Reason.EXACT] * 3
    assert {match.candidate.key.library for match in found[:3]} == {library.uid for library in libraries}
    assert len(found) == 4 + 4 + 1
    assert search_groups(ports, SearchGroups(libraries, source(2), 3)) == found[:3]
    least = found[4].score
    assert search_groups(ports, SearchGroups(libraries, source(2), 100, least)) == found[:5]
    assert search_groups(ports, SearchGroups((), source(2), 100)) == []


def test_the_same_picture_under_several_ids_scores_one_only_once(ports: Ports, library: Library) -> None:
    add_all(ports, library, [Add(LIBRARY_REF, source(0), id=name) for name in "abc"], 60)
    found = search_groups(ports, SearchGroups((library,), source(0), 10))
    assert [match.candidate.key.id for match in found] == ["a", "b", "c"]
    assert [match.score == 1 for match in found] == [True, False, False]
    assert_is_ranked(found)


def test_ten_thousand_results(ports: Ports, library: Library) -> None:
    vectors = ports.embedder.embed([np.zeros((8, 8, 3), np.uint8)])[0].vectors
    rows = [
        row(library.uid, f"{number}", kind=Kind.SIMILAR).but(vector=vectors[Kind.SIMILAR], model=ports.embedder.model)
        for number in range(MAX_FOUND + 5)
    ]
    for one in rows:
        ports.catalog.put(one, None)
    ports.index.write(rows)
    found = search_groups(ports, SearchGroups((library,), source(0), MAX_FOUND))
    assert len(found) == MAX_FOUND
    assert_is_ranked(found)


def assert_is_ranked(matches: list[Match]) -> None:
    """Scores fall, in float32 too, and lie in (0, 1]."""
    scores = np.array([match.score for match in matches], np.float32)
    assert (np.diff(scores) < 0).all()
    assert 0 < scores[-1] <= scores[0] <= 1


def test_merging_nothing() -> None:
    assert merged([], 10) == merged([[]], 10) == []
