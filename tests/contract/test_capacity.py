"""The capacity of a library holds, however many add to it at once and by whatever road, on every catalog."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lookalike.domain.application import Application, Policy
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Key, Picture
from lookalike.errors import LibraryFull
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.add_many import add_all
from lookalike.service.capacity import ApplicationFull, limited, places
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import name_of
from lookalike.service.libraries import create_library
from lookalike.service.restore import restore
from lookalike.service.upload import ObjectCreated, ingest
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_counters import DynamoCounters
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.dynamodb_uploads import DynamoUploads
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.contract.conftest import DYNAMODB
from tests.servers.dynamodb import server
from tests.support.baidu import picture
from tests.support.fakes import MemoryObjects, SetClock, memory_ports
from tests.unit.service.test_groups import source

SHOP = Application("ak", "sk", "10000001", "tenant", "shop")
REF = LibraryRef("tenant", "shop", Kind.SIMILAR, Identity.OWN)
CAPACITY = 5

Together = Callable[[list[Callable[[], object]]], list[object]]


@pytest.fixture(params=["sqlite", DYNAMODB])
def ports(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ports]:
    with ExitStack() as opened:
        if request.param == "sqlite":
            stores = SqliteStores(tmp_path / "catalog.db")
            opened.callback(stores.close)
            truth = {name: getattr(stores, name) for name in ("catalog", "counters", "maps", "uploads")}
        else:
            table = server.new_table()
            kinds = {"catalog": DynamoCatalog, "counters": DynamoCounters, "maps": DynamoMaps, "uploads": DynamoUploads}
            truth = {name: kind(table) for name, kind in kinds.items()}
        yield memory_ports(SHOP, clock=SetClock(1_767_323_045_000), **truth)


@pytest.fixture
def library(ports: Ports) -> Library:
    return create_library(ports, REF, capacity=CAPACITY)


def live(ports: Ports, library: Library) -> int:
    return sum(row.live for row in ports.catalog.pictures(library.uid, None, 1000))


def one(ports: Ports, library: Library, number: int) -> Picture | LibraryFull:
    try:
        return add(ports, Add(REF, source(number), id=str(number)), library)
    except LibraryFull as full:
        return full


def test_adds_at_once_never_pass_it_and_the_last_place_is_given(
    ports: Ports, library: Library, together: Together
) -> None:
    together([partial(one, ports, library, number) for number in range(12)])
    assert live(ports, library) <= CAPACITY
    # Who was refused while another held the last place may ask again, once that has its picture, or has failed.
    for number in range(100, 106):
        one(ports, library, number)
    assert live(ports, library) == CAPACITY
    assert isinstance(one(ports, library, 200), LibraryFull)


def test_many_roads_at_once(ports: Ports, library: Library, together: Together) -> None:
    for number in range(3):
        one(ports, library, number)
    delete(ports, Delete(REF, ("0",)))
    objects = MemoryObjects()
    ports = replace(ports, stores=replace(ports.stores, objects=objects))  # type: ignore[type-var]  # it is a dataclass

    def uploaded(number: int) -> object:
        key = f"uploads/{SHOP.app_id}/shop/{number}.png"
        objects.put("uploads", key, picture(number))
        return ingest(ports, ObjectCreated("uploads", key, "01"))

    def refused(work: Callable[[], object]) -> Callable[[], object]:
        def run() -> object:
            try:
                return work()
            except LibraryFull as full:
                return full

        return run

    batch = [Add(REF, source(number), id=str(number)) for number in (20, 21, 22)]
    together(
        [
            refused(lambda: restore(ports, library, "0")),
            refused(lambda: uploaded(30)),
            refused(lambda: uploaded(31)),
            lambda: add_all(ports, library, batch, 60),
            lambda: one(ports, library, 40),
            lambda: one(ports, library, 41),
        ]
    )
    assert 2 < live(ports, library) <= CAPACITY


def test_an_upload_to_a_full_library_is_refused_and_may_be_sent_again(ports: Ports, library: Library) -> None:
    objects = MemoryObjects()
    ports = replace(ports, stores=replace(ports.stores, objects=objects))  # type: ignore[type-var]  # it is a dataclass
    for number in range(CAPACITY):
        one(ports, library, number)
    key = f"uploads/{SHOP.app_id}/shop/a.png"
    objects.put("uploads", key, picture(30))
    event = ObjectCreated("uploads", key, "01")
    with pytest.raises(LibraryFull):
        ingest(ports, event)
    delete(ports, Delete(REF, ("0",)))
    assert ingest(ports, event) == "added"
    assert live(ports, library) == CAPACITY


def test_what_died_with_a_place_in_hand_holds_it_for_some_minutes(ports: Ports, library: Library) -> None:
    clock = ports.clock
    assert isinstance(clock, SetClock)
    window = clock.now // 300_000
    assert ports.counters.take(f"room/{library.uid}/{window}/taken", 2, None) == 2
    for number in range(10):
        one(ports, library, number)
    assert live(ports, library) == CAPACITY - 2
    clock.now += 300_000
    assert isinstance(one(ports, library, 10), LibraryFull)
    clock.now += 300_000
    for number in range(20, 24):
        one(ports, library, number)
    assert live(ports, library) == CAPACITY


def test_threads_of_adds_and_deletes(ports: Ports, library: Library) -> None:
    """While pictures come and go there are never more than there may be."""
    most, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            most[0] = max(most[0], live(ports, library))

    def churn(first: int) -> None:
        for number in range(first, first + 6):
            if isinstance(one(ports, library, number), Picture):
                delete(ports, Delete(REF, (str(number),)))

    threads = [threading.Thread(target=churn, args=(100 * number,)) for number in range(1, 7)]
    watcher = threading.Thread(target=watch)
    watcher.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    watcher.join()
    assert 0 < most[0] <= CAPACITY


# -- Of an application -------------------------------------------------------------------------------------------------

OTHER = LibraryRef("tenant", "other", Kind.SAME)


@pytest.fixture
def limited_ports(ports: Ports) -> Ports:
    application = replace(SHOP, policy=Policy(capacity=CAPACITY))
    ports.applications.save_application(application)
    return limited(ports, application)


def all_live(ports: Ports) -> int:
    return sum(live(ports, library) for library in ports.catalog.libraries("tenant"))


def into(ports: Ports, ref: LibraryRef, number: int) -> Picture | LibraryFull:
    try:
        return add(ports, Add(ref, source(number), id=str(number) if ref is REF else None))
    except LibraryFull as full:
        return full


def test_all_libraries_together_hold_no_more_than_their_application_may_have(
    limited_ports: Ports, library: Library, together: Together
) -> None:
    other = create_library(limited_ports, OTHER)
    uids = {REF: library.uid, OTHER: other.uid}
    works = [partial(into, limited_ports, ref, number) for number in range(8) for ref in (REF, OTHER)]
    together([*works])
    assert all_live(limited_ports) <= CAPACITY
    for number in range(100, 106):
        into(limited_ports, OTHER, number)
    assert all_live(limited_ports) == CAPACITY
    assert [type(into(limited_ports, ref, 200)) for ref in (REF, OTHER)] in (
        [ApplicationFull] * 2,
        [LibraryFull, ApplicationFull],  # where all of them are in the library that holds no more itself
    )
    rows = {
        ref: [row for row in limited_ports.catalog.pictures(uid, None, 10) if row.live] for ref, uid in uids.items()
    }
    ref, row = next((ref, some[0]) for ref, some in rows.items() if some)
    delete(limited_ports, Delete(ref, (name_of(library if ref is REF else other, row),)))
    assert isinstance(into(limited_ports, OTHER, 300), Picture)


def test_an_upload_and_a_batch_keep_to_it_too(limited_ports: Ports, library: Library) -> None:
    objects = MemoryObjects()
    ports = replace(limited_ports, stores=replace(limited_ports.stores, objects=objects))  # type: ignore[type-var]
    key = f"uploads/{SHOP.app_id}/shop/a.png"
    objects.put("uploads", key, picture(30))
    for number in range(3):
        into(ports, OTHER, number)
    outcomes = add_all(ports, library, [Add(REF, source(number), id=str(number)) for number in range(10, 14)], 60)
    assert [type(outcome) for outcome in outcomes] == [Picture, Picture, ApplicationFull, ApplicationFull]
    with pytest.raises(ApplicationFull):
        ingest(replace(ports, capacity=None), ObjectCreated("uploads", key, "01"))  # it looks up whose object it is
    delete(ports, Delete(REF, ("10",)))
    assert ingest(replace(ports, capacity=None), ObjectCreated("uploads", key, "01")) == "added"
    assert all_live(ports) == CAPACITY


def test_restores_and_adds_at_once_keep_to_it(limited_ports: Ports, library: Library, together: Together) -> None:
    """All pictures but one are deleted; others are added while they are restored."""
    create_library(limited_ports, OTHER)
    for number in range(CAPACITY):
        into(limited_ports, REF, number)
    deleted = [str(number) for number in range(1, CAPACITY)]
    delete(limited_ports, Delete(REF, tuple(deleted)))

    def back(name: str) -> object:
        try:
            return restore(limited_ports, library, name)
        except LibraryFull as full:
            return full

    restores = [partial(back, name) for name in deleted]
    together([*restores, *(partial(into, limited_ports, OTHER, number) for number in range(50, 54))])
    assert all_live(limited_ports) <= CAPACITY
    for number in range(100, 106):
        into(limited_ports, OTHER, number)
    assert all_live(limited_ports) == CAPACITY
    rows = {name: limited_ports.catalog.picture(Key(library.uid, name)) for name in deleted}
    gone = [name for name, row in rows.items() if row is not None and not row.live]
    assert gone, "something was refused"
    assert {type(back(name)) for name in gone} <= {LibraryFull, ApplicationFull}
    assert all_live(limited_ports) == CAPACITY


def test_another_application_of_the_tenant_keeps_to_its_own(limited_ports: Ports) -> None:
    for number in range(CAPACITY):
        into(limited_ports, OTHER, number)
    assert isinstance(into(limited_ports, OTHER, 10), ApplicationFull)
    unlimited = limited(limited_ports, replace(SHOP, access_key="other"))
    assert isinstance(into(unlimited, OTHER, 10), Picture)
    assert isinstance(into(limited(limited_ports, SHOP), OTHER, 11), Picture)


def test_places_that_the_library_has_not_are_not_held_of_the_application(
    limited_ports: Ports, library: Library
) -> None:
    for number in range(CAPACITY - 1):
        into(limited_ports, OTHER, number)
    with places(limited_ports, library, 4) as held:
        assert (held.count, type(held.full)) == (1, ApplicationFull)
        with places(replace(limited_ports, capacity=None), library, 9) as others:
            assert (others.count, type(others.full)) == (CAPACITY - 1, LibraryFull)
