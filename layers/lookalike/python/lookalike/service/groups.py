"""A tenant's libraries as wholes, and what is in them: names, numbers, pages of pictures, removal."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Picture, sign_of
from lookalike.domain.search import Candidate
from lookalike.errors import LibraryNotFound, PictureNotFound
from lookalike.ports import Ports
from lookalike.service.lookup import chosen

#: Fewest rows read at a time: beside the live ones there may be many that are deleted.
_LEAST_ROWS = 100

#: Reads of one page. A page that finds too little in them ends early, and the next goes on there.
_READS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A page of a library's live pictures. ``after`` is what the next page begins behind; None: this is the last."""

    pictures: tuple[Picture, ...]
    after: str | None


def group_names(ports: Ports, tenant: str) -> Sequence[str]:
    """The names of all libraries of a tenant, in order."""
    return [library.name for library in ports.catalog.libraries(tenant)]


def remove_group(ports: Ports, tenant: str, name: str) -> None:
    """Take the library away at once, whatever it holds; purge sweeps up later. One that is not there does not matter."""
    library = ports.catalog.library(tenant, name)
    if library is not None:
        with suppress(LibraryNotFound):  # somebody else was faster
            ports.catalog.remove_library(library, ports.clock())


def list_pictures(ports: Ports, library: Library, after: str | None, limit: int) -> Listing:
    """Up to ``limit`` live pictures behind the one with the id ``after``, in the catalog's own order."""
    live: list[Picture] = []
    for _ in range(_READS):
        rows = ports.catalog.pictures(library.uid, after, max(limit + 1, _LEAST_ROWS))
        if not rows:
            return Listing(tuple(live), None)
        live += [row for row in rows if row.live]
        if len(live) > limit:
            return Listing(tuple(live[:limit]), live[limit - 1].key.id)
        after = rows[-1].key.id
    return Listing(tuple(live), after)


def picture_in(ports: Ports, library: Library, name: str) -> Picture:
    """The live picture of that name. Raises PictureNotFound or SignAmbiguous."""
    for key in chosen(ports, library, [name]):
        found = ports.catalog.picture(key)
        if found is not None and found.live:
            return found
    raise PictureNotFound(name)


def name_of(library: Library, picture: Picture | Candidate) -> str:
    """What a caller knows a picture of that library by: the id it was given, or else its sign."""
    return picture.key.id if library.identity is Identity.OWN else sign_of(picture.digest)
