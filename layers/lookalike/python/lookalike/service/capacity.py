"""How many more pictures a library takes, also with many adds at once: as many as it may hold, and its application.

The number of live pictures is the index's. Where there is little room, adds hold places while they are under way: a count
of those taken, and one of those given back once the index knows the picture. Whoever reads first what was given back, then
the index, and then takes a place, cannot pass the capacity, however many do so at once. Both counts are of five minutes, so
that a place is free again ten minutes after whatever held it has died.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Library
from lookalike.errors import LibraryFull, Unavailable
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports

#: Room below which adds hold places: more than adds that are under way at once.
_NEARLY_FULL = 256

#: Milliseconds of which places are counted together: longer than any add takes.
_WINDOW_MS = 300_000


class ApplicationFull(LibraryFull):
    """No more pictures may be added to any library of the application's: all together hold as many as it may have."""

    field = "application"
    problem = "its libraries hold as many pictures as it may have; one was on its way to {0.name}"
    remedy = "lookalike keys change --capacity; if it has none of its own, LOOKALIKE_APPLICATION_PICTURES"


def limited(ports: Ports, application: Application) -> Ports:
    """Return ports by which the application adds no more pictures than it may have."""
    return replace(ports, capacity=application_capacity(ports, application))


def application_capacity(ports: Ports, application: Application) -> int | None:
    """Return how many live pictures the libraries of its tenant may hold when it adds one; None: any number."""
    own = application.policy.capacity
    return ports.settings.application_pictures if own is None else own


def capacity_of(ports: Ports, library: Library) -> int | None:
    """Return how many live pictures the library may hold: its own capacity, or the settings'; None: any number."""
    if library.capacity is not None:
        return library.capacity
    by_id = library.identity is Identity.OWN
    return ports.settings.group_pictures if by_id else ports.settings.library_pictures


def pictures_of(ports: Ports, tenant: str) -> int | None:
    """Return how many live pictures all libraries of a tenant hold, as far as the index knows; None if it does not answer."""
    try:
        return ports.index.count(*libraries) if (libraries := _libraries_of(ports, tenant)) else 0
    except Unavailable:
        logger.warning("the index does not say how full a group is", exc_info=True, extra={"operation": "groups"})
        return None


def room(ports: Ports, library: Library) -> int:
    """Return how many more pictures the library takes of the ports' application, as far as the index knows.

    If the index does not answer there is room: an acknowledged add never depends on the index.
    """
    return min((limit.room(ports) for limit in _limits(ports, library)), default=sys.maxsize)


@dataclass(frozen=True, slots=True)
class Places:
    """Places in a library that are held: how many, the ports to add with, and why there are no more.

    With those ports, a write returns once the index knows it, so that places are given back no sooner.
    """

    count: int
    ports: Ports
    full: LibraryFull


@contextmanager
def places(ports: Ports, library: Library, wanted: int) -> Iterator[Places]:
    """Hold as many places as there are, ``wanted`` at most, while the block adds pictures. Raises Unavailable."""
    count, full, claims = wanted, LibraryFull(library.name), list[_Claim]()
    try:
        for limit in _limits(ports, library):
            claim = _claim(ports, limit, count)
            claims.append(claim)
            if claim.count < count:
                count, full = claim.count, limit.full
        for claim in claims:  # what the next limit does not let in
            claim.keep(count)
        if any(claim.counted for claim in claims):
            ports = replace(ports, settings=replace(ports.settings, wait_for_index=True))
        yield Places(count, ports, full)
    finally:
        for claim in claims:
            claim.keep(0)


@contextmanager
def place(ports: Ports, library: Library, *, needed: bool) -> Iterator[Ports]:
    """Hold a place in the library, if one is ``needed``, while the block adds a picture with the ports yielded.

    Raises LibraryFull or ApplicationFull if there is none, and Unavailable.
    """
    if not needed:
        yield ports
        return
    with places(ports, library, 1) as held:
        if not held.count:
            raise held.full
        yield held.ports


@dataclass(frozen=True, slots=True)
class _Limit:
    """A number of live pictures that some libraries may hold together, and the name of the counts of places there.

    ``libraries`` returns their uids; they are asked for each time, as another may have been made.
    """

    name: str
    capacity: int
    libraries: Callable[[], Sequence[str]]
    full: LibraryFull

    def room(self, ports: Ports) -> int:
        """Return how many more pictures there may be, as far as the index knows."""
        try:
            libraries = self.libraries()
            return max(self.capacity - (ports.index.count(*libraries) if libraries else 0), 0)
        except Unavailable:
            logger.warning(
                "the index does not say how full a group is", exc_info=True, extra={"library": self.full.name}
            )
            return sys.maxsize


def _limits(ports: Ports, library: Library) -> Iterator[_Limit]:
    """Yield what limits the number of pictures that are added to the library."""
    capacity = capacity_of(ports, library)
    if capacity is not None:
        yield _Limit(f"room/{library.uid}", capacity, lambda: (library.uid,), LibraryFull(library.name))
    if ports.capacity is not None:
        all_of_it, full = (lambda: _libraries_of(ports, library.tenant)), ApplicationFull(library.name)
        yield _Limit(f"room/tenant/{library.tenant}", ports.capacity, all_of_it, full)


def _libraries_of(ports: Ports, tenant: str) -> Sequence[str]:
    """Return the uids of all libraries of a tenant, also of those that the application of the call may not see."""
    return [library.uid for library in ports.stores.catalog.libraries(tenant)]


@dataclass(slots=True)
class _Claim:
    """Places within a limit; ``counted`` if others see that they are taken, which they need not where there is much room."""

    ports: Ports
    count: int
    counted: bool = False
    name: str = ""
    expires: int = 0

    def keep(self, count: int) -> None:
        """Give all places but so many back, best effort: otherwise they are free some minutes later."""
        surplus, self.count = self.count - count, count
        if not self.counted or surplus <= 0:
            return
        try:
            self.ports.counters.take(self.name, surplus, None, self.expires)
        except Unavailable as error:
            logger.warning(
                "places in a library could not be given back", extra={"operation": "add", **error_fields(error)}
            )


def _claim(ports: Ports, limit: _Limit, wanted: int) -> _Claim:
    """Take as many places as there are, ``wanted`` at most. Raises Unavailable."""
    left = limit.room(ports)
    if left > _NEARLY_FULL:
        return _Claim(ports, min(wanted, left))
    window = ports.clock() // _WINDOW_MS
    now, before = (f"{limit.name}/{one}" for one in (window, window - 1))
    expires = (window + 3) * _WINDOW_MS
    returned = ports.counters.counted(f"{now}/returned") + ports.counters.counted(f"{before}/returned")
    left = limit.room(ports)  # again, after what was returned was read
    most = returned + left - ports.counters.counted(f"{before}/taken")
    count = ports.counters.take(f"{now}/taken", min(wanted, left), most, expires) if left and wanted else 0
    return _Claim(ports, count, True, f"{now}/returned", expires)
