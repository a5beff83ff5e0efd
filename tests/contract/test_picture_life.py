"""A picture's life, added, replaced, deleted and restored, over every adapter of each store."""

from __future__ import annotations

import pytest

from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Metadata, State
from lookalike.errors import PictureNotFound, RevisionMismatch
from lookalike.ports import Catalog, MapStore, PictureStore, Ports, Uploads, VectorIndex
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import list_pictures
from lookalike.service.libraries import create_library
from lookalike.service.restore import restore
from lookalike.service.search import Search, search
from lookalike.service.update import Update, update
from tests.support.fakes import memory_ports
from tests.unit.service.test_groups import source

REF = LibraryRef("tenant", "shop", Kind.SAME, Identity.OWN)


def live(ports: Ports) -> None:
    """Lives through everything, and looks at what is stored and found at each step."""
    library = create_library(ports, REF)

    def put(number: int, brief: str, revision: int | None = None) -> int:
        command = Add(REF, source(number), Metadata(brief), id="a/猫", replace=True, revision=revision)
        return add(ports, command, library).revision

    def found(number: int) -> list[str]:
        matches = search(ports, Search(REF, source(number))).matches
        return [match.candidate.metadata.brief for match in matches if match.score == 1]

    revisions = [put(1, "one"), put(2, "two"), put(2, "again")]
    assert revisions[2] == put(2, "again")
    with pytest.raises(RevisionMismatch):
        put(1, "late", revisions[0])
    assert (found(1), found(2)) == ([], ["again"])
    revisions.append(update(ports, Update(REF, "a/猫", {"brief": "updated"}, revision=revisions[2])).revision)
    delete(ports, Delete(REF, ("a/猫",), revision=revisions[3]))
    (deleted,) = list_pictures(ports, library, None, 10, state=State.DELETED).pictures
    assert (found(2), list_pictures(ports, library, None, 10).pictures) == ([], ())
    restored = restore(ports, library, "a/猫", deleted.revision)
    revisions += [deleted.revision, restored.revision]
    assert found(2) == ["updated"]
    assert restore(ports, library, "a/猫").revision == restored.revision
    assert list_pictures(ports, library, None, 10, state=State.DELETED).pictures == ()
    (row,) = list_pictures(ports, library, None, 10).pictures
    assert (row.revision, row.deleted_at, row.metadata) == (restored.revision, None, Metadata("updated"))
    assert ports.originals.get(row.object_key) == source(2).data
    assert ports.maps.maps([row.object_key]).keys() == {row.object_key}
    assert revisions == sorted(set(revisions))
    with pytest.raises(PictureNotFound):
        restore(ports, library, "b")


def test_over_each_catalog(catalog: Catalog) -> None:
    live(memory_ports(catalog=catalog))


def test_over_each_index(index: VectorIndex) -> None:
    live(memory_ports(index=index))


def test_over_each_store_of_originals(originals: PictureStore) -> None:
    live(memory_ports(originals=originals))


def test_over_each_store_of_maps(maps: MapStore) -> None:
    live(memory_ports(maps=maps))


def test_over_each_store_of_uploads(uploads: Uploads) -> None:
    live(memory_ports(uploads=uploads))
