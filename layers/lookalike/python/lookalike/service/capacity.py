"""How many more pictures a library takes."""

from __future__ import annotations

import sys

from lookalike.domain.library import Identity, Library
from lookalike.errors import LibraryFull, Unavailable
from lookalike.observability import logger
from lookalike.ports import Ports


def capacity_of(ports: Ports, library: Library) -> int | None:
    """Return how many live pictures the library may hold: its own capacity, or the settings'; None: any number."""
    if library.capacity is not None:
        return library.capacity
    return ports.settings.group_pictures if library.identity is Identity.OWN else None


def room(ports: Ports, library: Library) -> int:
    """Return how many more pictures the library takes, as far as the index knows.

    If the index does not answer there is room: the limit only ever holds as far as the index knows, and an
    acknowledged add never depends on the index.
    """
    capacity = capacity_of(ports, library)
    if capacity is None:
        return sys.maxsize
    try:
        return max(capacity - ports.index.count(library.uid), 0)
    except Unavailable:
        logger.warning("the index does not say how full a group is", exc_info=True, extra={"library": library.uid})
        return sys.maxsize


def check_room(ports: Ports, library: Library) -> None:
    """Raise LibraryFull if the library takes no more pictures."""
    if not room(ports, library):
        raise LibraryFull(library.name)
