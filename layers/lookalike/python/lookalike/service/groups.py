"""A tenant's libraries: names, removal, and the pictures in them, page by page or by name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Picture, State, sign_of
from lookalike.domain.search import Candidate, TagFilter
from lookalike.errors import LibraryNotFound, PictureNotFound
from lookalike.ports import Ports
from lookalike.service.lookup import resolve_keys

#: Rows read at a time: many of them may be in another state, or without the tags.
_MIN_ROWS_READ = 100

#: Reads per page. After them a page ends, even if it is short, and the next one continues there.
_MAX_READS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A page of a library's pictures. The next page starts after the id ``after``; None: this is the last page."""

    pictures: tuple[Picture, ...]
    after: str | None


def group_names(ports: Ports, tenant: str) -> Sequence[str]:
    """Return the names of all libraries of a tenant, in order."""
    return [library.name for library in ports.catalog.libraries(tenant)]


def remove_group(ports: Ports, tenant: str, name: str) -> None:
    """Remove the library at once, whatever its size; a purge sweeps its rows later. An unknown name is ignored."""
    library = ports.catalog.library(tenant, name)
    if library is not None:
        with suppress(LibraryNotFound):  # another call was faster
            ports.catalog.remove_library(library, ports.clock())


def list_pictures(
    ports: Ports,
    library: Library,
    after: str | None,
    limit: int,
    *,
    state: State = State.LIVE,
    tags: TagFilter | None = None,
) -> Listing:
    """Return up to ``limit`` pictures in that state after the id ``after`` that ``tags`` keeps, in the catalog's order.

    A walk over all pages meets each picture that is there all the while exactly once. A page may be short, or empty,
    although more pages follow: each reads a limited number of rows.
    """
    kept: list[Picture] = []
    for _ in range(_MAX_READS):
        rows = ports.catalog.pictures(library.uid, after, max(limit + 1, _MIN_ROWS_READ))
        if not rows:
            return Listing(tuple(kept), None)
        kept += [row for row in rows if row.state is state and (tags is None or tags.keeps(row.metadata.tags))]
        if len(kept) > limit:
            return Listing(tuple(kept[:limit]), kept[limit - 1].key.id)
        after = rows[-1].key.id
    return Listing(tuple(kept), after)


def picture_in(ports: Ports, library: Library, name: str) -> Picture:
    """Return the live picture of that id or sign. Raises PictureNotFound or SignAmbiguous."""
    for key in resolve_keys(ports, library, [name]):
        found = ports.catalog.picture(key)
        if found is not None and found.live:
            return found
    raise PictureNotFound(name)


def name_of(library: Library, picture: Picture | Candidate) -> str:
    """Return the name by which callers know a picture of that library: its id, or its sign where it is its own id."""
    return picture.key.id if library.identity is Identity.OWN else sign_of(picture.digest)
