"""Purge: removes pictures deleted long enough ago, rows of removed libraries, expired counts and unused uploads, for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lookalike.domain.picture import Key, Picture, State
from lookalike.errors import IndexWriteError, RevisionConflict
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports
from lookalike.ports.clock import DAY_MS
from lookalike.service.catalog_writes import compare_and_set
from lookalike.service.duplicate_state import forget_sweeps
from lookalike.service.index_state import note_purge
from lookalike.service.originals import remove_objects
from lookalike.service.staging import remove_expired

#: Rows of one batch: S3 deletes up to 1000 objects per call, a row has two, and a batch should be short compared to the
#: time limit.
_BATCH_ROWS = 200

#: Rows claimed or removed in parallel.
_MAX_PARALLEL = 16

#: Milliseconds since a deletion before which it is never purged. A claim's revision is the row's next one, not the time:
#: so it stays below the clock, and below the revision of an add after the purge.
_MIN_AGE_MS = 1_000

#: Milliseconds from a library's removal until its rows are swept: calls that had found the library, and repeated writes of
#: their rows to the index, are over by then.
SWEEP_AFTER_MS = 15 * 60 * 1_000

#: Removed libraries swept in one run.
_MAX_LIBRARIES = 1_000


@dataclass(frozen=True, slots=True)
class Purged:
    """Result of a purge. ``stuck`` rows could not be removed from the index.

    ``done`` is false if time was up or rows are stuck; the next purge continues, with the stuck rows first.
    """

    pictures: int
    stuck: int
    done: bool


def purge(ports: Ports, time_left: Callable[[], bool]) -> Purged:
    """Purge batch by batch while ``time_left()``. May be interrupted and repeated at any point.

    Rows that the index does not remove stay claimed, and the rows after them are purged. Raises Unavailable if a store
    does not answer.
    """
    cutoff = ports.clock() - max(int(ports.settings.purge_after_days * DAY_MS), _MIN_AGE_MS)
    pictures = stuck = since = 0
    passed: set[Key] = set()  # stuck rows deleted at ``since``, which the next read returns again
    while time_left():
        waiting = ports.catalog.waiting_for_purge(cutoff, _BATCH_ROWS + len(passed), since)
        rows = [row for row in waiting if row.key not in passed]
        if not rows:
            return _sweep(ports, pictures, stuck, time_left)
        purged, kept = _purge_batch(ports, rows, cutoff)
        pictures += purged
        stuck += len(kept)
        latest = rows[-1].deleted_at or 0
        passed = {row.key for row in kept if row.deleted_at == latest} | (passed if latest == since else set())
        since = latest
    return Purged(pictures, stuck, done=False)


def _sweep(ports: Ports, pictures: int, stuck: int, time_left: Callable[[], bool]) -> Purged:
    """Remove the rows of removed libraries and expired counts; ``pictures`` and ``stuck`` are the purge's numbers so far."""
    libraries = ports.catalog.removed_libraries(ports.clock() - SWEEP_AFTER_MS, _MAX_LIBRARIES)
    for library in libraries:
        after: str | None = None
        while rows := ports.catalog.pictures(library.uid, after, _BATCH_ROWS):
            if not time_left():
                return Purged(pictures, stuck, done=False)
            gone, kept = _remove_rows(ports, _retired(ports, rows))
            pictures += gone
            stuck += len(kept)
            after = rows[-1].key.id
        if not ports.catalog.pictures(library.uid, None, 1):
            forget_sweeps(ports, library.uid)
            ports.catalog.forget_library(library.uid)
    ports.counters.forget_counts(ports.clock())
    remove_expired(ports)
    done = not stuck and len(libraries) < _MAX_LIBRARIES
    if done:
        note_purge(ports)
    return Purged(pictures, stuck, done=done)


def _purge_batch(ports: Ports, rows: Sequence[Picture], cutoff: int) -> tuple[int, Sequence[Picture]]:
    """Claim and remove rows; return the number removed, and the stuck ones. A crash leaves only claimed rows behind."""
    with ThreadPoolExecutor(_MAX_PARALLEL) as pool:
        claimed = [row for row in pool.map(lambda row: _claim(ports, row, cutoff), rows) if row is not None]
    return _remove_rows(ports, claimed)


def _remove_rows(ports: Ports, rows: Sequence[Picture]) -> tuple[int, Sequence[Picture]]:
    """Remove rows from the index, then originals and what is kept beside them, then the rows themselves.

    Returns the number removed, and the rows that the index did not remove.
    """
    held = _remove_from_index(ports, rows)
    free = [row for row in rows if row.key not in held]
    remove_objects(ports, [row.object_key for row in free])
    with ThreadPoolExecutor(_MAX_PARALLEL) as pool:
        return sum(pool.map(lambda row: _remove(ports, row), free)), [row for row in rows if row.key in held]


def _remove_from_index(ports: Ports, rows: Sequence[Picture]) -> frozenset[Key]:
    """Remove rows from the index; return the keys of those that it did not remove."""
    try:
        ports.index.remove(rows)
    except IndexWriteError as error:
        logger.warning("the index keeps rows", exc_info=error, extra={"operation": "purge", **error_fields(error)})
        return error.again | error.refused.keys()
    return frozenset()


def _claim(ports: Ports, row: Picture, cutoff: int) -> Picture | None:
    """Claim the row for this purge; None if it is no longer deleted, or was deleted anew since ``cutoff``."""

    def step(current: Picture | None) -> Picture | None:
        if current is None or current.live or current.deleted_at is None or current.deleted_at >= cutoff:
            return None
        return current.but(state=State.PURGING, revision=current.revision + 1)

    return compare_and_set(ports, row.key, step)


def _retired(ports: Ports, rows: Sequence[Picture]) -> Sequence[Picture]:
    """Claim the live rows of a removed library; return all rows as they are now.

    No call adds to the library, but a row without its original, as a purge leaves it that breaks off, must not be live.
    """

    def step(current: Picture | None) -> Picture | None:
        if current is None or not current.deletable:
            return None
        now = ports.clock()
        return current.but(state=State.PURGING, revision=current.revision + 1, deleted_at=now)

    with ThreadPoolExecutor(_MAX_PARALLEL) as pool:
        return list(pool.map(lambda row: (compare_and_set(ports, row.key, step) if row.live else row) or row, rows))


def _remove(ports: Ports, row: Picture) -> bool:
    try:
        ports.catalog.remove(row.key, row.revision)
    except RevisionConflict:
        return False  # added again meanwhile: the new row has objects of its own
    return True
