"""Changes and deletions that name the revision they were decided on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Key, Metadata, Picture
from lookalike.errors import InvalidArgument, PictureNotFound, RevisionMismatch
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.libraries import create_library
from lookalike.service.update import Update, update
from tests.contract.rows import described
from tests.support.fakes import MemoryCatalog, MemoryIndex, memory_ports
from tests.unit.service.test_groups import source

REF = LibraryRef("tenant", "shop", Kind.SIMILAR, Identity.OWN)

CHANGES: dict[str, Callable[[Ports, int], object]] = {
    "update": lambda ports, revision: update(ports, Update(REF, "a", {"brief": "new"}, revision=revision)),
    "update nothing": lambda ports, revision: update(ports, Update(REF, "a", {}, revision=revision)),
    "delete": lambda ports, revision: delete(ports, Delete(REF, ("a",), revision=revision)),
}


class Overtaking(MemoryCatalog):
    """Behind the next ``put``'s back another call writes the row."""

    overtakes = False

    def put(self, picture: Picture, previous: int | None) -> None:
        if self.overtakes:
            self.overtakes = False
            row = self.rows[picture.key]
            self.rows[picture.key] = described(row.but(revision=row.revision + 1), brief="theirs")
        super().put(picture, previous)


@pytest.fixture
def catalog() -> Overtaking:
    return Overtaking()


@pytest.fixture
def index() -> MemoryIndex:
    return MemoryIndex()


@pytest.fixture
def ports(catalog: Overtaking, index: MemoryIndex) -> Ports:
    return memory_ports(catalog=catalog, index=index)


@pytest.fixture
def library(ports: Ports) -> Library:
    return create_library(ports, REF)


@pytest.fixture
def added(ports: Ports, library: Library) -> Picture:
    return add(ports, Add(REF, source(1), Metadata(brief="old"), id="a"), library)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_revision_changes_nothing(
    ports: Ports, catalog: Overtaking, added: Picture, change: Callable[[Ports, int], object]
) -> None:
    with pytest.raises(RevisionMismatch) as refused:
        change(ports, added.revision - 1)
    assert (refused.value.key, refused.value.revision) == (added.key, added.revision)
    assert catalog.rows[added.key] is added


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_that_revision_is_changed(ports: Ports, added: Picture, change: Callable[[Ports, int], object]) -> None:
    assert change(ports, added.revision)


@pytest.mark.parametrize("change", ["update", "delete"])
def test_a_faster_write_makes_it_another_revision(
    ports: Ports, catalog: Overtaking, added: Picture, change: str
) -> None:
    catalog.overtakes = True
    with pytest.raises(RevisionMismatch) as refused:
        CHANGES[change](ports, added.revision)
    row = catalog.rows[added.key]
    assert (row.live, row.metadata.brief, row.revision) == (True, "theirs", refused.value.revision)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_deleted_picture_has_no_revision_to_compare(
    ports: Ports, added: Picture, change: Callable[[Ports, int], object]
) -> None:
    delete(ports, Delete(REF, ("a",)))
    with pytest.raises(PictureNotFound):
        change(ports, added.revision)


def test_a_revision_of_several_pictures(ports: Ports, library: Library, added: Picture) -> None:
    add(ports, Add(REF, source(2), id="b"), library)
    with pytest.raises(InvalidArgument):
        delete(ports, Delete(REF, ("a", "b"), revision=added.revision))
    assert delete(ports, Delete(REF, ("a", "unknown"), revision=added.revision)) == 1


def test_an_update_returns_what_is_stored(
    ports: Ports, catalog: Overtaking, index: MemoryIndex, added: Picture
) -> None:
    written = update(ports, Update(REF, "a", {"tags": ("1",)}))
    assert written is catalog.rows[added.key] is index.rows[added.key]
    assert (written.metadata, written.revision > added.revision) == (Metadata("old", tags=("1",)), True)
    assert update(ports, Update(REF, "a", {})) is written
    assert catalog.rows[added.key] is written


def test_the_error_names_the_picture() -> None:
    error = RevisionMismatch(Key("library", "a"), None)
    assert error.explanation == "revision: the picture has another revision than the one named: a"
