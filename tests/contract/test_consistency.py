"""Checks of whole stacks: whatever is damaged is found and mended, and answers are as before.

Every adapter is damaged beneath the use cases, as crashes, lost events and restored backups do.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.domain.application import Application, Policy
from lookalike.domain.consistency import Fault, Report
from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import (
    Key,
    Metadata,
    Picture,
    State,
    companion_keys,
    digest_prefix,
    object_key,
    sign_of,
    thumbnail_key,
)
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.consistency import check
from lookalike.service.delete import Delete, delete
from lookalike.service.libraries import create_library
from lookalike.service.mend import Mender
from lookalike.service.old_signs import learn_sign
from lookalike.service.purge import SWEEP_AFTER_MS, purge
from lookalike.service.search import Search, search
from lookalike.service.stored import find_picture
from lookalike.service.update import Update, update
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.vectors.index import FaissIndex
from tests.contract import conftest
from tests.contract.rows import contents, described, unit
from tests.contract.rows import row as a_row
from tests.servers.opensearch.server import fresh_index
from tests.support.examples import examples
from tests.support.fakes import SetClock, memory_ports
from tests.unit.service.test_groups import source

DAY = 86_400_000

#: Milliseconds between changes: none of them is too young once a day has passed.
_STEP = 10

#: Pictures of each library.
_PICTURES = 4

Damage = Callable[["World", Picture], None]


class World:
    """A stack with a library of kind ``same``, where pictures have maps, in which one picture is deleted."""

    def __init__(self, ports: Ports, clock: SetClock) -> None:
        self.ports, self.clock = ports, clock
        self.ref = LibraryRef("tenant", f"library-{uuid4().hex[:8]}", Kind.SAME, Identity.OWN)
        self.library = create_library(ports, self.ref)
        self.numbers = itertools.count()
        self.pictures = [self.add(f"{number}") for number in range(_PICTURES)]
        self.gone = self.add("gone")
        delete(ports, Delete(self.ref, ("gone",)))

    def add(self, id_: str) -> Picture:
        self.clock.now += _STEP
        return add(self.ports, Add(self.ref, source(next(self.numbers)), Metadata(brief=id_), id_), self.library)

    def now(self, picture: Picture) -> Picture:
        row = self.ports.catalog.picture(picture.key)
        assert row is not None
        return row

    def put(self, picture: Picture, **changes: object) -> Picture:
        """Write a row with changes beside the use cases."""
        current = self.now(picture)
        changed = current.but(revision=current.revision + 1, **changes)
        self.ports.catalog.put(changed, current.revision)
        return changed

    def answers(self) -> object:
        """What callers see: what each picture finds, and the rows but for revisions."""
        found = [search(self.ports, Search(self.ref, source(number))).matches for number in range(_PICTURES + 1)]
        rows = {picture.key: contents(self.now(picture).but(revision=0)) for picture in self.pictures}
        return (
            [
                [(one.candidate.key, round(one.score, 6), one.candidate.metadata) for one in matches]
                for matches in found
            ],
            rows,
            self.ports.index.count(self.library.uid),
            self.ports.maps.maps([picture.object_key for picture in self.pictures]),
            [self.ports.originals.get(picture.object_key) for picture in self.pictures],
        )

    def check(self, *, repair: bool = False, deep: int = 0) -> Report:
        mend = Mender(self.ports, pause=lambda _: None) if repair else None
        return check(self.ports, mend=mend, deep=deep)

    def stranger(self, revision: int = 5, **given: object) -> Picture:
        return a_row(self.library.uid, f"stranger-{uuid4().hex}", revision, kind=Kind.SAME, **given)


def ghost_of_nothing(world: World, _picture: Picture) -> None:
    world.ports.index.write([world.stranger(model="tiny")])


def ghost_of_deleted(world: World, _picture: Picture) -> None:
    revision = world.now(world.gone).revision + 5
    world.ports.index.write([world.gone.but(revision=revision)])


def stale(world: World, picture: Picture) -> None:
    world.put(picture)


def index_ahead(world: World, picture: Picture) -> None:
    now = world.now(picture)
    world.ports.index.write([described(now, brief="of the future").but(revision=now.revision + 1000)])


def missing(world: World, picture: Picture) -> None:
    world.ports.index.remove([world.now(picture)], wait=True)


def hidden(world: World, picture: Picture) -> None:
    now = world.now(picture)
    world.ports.index.write([now.but(revision=now.revision + 3, state=State.DELETED, deleted_at=1)])


def other_model(world: World, picture: Picture) -> None:
    world.ports.index.write([world.put(picture, model="before", vector=unit(1, 2))])


def no_map(world: World, picture: Picture) -> None:
    world.ports.maps.remove_maps([picture.object_key])


def orphan_entry(world: World, _picture: Picture) -> None:
    world.ports.index.write([world.stranger(state=State.DELETED, deleted_at=1)])


def orphan_file(world: World, _picture: Picture) -> None:
    key = object_key(world.stranger().key, 17, "ab" * 32)
    world.ports.originals.put(key, b"file")
    world.ports.originals.put(thumbnail_key(key), b"thumbnail")


def orphan_map(world: World, _picture: Picture) -> None:
    world.ports.maps.put_map(object_key(world.stranger().key, 17, "ab" * 32), b"map")


#: What is done, and what is found of it. Orphans need no picture.
DAMAGES: dict[Damage, tuple[Fault, int]] = {
    ghost_of_nothing: (Fault.GHOST, 1),
    ghost_of_deleted: (Fault.GHOST, 1),
    stale: (Fault.STALE, 1),
    index_ahead: (Fault.STALE, 1),
    missing: (Fault.MISSING, 1),
    hidden: (Fault.MISSING, 1),
    other_model: (Fault.OTHER_MODEL, 1),
    no_map: (Fault.NO_MAP, 1),
    orphan_entry: (Fault.ORPHAN_ENTRY, 1),
    orphan_file: (Fault.ORPHAN_FILE, 2),
    orphan_map: (Fault.ORPHAN_MAP, 1),
}


@pytest.fixture(params=["memory", "one machine", "AWS"])
def ports(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ports]:
    clock = SetClock(time.time_ns() // 1_000_000)
    owner = Application("access", "secret", "1", "tenant", "owner")
    with ExitStack() as opened:
        if request.param == "memory":
            stores = {}
        elif request.param == "one machine":
            sqlite = SqliteStores(tmp_path / "catalog.db")
            opened.callback(sqlite.close)
            index = FaissIndex(model="tiny", max_mutable_rows=3)
            opened.callback(index.close)
            originals = opened.enter_context(conftest.folder_store(tmp_path))
            stores = {"catalog": sqlite.catalog, "maps": sqlite.maps, "index": index, "originals": originals}
        else:
            stores = {
                "catalog": opened.enter_context(conftest.CATALOGS[conftest.DYNAMODB](tmp_path)),
                "maps": opened.enter_context(conftest.MAP_STORES[conftest.DYNAMODB](tmp_path)),
                "index": fresh_index(f"check-{uuid4().hex}"),
                "originals": opened.enter_context(conftest.s3_store(tmp_path)),
            }
        yield memory_ports(owner, clock=clock, **stores)


@pytest.fixture
def clock(ports: Ports) -> SetClock:
    assert isinstance(ports.clock, SetClock)
    return ports.clock


def test_nothing_is_found_where_nothing_is_wrong(ports: Ports, clock: SetClock) -> None:
    world = World(ports, clock)
    beside = companion_keys(world.pictures[0].object_key)
    for key in beside:
        ports.originals.put(key, b"kept beside the original")
    clock.now += DAY
    report = world.check(deep=3)
    assert (report.found, report.settling, report.deep) == ({}, 0, 3)
    assert (report.totals.live, report.totals.rows, report.totals.entries) == (_PICTURES, _PICTURES + 1, _PICTURES + 1)
    assert (report.totals.files, report.totals.maps) == (_PICTURES + 1 + len(beside), _PICTURES + 1)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_each_damage_is_found_and_mended(ports: Ports, clock: SetClock, damage: Damage) -> None:
    world = World(ports, clock)
    before = world.answers()
    damage(world, world.pictures[1])
    clock.now += DAY
    fault, count = DAMAGES[damage]
    assert world.check().found == {fault: count}
    assert world.check(repair=True).mended == {fault: count}
    assert world.check().found == {}
    assert world.answers() == before


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(list(DAMAGES)), st.integers(0, _PICTURES - 1)), min_size=1, max_size=8))
def test_any_damages_together_are_mended(ports: Ports, damages: list[tuple[Damage, int]]) -> None:
    clock = ports.clock
    assert isinstance(clock, SetClock)
    world = World(ports, clock)
    before = world.answers()
    for damage, number in damages:
        damage(world, world.pictures[number])
    clock.now += DAY
    report = world.check(repair=True)
    assert report.left == 0, report
    assert report.found
    assert world.check().found == {}
    assert world.answers() == before


def test_rows_with_two_faults_are_mended_at_once(ports: Ports, clock: SetClock) -> None:
    """Mending the first changes their revisions."""
    world = World(ports, clock)
    before = world.answers()
    for picture in world.pictures:
        hidden(world, picture)
        other_model(world, picture)
    clock.now += DAY
    assert world.check(repair=True).mended == {Fault.MISSING: _PICTURES, Fault.OTHER_MODEL: _PICTURES}
    assert world.check().found == {}
    assert world.answers() == before


def test_the_young_are_not_accused(ports: Ports, clock: SetClock) -> None:
    world = World(ports, clock)
    stale(world, world.pictures[0])
    missing(world, world.pictures[1])
    ports.originals.put(object_key(world.stranger().key, clock.now, "ab" * 32), b"being added")
    ports.maps.put_map(object_key(world.stranger().key, clock.now, "ab" * 32), b"being added")
    report = world.check(repair=True)
    assert report.found.keys() <= {Fault.ORPHAN_FILE}  # in memory, files are old
    assert report.settling >= 3


@pytest.mark.parametrize("deep", [0, 100])
def test_a_lost_original_is_said_once_and_left(ports: Ports, clock: SetClock, deep: int) -> None:
    world = World(ports, clock)
    ports.originals.remove([world.pictures[0].object_key])
    clock.now += DAY
    report = world.check(repair=True, deep=deep)
    assert (report.found, report.mended, report.left) == ({Fault.NO_ORIGINAL: 1}, {}, 1)
    assert report.examples == {Fault.NO_ORIGINAL: (f"{world.ref.name}/0",)}


@pytest.mark.parametrize(("size", "is_known"), [(0, True), (0, False), (50, True)])
def test_an_original_that_is_empty_or_cut_is_seen_by_its_size(
    ports: Ports, clock: SetClock, size: int, is_known: bool
) -> None:
    world = World(ports, clock)
    picture = world.pictures[0]
    if not is_known:  # as in rows of the version before
        ports.index.write([world.put(picture, file_size=None)])
    ports.originals.put(picture.object_key, (source(0).data or b"")[:size])
    clock.now += DAY
    for deep in (0, 100):
        assert world.check(deep=deep).found == {Fault.NO_ORIGINAL: 1}


@pytest.mark.parametrize("size", [7, 0, -1, -7, (1 << 62)])
def test_a_wrong_size_in_a_row_accuses_no_original(ports: Ports, clock: SetClock, size: int) -> None:
    world = World(ports, clock)
    ports.index.write([world.put(world.pictures[0], file_size=size)])
    clock.now += DAY
    assert world.check().found == {}


@pytest.mark.parametrize("damage", [None, b"", b"another file"])
def test_an_original_is_mended_by_adding_its_file_again(ports: Ports, clock: SetClock, damage: bytes | None) -> None:
    world = World(ports, clock)
    before = world.answers()
    key = world.pictures[0].object_key
    ports.originals.remove([key]) if damage is None else ports.originals.put(key, damage)
    clock.now += DAY
    assert world.check(deep=100).found == {Fault.NO_ORIGINAL: 1}
    add(ports, Add(world.ref, source(0), Metadata(brief="0"), "0", replace=True), world.library)
    assert world.check(deep=100).found == {}
    assert world.answers() == before


@pytest.mark.parametrize(
    "change", [lambda _: b"", lambda made: made[:-1], lambda made: bytes([made[0] ^ 64]) + made[1:]]
)
def test_a_damaged_map_is_made_again(ports: Ports, clock: SetClock, change: Callable[[bytes], bytes]) -> None:
    world = World(ports, clock)
    before = world.answers()
    key = world.pictures[1].object_key
    made = ports.maps.maps([key])[key]
    damaged = change(made)
    ports.maps.put_map(key, damaged)
    clock.now += DAY
    sizes_are_told = next(one.size for batch in ports.maps.stored_maps() for one in batch) is not None
    assert world.check().found == ({Fault.NO_MAP: 1} if sizes_are_told and len(damaged) != len(made) else {})
    report = world.check(repair=True, deep=100)
    assert (report.found, report.left) == ({Fault.NO_MAP: 1}, 0)
    assert report.examples == {Fault.NO_MAP: (f"{world.ref.name}/1",)}
    assert world.check(deep=100).found == {}
    assert world.answers() == before


def test_rows_of_libraries_that_are_not_in_the_catalog_are_said_and_left(ports: Ports, clock: SetClock) -> None:
    world = World(ports, clock)
    lost = [a_row("lost", f"{number}", number + 1, model=ports.embedder.model) for number in range(2)]
    removed = create_library(ports, LibraryRef("tenant", f"removed-{uuid4().hex}", Kind.SIMILAR, Identity.OWN))
    others = create_library(ports, LibraryRef(f"revoked-{uuid4().hex}", "kept", Kind.SIMILAR, Identity.OWN))
    fine = [a_row(library.uid, "fine", 5, model=ports.embedder.model) for library in (removed, others)]
    for row in [*lost, *fine]:
        ports.catalog.put(row, None)
        ports.originals.put(row.object_key, b"file")
    ports.index.write([*lost, *fine])
    ports.catalog.remove_library(removed, clock.now)
    clock.now += DAY
    report = world.check(repair=True)
    assert (report.found, report.mended, report.left) == ({Fault.NO_LIBRARY: 2}, {}, 2)
    assert set(report.examples[Fault.NO_LIBRARY]) == {"lost/0", "lost/1"}
    assert all(ports.catalog.picture(row.key) is not None for row in lost)


def test_what_waits_to_be_swept_is_counted_by_itself_and_has_no_fault(ports: Ports, clock: SetClock) -> None:
    """Nobody can search it: whatever its rows lack, whenever the library was removed, until the sweep and after."""
    world = World(ports, clock)
    live = world.check().totals.live
    removed = create_library(ports, LibraryRef("tenant", f"removed-{uuid4().hex}", Kind.SAME, Identity.OWN))
    model = ports.embedder.model
    rows = [a_row(removed.uid, f"{number}", number + 1, kind=Kind.SAME, model=model) for number in range(3)]
    rows.append(a_row(removed.uid, "other", 5, kind=Kind.SAME, model="another"))
    ports.index.write([rows[0]])
    for row in (rows[0].but(revision=9), *rows[1:]):
        ports.catalog.put(row, None)
    clock.now += DAY
    assert set(world.check().found) == {
        Fault.STALE, Fault.MISSING, Fault.OTHER_MODEL, Fault.NO_ORIGINAL, Fault.NO_MAP
    }  # fmt: skip
    ports.catalog.remove_library(removed, clock.now)
    report = world.check(repair=True, deep=100)
    assert (report.found, report.mended, report.left) == ({}, {}, 0)
    assert (report.totals.live, report.totals.removed) == (live, 4)
    assert report.deep == len(world.pictures)
    assert report.sweep_due == clock.now + SWEEP_AFTER_MS
    clock.now += 2 * SWEEP_AFTER_MS
    purge(ports, lambda: True)
    report = world.check()
    assert (report.found, report.totals.removed, report.sweep_due) == ({}, 0, None)


def test_of_several_tenants_a_picture_is_named_by_an_application(ports: Ports, clock: SetClock) -> None:
    world = World(ports, clock)
    narrow = Application("key 1", "secret", "10000011", "tenant", "camera", policy=Policy(libraries=("gate",)))
    other = Application("key 2", "secret", "10000012", f"other-{uuid4().hex}", "another")
    for application in (narrow, other):
        ports.applications.save_application(application)
    create_library(ports, LibraryRef(other.tenant, "kept", Kind.SAME, Identity.OWN))
    no_map(world, world.pictures[1])
    clock.now += DAY
    name = next(one.name for one in ports.applications.applications() if one.tenant == "tenant" and one != narrow)
    assert world.check().examples == {Fault.NO_MAP: (f"{name}/{world.ref.name}/1",)}


def test_a_report_names_as_many_as_it_is_asked_for(ports: Ports, clock: SetClock) -> None:
    world = World(ports, clock)
    for picture in world.pictures:
        no_map(world, picture)
    clock.now += DAY
    assert [len(check(ports, names=names).examples[Fault.NO_MAP]) for names in (0, 3, 99)] == [0, 3, _PICTURES]


def test_the_deep_check_finds_what_no_key_tells(ports: Ports, clock: SetClock) -> None:
    world = World(ports, clock)
    before = world.answers()
    vector = np.roll(world.now(world.pictures[2]).vector, 7)
    ports.index.write([world.put(world.pictures[2], vector=vector)])
    ports.originals.put(world.pictures[3].object_key, bytes(len(source(3).data or b"")))
    clock.now += DAY
    assert world.check().found == {}
    report = world.check(repair=True, deep=100)
    assert report.found == {Fault.UNLIKE: 1, Fault.NO_ORIGINAL: 1}
    assert report.mended == {Fault.UNLIKE: 1}
    ports.originals.put(world.pictures[3].object_key, source(3).data or b"")
    assert world.check(deep=100).found == {}
    assert world.answers() == before


class Signed:
    """Pictures that are their own ids, some of which had other signs elsewhere."""

    def __init__(self, ports: Ports, clock: SetClock) -> None:
        self.ports, self.clock = ports, clock
        self.ref = LibraryRef("tenant", f"signed-{uuid4().hex[:8]}", Kind.SIMILAR, Identity.PICTURE)
        self.library = create_library(ports, self.ref)

    def add(self, number: int, old_sign: str = "") -> Picture:
        self.clock.now += _STEP
        return add(self.ports, Add(self.ref, source(number), Metadata(old_sign=old_sign)), self.library)

    def tell(self, picture: Picture, old_sign: str) -> None:
        """Write a row with an old sign beside the use cases, as versions before did under load."""
        current = self.ports.catalog.picture(picture.key)
        assert current is not None
        changed = described(current, old_sign=old_sign).but(revision=current.revision + 1)
        self.ports.catalog.put(changed, current.revision)
        self.ports.index.write([changed])

    def told(self, *pictures: Picture) -> list[str]:
        rows = [self.ports.catalog.picture(picture.key) for picture in pictures]
        return [row.metadata.old_sign for row in rows if row is not None]

    def named(self, sign: str) -> Key:
        return find_picture(self.ports, self.library, sign).key

    def check(self, *, repair: bool = False) -> Report:
        self.clock.now += DAY
        return check(self.ports, mend=Mender(self.ports, pause=lambda _: None) if repair else None)


@pytest.fixture
def signed(ports: Ports, clock: SetClock) -> Signed:
    return Signed(ports, clock)


def test_signs_that_are_right_are_no_difference(signed: Signed) -> None:
    """Those of deleted and purged pictures neither, for these get them back; nor second ones, nor a picture's own."""
    first, purged, second, own = signed.add(0, "1,1"), signed.add(1, "2,2"), signed.add(2, "3,3"), signed.add(3)
    signed.add(4)
    signed.add(5, "8,8")
    learn_sign(signed.ports, signed.library, second.key, "4,4", told=False)
    update(signed.ports, Update(signed.ref, own.key, {"old_sign": sign_of(own.digest)}))
    delete(signed.ports, Delete(signed.ref, ("2,2",)))
    signed.clock.now += 40 * DAY
    assert purge(signed.ports, lambda: True).pictures == 1
    delete(signed.ports, Delete(signed.ref, ("8,8",)))
    assert signed.check(repair=True).found == {}
    assert signed.add(1).metadata.old_sign == "2,2"
    assert signed.ports.catalog.picture(purged.key) is not None
    assert signed.told(first, second, own) == ["1,1", "3,3", sign_of(own.digest)]


def test_a_picture_gets_its_sign_back_also_if_only_that_was_lost(signed: Signed) -> None:
    row = signed.add(0, "1,1")
    signed.add(1, "2,2")
    signed.ports.catalog.remove_alias(row.key.library, row.key.id, digest_prefix("1,1") or "")
    assert signed.check().found == {Fault.WRONG_SIGN: 1}
    assert signed.check(repair=True).mended == {Fault.WRONG_SIGN: 1}
    assert signed.check().found == {}
    delete(signed.ports, Delete(signed.ref, ("1,1",)))
    assert signed.add(0).metadata.old_sign == "1,1"


def test_of_doubled_signs_one_stays_with_the_picture_that_it_names(signed: Signed) -> None:
    rows = [signed.add(0), signed.add(1, "1,1"), *(signed.add(number) for number in range(2, 6))]
    for row in rows[2:]:
        signed.tell(row, "1,1")
    report = signed.check()
    assert (report.found, report.mended) == ({Fault.WRONG_SIGN: 4}, {})
    assert set(report.examples[Fault.WRONG_SIGN]) == {f"{signed.ref.name}/{row.key.id}" for row in rows[2:]}
    assert signed.check(repair=True).mended == {Fault.WRONG_SIGN: 4}
    assert signed.check().found == {}
    assert signed.told(*rows) == ["", "1,1", "", "", "", ""]
    assert signed.named("1,1") == rows[1].key


def test_signs_that_name_nothing_are_given_again(signed: Signed) -> None:
    """One picture of two has it again: the other is told by its own."""
    rows = [signed.add(number) for number in range(3)]
    for row, sign in zip(rows, ("1,1", "1,1", "2,2"), strict=True):
        signed.tell(row, sign)
    gone = signed.add(3, "2,2")
    delete(signed.ports, Delete(signed.ref, (sign_of(gone.digest),)))
    report = signed.check(repair=True)
    assert (report.found, report.left) == ({Fault.WRONG_SIGN: 3}, 0)
    assert signed.check().found == {}
    told = signed.told(*rows)
    assert (sorted(told[:2]), told[2]) == (["", "1,1"], "2,2")
    assert signed.named("1,1") == rows[told.index("1,1")].key
    assert signed.named("2,2") == rows[2].key
    delete(signed.ports, Delete(signed.ref, ("2,2",)))
    assert signed.add(2).metadata.old_sign == "2,2", "it is known again"


def test_a_sign_that_is_another_s_own_is_said_and_left(signed: Signed) -> None:
    first, second = signed.add(0), signed.add(1)
    shared = sign_of(second.digest)
    delete(signed.ports, Delete(signed.ref, (shared,)))
    update(signed.ports, Update(signed.ref, first.key, {"old_sign": shared}))
    assert signed.check().found == {}, "the other one is deleted"
    signed.add(1)
    report = signed.check(repair=True)
    assert (report.found, report.mended, report.left) == ({Fault.SHARED_SIGN: 1}, {}, 1)
    assert report.examples == {Fault.SHARED_SIGN: (f"{signed.ref.name}/{first.key.id}",)}
    update(signed.ports, Update(signed.ref, first.key, {"old_sign": ""}))
    assert signed.check().found == {}


def test_signs_of_the_young_and_of_removed_libraries_are_not_judged(signed: Signed) -> None:
    signed.tell(signed.add(0), "1,1")
    report = check(signed.ports)
    assert report.found == {}
    assert report.settling >= 1
    assert signed.check().found == {Fault.WRONG_SIGN: 1}
    signed.ports.catalog.remove_library(signed.library, signed.clock.now)
    assert signed.check().found == {}
