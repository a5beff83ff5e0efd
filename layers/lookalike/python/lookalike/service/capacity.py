"""How many more pictures a library takes, also with many adds at once.

The number of live pictures is the index's. Where a library is nearly full, adds hold places while they are under way: a count
of those taken, and one of those given back once the index knows the picture. Whoever reads first what was given back, then
the index, and then takes a place, cannot pass the capacity, however many do so at once. Both counts are of five minutes, so
that a place is free again ten minutes after whatever held it has died.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lookalike.domain.library import Identity, Library
from lookalike.errors import LibraryFull, Unavailable
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports

#: Room below which adds hold places: more than adds that are under way at once.
_NEARLY_FULL = 256

#: Milliseconds of which places are counted together: longer than any add takes.
_WINDOW_MS = 300_000


def capacity_of(ports: Ports, library: Library) -> int | None:
    """Return how many live pictures the library may hold: its own capacity, or the settings'; None: any number."""
    if library.capacity is not None:
        return library.capacity
    return ports.settings.group_pictures if library.identity is Identity.OWN else None


def room(ports: Ports, library: Library) -> int:
    """Return how many more pictures the library takes, as far as the index knows.

    If the index does not answer there is room: an acknowledged add never depends on the index.
    """
    capacity = capacity_of(ports, library)
    if capacity is None:
        return sys.maxsize
    try:
        return max(capacity - ports.index.count(library.uid), 0)
    except Unavailable:
        logger.warning("the index does not say how full a group is", exc_info=True, extra={"library": library.uid})
        return sys.maxsize


@dataclass(frozen=True, slots=True)
class Places:
    """Places in a library that are held: how many, and the ports to add with.

    With those, a write returns once the index knows it, so that places are given back no sooner.
    """

    count: int
    ports: Ports


@contextmanager
def places(ports: Ports, library: Library, wanted: int) -> Iterator[Places]:
    """Hold as many places as there are, ``wanted`` at most, while the block adds pictures. Raises Unavailable."""
    left = room(ports, library)
    if left > _NEARLY_FULL:
        yield Places(min(wanted, left), ports)
        return
    window = ports.clock() // _WINDOW_MS
    now, before = (f"room/{library.uid}/{one}" for one in (window, window - 1))
    expires = (window + 3) * _WINDOW_MS
    returned = ports.counters.counted(f"{now}/returned") + ports.counters.counted(f"{before}/returned")
    left = room(ports, library)  # again, after what was returned was read
    limit = returned + left - ports.counters.counted(f"{before}/taken")
    count = ports.counters.take(f"{now}/taken", min(wanted, left), limit, expires) if left else 0
    try:
        yield Places(count, replace(ports, settings=replace(ports.settings, wait_for_index=True)))
    finally:
        if count:
            _give_back(ports, f"{now}/returned", count, expires)


def _give_back(ports: Ports, name: str, count: int, expires: int) -> None:
    """Give places back, best effort: otherwise they are free some minutes later."""
    try:
        ports.counters.take(name, count, None, expires)
    except Unavailable as error:
        logger.warning("places in a library could not be given back", extra={"operation": "add", **error_fields(error)})


@contextmanager
def place(ports: Ports, library: Library, *, needed: bool) -> Iterator[Ports]:
    """Hold a place in the library, if one is ``needed``, while the block adds a picture with the ports yielded.

    Raises LibraryFull if there is none, and Unavailable.
    """
    if not needed:
        yield ports
        return
    with places(ports, library, 1) as held:
        if not held.count:
            raise LibraryFull(library.name)
        yield held.ports
