"""Signs that pictures had elsewhere, over every catalog: whom they name, who is given them, and how they are taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Unpack

import pytest

from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Metadata, MetadataChange, Picture, sign_of
from lookalike.errors import InvalidArgument, PictureNotFound, RevisionMismatch, SignAmbiguous
from lookalike.ports import Catalog, Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import list_pictures
from lookalike.service.old_signs import forget_sign, learn_sign
from lookalike.service.restore import restore
from lookalike.service.stored import find_picture
from lookalike.service.update import Update, update
from tests.support.fakes import MemoryOriginals, memory_ports
from tests.unit.service.test_groups import source

OLD, OTHER = "123456789,987654321", "11,22"


class Interrupted(MemoryOriginals):
    """Originals; between reading or writing one and writing its row, something else happens once."""

    def __init__(self) -> None:
        super().__init__()
        self.then: Callable[[], None] | None = None

    def put(self, key: str, data: bytes) -> None:
        super().put(key, data)
        self._then()

    def get(self, key: str) -> bytes | None:
        self._then()
        return super().get(key)

    def _then(self) -> None:
        if self.then is not None:
            then, self.then = self.then, None
            then()


@dataclass(frozen=True, slots=True)
class World:
    """A library where a picture is its own id."""

    ports: Ports
    originals: Interrupted
    ref: LibraryRef

    def add(self, number: int, old_sign: str = "") -> Picture:
        return add(self.ports, Add(self.ref, source(number), Metadata(old_sign=old_sign)))

    def update(self, which: str, **change: Unpack[MetadataChange]) -> Picture:
        return update(self.ports, Update(self.ref, which, change))

    def delete(self, which: str) -> int:
        return delete(self.ports, Delete(self.ref, (which,)))

    def told(self) -> list[str]:
        """The old signs of the live pictures, in no order."""
        library = self.ports.catalog.library(self.ref.tenant, self.ref.name)
        assert library is not None
        return sorted(row.metadata.old_sign for row in list_pictures(self.ports, library, None, 99).pictures)

    def find(self, name: str) -> Picture:
        library = self.ports.catalog.library(self.ref.tenant, self.ref.name)
        assert library is not None
        return find_picture(self.ports, library, name)

    def restore(self, name: str) -> Picture:
        library = self.ports.catalog.library(self.ref.tenant, self.ref.name)
        assert library is not None
        return restore(self.ports, library, name)


@pytest.fixture
def world(catalog: Catalog) -> World:
    originals = Interrupted()
    ref = LibraryRef("tenant", "signed", Kind.SIMILAR, Identity.PICTURE)
    return World(memory_ports(catalog=catalog, originals=originals), originals, ref)


def own_sign(world: World, number: int) -> str:
    """The sign that a picture is going to have."""
    elsewhere = LibraryRef("tenant", "elsewhere", Kind.SIMILAR, Identity.PICTURE)
    return sign_of(add(world.ports, Add(elsewhere, source(number))).digest)


@pytest.mark.parametrize("second", ["", OTHER])
def test_one_that_is_another_s_own_sign_is_ambiguous(world: World, second: str) -> None:
    """The other one came later, and is not refused for that."""
    shared = own_sign(world, 1)
    first, own = world.add(0, shared), world.add(1, second)
    assert sign_of(own.digest) == shared
    for name in (lambda: world.update(shared, brief="x"), lambda: world.delete(shared), lambda: world.find(shared)):
        with pytest.raises(SignAmbiguous):
            name()
    assert world.told() == sorted([shared, second])
    assert world.update(sign_of(first.digest), brief="first").key == first.key
    assert delete(world.ports, Delete(world.ref, source(1))) == 1
    assert world.update(shared, brief="alone").key == first.key
    with pytest.raises(SignAmbiguous):
        world.restore(shared)


def test_one_that_is_the_picture_s_own_names_it_once(world: World) -> None:
    own = own_sign(world, 0)
    row = world.add(0, own)
    assert world.update(own, brief="x").key == row.key
    assert world.delete(own) == 1


def test_many_are_looked_up_at_once(world: World) -> None:
    shared = own_sign(world, 1)
    signs = [f"7,{number}" for number in range(2, 6)]
    for number, sign in enumerate(signs):
        world.add(number + 2, sign)
    names = ("none", *signs, sign_of(world.find(signs[0]).digest), "1,1")
    assert delete(world.ports, Delete(world.ref, names)) == len(signs)
    world.add(0, shared)
    world.add(1)
    world.add(2)
    with pytest.raises(SignAmbiguous):
        delete(world.ports, Delete(world.ref, (signs[0], shared)))
    assert len(world.told()) == 3, "nothing is deleted"


def test_one_that_is_given_away_before_the_row_is_written(world: World) -> None:
    """The claim of a picture that is not there yet is taken; its row is not written, nor is its original kept."""
    other = world.add(9)
    world.originals.then = lambda: learn_sign_of(world, other, OLD)
    with pytest.raises(InvalidArgument, match="being given to another picture"):
        world.add(0, OLD)
    world.update(sign_of(other.digest), old_sign=OLD)
    assert world.told() == [OLD]
    assert world.find(OLD).key == other.key
    assert len(world.originals.files) == 1


def test_one_that_is_given_away_before_it_is_restored(world: World) -> None:
    """It comes back by its own sign."""
    row, other = world.add(0, OLD), world.add(9)
    world.delete(OLD)
    stolen = sign_of(row.digest)
    world.originals.then = lambda: learn_sign_of(world, other, OLD)
    assert world.restore(stolen).metadata.old_sign == ""
    assert world.find(OLD).key == other.key


def learn_sign_of(world: World, row: Picture, sign: str) -> None:
    library = world.ports.catalog.library(world.ref.tenant, world.ref.name)
    assert library is not None
    learn_sign(world.ports, library, row.key, sign)


def test_a_wrong_one_is_taken_back(world: World) -> None:
    wrong = world.add(0, OLD)
    own = sign_of(wrong.digest)
    for _ in range(2):
        assert world.update(own, old_sign="").metadata.old_sign == ""
        with pytest.raises(PictureNotFound):
            world.find(OLD)
    assert world.find(own).key == wrong.key
    world.delete(own)
    assert world.add(0).metadata.old_sign == "", "it is not known any more"
    assert world.add(1, OLD).metadata.old_sign == OLD


def test_a_change_that_is_refused_gives_none(world: World) -> None:
    row = world.add(0, OLD)
    for sign in (OTHER, ""):
        with pytest.raises(RevisionMismatch):
            update(world.ports, Update(world.ref, row.key, {"old_sign": sign}, revision=row.revision - 1))
    assert world.find(OLD).key == row.key
    with pytest.raises(PictureNotFound):
        world.find(OTHER)


def test_what_broke_off_before_the_sign_was_forgotten_is_done_by_the_next(world: World) -> None:
    row = world.add(0, OLD)
    current = world.ports.catalog.picture(row.key)
    assert current is not None
    world.ports.catalog.put(current.but(revision=current.revision + 1, metadata=Metadata()), current.revision)
    assert world.find(OLD).key == row.key
    world.update(OLD, old_sign="")
    with pytest.raises(PictureNotFound):
        world.find(OLD)


def test_taking_one_back_leaves_that_of_another_alone(world: World) -> None:
    first = world.add(0, OLD)
    world.delete(OLD)
    second = world.add(1, OLD)
    assert world.restore(sign_of(first.digest)).metadata.old_sign == ""
    world.update(sign_of(first.digest), old_sign="")
    forget_sign(world.ports, first.key, OLD)
    assert world.find(OLD).key == second.key
