"""How the index is doing: what it holds of a tenant's, and how far the whole service is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lookalike.domain.backlog import Backlog
from lookalike.domain.library import Kind
from lookalike.errors import Unavailable
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports

#: Name of the count that says when a purge last ended with nothing left to do, in Unix milliseconds.
_LAST_PURGE = "purge/last"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the service is, whoever's the pictures are.

    ``generations`` names the index that each kind is searched in, where there are several. ``oldest_unindexed`` is when the
    oldest write was made that the index lacks, None if it lacks none or that is not known; ``last_purge`` is None if there was
    none. Both are Unix milliseconds.
    """

    generations: Mapping[Kind, str]
    backlog: Backlog
    oldest_unindexed: int | None
    last_purge: int | None


@dataclass(frozen=True, slots=True)
class IndexState:
    """The state of the index, for one tenant: ``pictures`` of the tenant's are searchable."""

    model: str
    pictures: int
    progress: Progress


def index_state(ports: Ports, tenant: str) -> IndexState:
    """Return the state of the index. Raises Unavailable if the catalog or the index does not answer."""
    libraries = [library.uid for library in ports.catalog.libraries(tenant)]
    return IndexState(ports.embedder.model, ports.index.count(*libraries) if libraries else 0, progress(ports))


def progress(ports: Ports) -> Progress:
    """Return how far the service is. Raises Unavailable if the counts or the index do not answer."""
    backlog = _backlog(ports)
    return Progress(
        generations=ports.index.generations(),
        backlog=backlog,
        oldest_unindexed=ports.clock() - backlog.lag_ms if backlog.lag_ms else None,
        last_purge=ports.counters.counted(_LAST_PURGE) or None,
    )


def _backlog(ports: Ports) -> Backlog:
    """Return the backlog; one of which nothing is known if it cannot be read."""
    try:
        return ports.backlogs.backlog()
    except Unavailable as error:
        logger.warning("the backlog could not be read", extra={"operation": "groups", **error_fields(error)})
        return Backlog()


def note_purge(ports: Ports) -> None:
    """Note that a purge has ended now, with nothing left to do. Raises Unavailable."""
    ports.counters.take(_LAST_PURGE, ports.clock() - ports.counters.counted(_LAST_PURGE), None)
