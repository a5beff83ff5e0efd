"""Taking away for good what was deleted long enough ago, what removed libraries have left, and old counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lookalike.domain.picture import Key, Picture, State
from lookalike.errors import IndexWriteError, RevisionConflict
from lookalike.observability import logger, why
from lookalike.ports import Ports
from lookalike.service.catalog_writes import compare_and_set

#: Rows of one step: S3 deletes up to 1000 objects a call, and a step should stay short beside a time limit.
_BATCH_ROWS = 200
_MAX_PARALLEL = 16
_DAY_MS = 86_400_000

#: What was deleted less than this many milliseconds ago is never purged. A claim's revision is the next one, not the
#: time, so it stays behind the clock, and behind the revision of an add that comes once the row is gone.
_MIN_AGE_MS = 1_000

#: What a library has left is swept so many milliseconds after its removal at the earliest: calls that had found the
#: library before, and replays of what they wrote, are over by then.
_SWEEP_AFTER_MS = 15 * 60 * 1_000

#: So many of them are swept in one run.
_MAX_LIBRARIES = 1_000


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge has done. ``stuck`` rows it could not take out of the index.

    ``done`` is false if it stopped for time or left rows behind; the next one goes on, with what was stuck first.
    """

    pictures: int
    stuck: int
    done: bool


def purge(ports: Ports, time_left: Callable[[], bool]) -> Purged:
    """Purge batch by batch while ``time_left()``; safe to break off and to repeat at any point.

    Rows that the index does not let go stay claimed, and those behind them are purged. Raises Unavailable if a store
    does not answer at all.
    """
    cutoff = ports.clock() - max(int(ports.settings.purge_after_days * _DAY_MS), _MIN_AGE_MS)
    pictures = stuck = since = 0
    passed: set[Key] = set()  # rows deleted at ``since`` that are stuck: they would come again
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
    """Sweep up after removed libraries; ``pictures`` have been purged before, and ``stuck`` could not be."""
    libraries = ports.catalog.removed_libraries(ports.clock() - _SWEEP_AFTER_MS, _MAX_LIBRARIES)
    for library in libraries:
        after: str | None = None
        while rows := ports.catalog.pictures(library.uid, after, _BATCH_ROWS):
            if not time_left():
                return Purged(pictures, stuck, done=False)
            gone, kept = _remove_rows(ports, rows)  # no claim is needed: nobody adds to a library that is not there
            pictures += gone
            stuck += len(kept)
            after = rows[-1].key.id
        if not ports.catalog.pictures(library.uid, None, 1):
            ports.catalog.forget_library(library.uid)
    ports.counters.forget_counts(ports.clock())
    return Purged(pictures, stuck, done=not stuck and len(libraries) < _MAX_LIBRARIES)


def _purge_batch(ports: Ports, rows: Sequence[Picture], cutoff: int) -> tuple[int, Sequence[Picture]]:
    """How many rows are gone, and those that are stuck. A crash in between leaves only claimed rows."""
    with ThreadPoolExecutor(_MAX_PARALLEL) as pool:
        claimed = [row for row in pool.map(lambda row: _claim(ports, row, cutoff), rows) if row is not None]
    return _remove_rows(ports, claimed)


def _remove_rows(ports: Ports, rows: Sequence[Picture]) -> tuple[int, Sequence[Picture]]:
    """Out of the index, then objects and maps, then the rows: how many are gone, and those that the index keeps."""
    held = _remove_from_index(ports, rows)
    free = [row for row in rows if row.key not in held]
    keys = [row.object_key for row in free]
    ports.originals.remove(keys)
    ports.maps.remove_maps(keys)
    with ThreadPoolExecutor(_MAX_PARALLEL) as pool:
        return sum(pool.map(lambda row: _remove(ports, row), free)), [row for row in rows if row.key in held]


def _remove_from_index(ports: Ports, rows: Sequence[Picture]) -> frozenset[Key]:
    """Take rows out of the index; those that it did not let go."""
    try:
        ports.index.remove(rows)
    except IndexWriteError as error:
        logger.warning("the index keeps rows", exc_info=error, extra={"operation": "purge", **why(error)})
        return error.again | error.refused.keys()
    return frozenset()


def _claim(ports: Ports, row: Picture, cutoff: int) -> Picture | None:
    """The row, claimed for this purge; None if it is not deleted any more, or was deleted again since ``cutoff``."""

    def step(current: Picture | None) -> Picture | None:
        if current is None or current.live or current.deleted_at is None or current.deleted_at >= cutoff:
            return None
        return current.but(state=State.PURGING, revision=current.revision + 1)

    return compare_and_set(ports, row.key, step)


def _remove(ports: Ports, row: Picture) -> bool:
    try:
        ports.catalog.remove(row.key, row.revision)
    except RevisionConflict:
        return False  # added again in the meantime: the row lives on with objects of its own
    return True
