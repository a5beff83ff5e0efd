"""How many pictures a library takes, and what needs no room."""

from __future__ import annotations

import sys

import pytest

from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Picture
from lookalike.errors import InvalidArgument, LibraryFull, LibraryNotFound, PictureExists, Unavailable
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.add_many import add_all
from lookalike.service.capacity import capacity_of, room
from lookalike.service.delete import Delete, delete
from lookalike.service.libraries import MAX_CAPACITY, create_library, set_capacity
from lookalike.service.restore import restore
from lookalike.settings import Settings
from tests.support.fakes import MemoryIndex, memory_ports
from tests.unit.service.test_groups import source

REF = LibraryRef("tenant", "shop", Kind.SIMILAR, Identity.OWN)
OWN_IDS = LibraryRef("tenant", "similar", Kind.SIMILAR)


@pytest.fixture
def ports() -> Ports:
    return memory_ports(settings=Settings(group_pictures=2))


@pytest.fixture
def library(ports: Ports) -> Library:
    return create_library(ports, REF, capacity=3)


def put(ports: Ports, library: Library, number: int, *, replace: bool = False) -> Picture:
    return add(ports, Add(REF, source(number), id=str(number % 10), replace=replace), library)


def test_the_library_s_own_capacity_comes_before_the_settings(ports: Ports, library: Library) -> None:
    assert (library.capacity, capacity_of(ports, library), room(ports, library)) == (3, 3, 3)
    assert capacity_of(ports, set_capacity(ports, "tenant", "shop", None)) == 2
    pictures_are_ids = create_library(ports, OWN_IDS)
    assert (capacity_of(ports, pictures_are_ids), room(ports, pictures_are_ids)) == (None, sys.maxsize)
    assert capacity_of(ports, set_capacity(ports, "tenant", "similar", 7)) == 7


def test_a_capacity_is_kept(ports: Ports, library: Library) -> None:
    changed = set_capacity(ports, "tenant", "shop", 5)
    assert (changed.uid, changed.capacity) == (library.uid, 5)
    assert ports.catalog.library("tenant", "shop") == changed
    with pytest.raises(LibraryNotFound):
        set_capacity(ports, "stranger", "shop", 5)


@pytest.mark.parametrize("capacity", [0, -1, MAX_CAPACITY + 1])
def test_capacities_that_cannot_be(ports: Ports, library: Library, capacity: int) -> None:
    with pytest.raises(InvalidArgument, match="capacity"):
        set_capacity(ports, "tenant", "shop", capacity)
    with pytest.raises(InvalidArgument, match="capacity"):
        create_library(ports, OWN_IDS, capacity)
    assert ports.catalog.libraries("tenant") == [library]


@pytest.mark.parametrize("identity", Identity)
def test_a_full_library_takes_no_more(ports: Ports, identity: Identity) -> None:
    ref = LibraryRef("tenant", "library", Kind.SIMILAR, identity)
    library = create_library(ports, ref, capacity=2)
    ids = ["a", "b", "c"] if identity is Identity.OWN else [None] * 3
    first, *_ = [add(ports, Add(ref, source(number), id=ids[number]), library) for number in range(2)]
    with pytest.raises(LibraryFull):
        add(ports, Add(ref, source(2), id=ids[2]), library)
    with pytest.raises(LibraryFull):
        add(ports, Add(ref, source(2), id=ids[2]))  # the library is looked up
    with pytest.raises(PictureExists):
        add(ports, Add(ref, source(0), id=ids[0]), library)
    library = set_capacity(ports, "tenant", "library", 3)
    assert add(ports, Add(ref, source(2), id=ids[2])).live
    assert set_capacity(ports, "tenant", "library", 1).capacity == 1
    assert ports.catalog.picture(first.key) is first


def test_what_takes_the_place_of_a_live_picture_needs_no_room(ports: Ports, library: Library) -> None:
    for number in range(3):
        put(ports, library, number)
    assert put(ports, library, 10, replace=True).live
    with pytest.raises(LibraryFull):
        put(ports, library, 3, replace=True)


def test_a_deleted_picture_leaves_room_and_its_restoring_needs_it(ports: Ports, library: Library) -> None:
    for number in range(3):
        put(ports, library, number)
    delete(ports, Delete(REF, ("0",)))
    assert restore(ports, library, "0").live
    delete(ports, Delete(REF, ("0",)))
    put(ports, library, 3)
    with pytest.raises(LibraryFull):
        restore(ports, library, "0")
    assert restore(ports, library, "3").live


def test_many_at_once(ports: Ports, library: Library) -> None:
    put(ports, library, 0)
    numbers = [10, 1, 20, 2, 3, 30]
    commands = [Add(REF, source(number), id=str(number % 10), replace=True) for number in numbers]
    outcomes = add_all(ports, library, commands, 60)
    assert [type(outcome) for outcome in outcomes] == [Picture, Picture, Picture, Picture, LibraryFull, Picture]
    assert room(ports, library) == 0


def test_an_index_that_does_not_answer_keeps_nobody_from_adding() -> None:
    class Away(MemoryIndex):
        def count(self, *libraries: str) -> int:
            raise Unavailable("away")

    ports = memory_ports(index=Away())
    assert put(ports, create_library(ports, REF, capacity=1), 1).live
    assert put(ports, create_library(ports, LibraryRef("t", "b", Kind.SAME, Identity.OWN), capacity=1), 2).live


def test_the_error_names_the_remedy() -> None:
    assert "capacity" in LibraryFull("shop").remedy
