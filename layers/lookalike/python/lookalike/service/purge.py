"""Taking away for good what was deleted long enough ago, what removed libraries have left, and old counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lookalike.domain.picture import Key, Picture, State
from lookalike.errors import IndexWriteError, PictureNotFound, RevisionConflict
from lookalike.observability import logger, why
from lookalike.ports import Ports
from lookalike.service.catalog_writes import change

#: Rows of one step: S3 deletes up to 1000 objects a call, and a step should stay short beside a time limit.
_BATCH = 200
_SIDE_BY_SIDE = 16
_DAY = 86_400_000

#: What was deleted less than this many milliseconds ago is never purged. A claim's revision is the next one, not the
#: time, so it stays behind the clock, and behind the revision of an add that comes once the row is gone.
_JUST_NOW = 1_000

#: What a library has left is swept so many milliseconds after its removal at the earliest: calls that had found the
#: library before, and replays of what they wrote, are over by then.
_SWEPT_AFTER = 15 * 60 * 1_000

#: So many of them are swept in one run.
_LIBRARIES = 1_000


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
    cutoff = ports.clock() - max(int(ports.settings.purge_after_days * _DAY), _JUST_NOW)
    pictures = stuck = since = 0
    passed: set[Key] = set()  # rows deleted at ``since`` that are stuck: they would come again
    while time_left():
        waiting = ports.catalog.waiting_for_purge(cutoff, _BATCH + len(passed), since)
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
    libraries = ports.catalog.removed_libraries(ports.clock() - _SWEPT_AFTER, _LIBRARIES)
    for library in libraries:
        after: str | None = None
        while rows := ports.catalog.pictures(library.uid, after, _BATCH):
            if not time_left():
                return Purged(pictures, stuck, done=False)
            gone, kept = _take_away(ports, rows)  # no claim is needed: nobody adds to a library that is not there
            pictures += gone
            stuck += len(kept)
            after = rows[-1].key.id
        if not ports.catalog.pictures(library.uid, None, 1):
            ports.catalog.forget_library(library.uid)
    ports.counters.forget_counts(ports.clock())
    return Purged(pictures, stuck, done=not stuck and len(libraries) < _LIBRARIES)


def _purge_batch(ports: Ports, rows: Sequence[Picture], cutoff: int) -> tuple[int, Sequence[Picture]]:
    """How many rows are gone, and those that are stuck. A crash in between leaves only claimed rows."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        claimed = [row for row in pool.map(lambda row: _claim(ports, row, cutoff), rows) if row is not None]
    return _take_away(ports, claimed)


def _take_away(ports: Ports, rows: Sequence[Picture]) -> tuple[int, Sequence[Picture]]:
    """Out of the index, then objects and maps, then the rows: how many are gone, and those that the index keeps."""
    held = _held(ports, rows)
    free = [row for row in rows if row.key not in held]
    keys = [row.object_key for row in free]
    ports.originals.remove(keys)
    ports.maps.remove_maps(keys)
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return sum(pool.map(lambda row: _remove(ports, row), free)), [row for row in rows if row.key in held]


def _held(ports: Ports, rows: Sequence[Picture]) -> frozenset[Key]:
    """Take rows out of the index; those that it did not let go."""
    try:
        ports.index.remove(rows)
    except IndexWriteError as error:
        logger.warning("the index keeps rows", exc_info=error, extra={"operation": "purge", **why(error)})
        return error.again | error.refused.keys()
    return frozenset()


def _claim(ports: Ports, row: Picture, cutoff: int) -> Picture | None:
    def claimed(current: Picture | None) -> Picture:
        if current is None or current.live or current.deleted_at is None or current.deleted_at >= cutoff:
            raise PictureNotFound(row.key.id)
        return current.but(state=State.PURGING, revision=current.revision + 1)

    try:
        return change(ports, row.key, claimed)
    except PictureNotFound:
        return None


def _remove(ports: Ports, row: Picture) -> bool:
    try:
        ports.catalog.remove(row.key, row.revision)
    except RevisionConflict:
        return False  # added again in the meantime: the row lives on with objects of its own
    return True
