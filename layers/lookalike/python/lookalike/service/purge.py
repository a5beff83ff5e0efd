"""Taking away for good what was deleted long enough ago, what removed libraries have left, and old counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lookalike.errors import PictureNotFound, RevisionConflict
from lookalike.model import Picture, State
from lookalike.ports import Ports
from lookalike.service.rows import change

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


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge has done. ``done`` is false if it stopped for time; the next one goes on where it was."""

    pictures: int
    done: bool


def purge(ports: Ports, time_left: Callable[[], bool]) -> Purged:
    """Purge batch by batch while ``time_left()``; safe to break off and to repeat at any point."""
    cutoff = ports.clock() - max(int(ports.settings.purge_after_days * _DAY), _JUST_NOW)
    pictures = 0
    while time_left():
        rows = ports.catalog.waiting_for_purge(cutoff, _BATCH)
        if not rows:
            return _sweep(ports, pictures, time_left)
        pictures += _purge_batch(ports, rows, cutoff)
    return Purged(pictures, done=False)


def _sweep(ports: Ports, pictures: int, time_left: Callable[[], bool]) -> Purged:
    """Sweep up after removed libraries, one after the other; ``pictures`` have been purged before."""
    cutoff = ports.clock() - _SWEPT_AFTER
    while time_left():
        libraries = ports.catalog.removed_libraries(cutoff, 1)
        if not libraries:
            ports.counters.forget_counts(ports.clock())
            return Purged(pictures, done=True)
        uid = libraries[0].uid
        rows = ports.catalog.pictures(uid, None, _BATCH)
        if rows:
            pictures += _sweep_batch(ports, rows)
        else:
            ports.catalog.forget_library(uid)
    return Purged(pictures, done=False)


def _sweep_batch(ports: Ports, rows: Sequence[Picture]) -> int:
    """Like :func:`_purge_batch`, without a claim: nobody adds to a library that is not there."""
    _remove_all_but_rows(ports, rows)
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return sum(pool.map(lambda row: _remove(ports, row), rows))


def _purge_batch(ports: Ports, rows: Sequence[Picture], cutoff: int) -> int:
    """Claim, then the index, then objects and maps, then the rows: a crash in between leaves only claimed rows."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        claimed = [row for row in pool.map(lambda row: _claim(ports, row, cutoff), rows) if row is not None]
        _remove_all_but_rows(ports, claimed)
        return sum(pool.map(lambda row: _remove(ports, row), claimed))


def _remove_all_but_rows(ports: Ports, rows: Sequence[Picture]) -> None:
    ports.index.remove(rows)
    keys = [row.object_key for row in rows]
    ports.originals.remove(keys)
    ports.maps.remove_maps(keys)


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
