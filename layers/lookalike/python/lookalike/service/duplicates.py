"""The sweep: finds a library's near-duplicates, step by step.

Every picture that was added or changed since the last sweep is compared with its nearest, and the pairs that have something
in common are kept; then all pairs that still hold are made into clusters, which take the place of the last sweep's at once.
What a step has done is done again to the same result if its job stops before it is saved.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from lookalike.domain.duplicates import Level, Pair, clusters
from lookalike.domain.job import Job, JobState
from lookalike.domain.library import Library
from lookalike.domain.picture import Picture
from lookalike.domain.record import Record
from lookalike.errors import LibraryNotFound
from lookalike.ports import Ports
from lookalike.service.duplicate_pairs import MAX_NEIGHBOURS, Judge
from lookalike.service.duplicate_records import (
    Marks,
    SweepState,
    cluster_record,
    clusters_partition,
    marks_partition,
    pair_key,
    pair_of,
    pair_record,
    pairs_partition,
    state_record,
)
from lookalike.service.duplicate_state import (
    BATCH,
    batches,
    current_rows,
    forget_clusters,
    forget_partition,
    holds,
    last_sweep,
)
from lookalike.service.jobs import all_records

#: Milliseconds by which a row's revision may lag behind the clock of the sweep that misses it: calls that write it take
#: half a minute at most, and clocks differ a little.
_MARGIN_MS = 60_000

#: Rows read at a time.
_ROWS = 200

#: Seconds after which a step is saved.
_STEP_SECONDS = 2.0

#: Seconds that a picture waits at most for calls to leave the processors to it.
_MAX_WAIT = 1.0

#: Pictures beyond the new ones that are compared again, at most; if there are more, all are.
_MAX_AGAIN = 200

#: Number of the rules that pairs are judged by: it is raised when they change, and then all pictures are compared again.
_RULES = 1

#: Pairs that a run remembers, so that none is judged for either of its pictures: 100 bytes each.
_MAX_REMEMBERED = 200_000


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a sweep is.

    Rows with a revision of ``since`` or more, and those of ``again``, are compared; rows up to the id ``after`` are done.
    ``began`` is when the sweep began, Unix milliseconds. ``compared`` pictures, ``judged`` pairs so far.
    """

    since: int
    began: int
    again: tuple[str, ...] = ()
    after: str | None = None
    compared: int = 0
    judged: int = 0

    @property
    def text(self) -> str:
        """The cursor as a job keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> _Cursor:
        """Return the cursor of a text."""
        said = json.loads(text)
        return cls(**{**said, "again": tuple(said["again"])})


def sweep(ports: Ports, job: Job) -> Iterator[Job]:
    """Yield the job after every step of it, until it is done. Raises LibraryNotFound, Unavailable, Busy or Abandoned."""
    library = _library(ports, job)
    if not job.cursor:
        began = ports.clock()
        job = job.but(cursor=_first_cursor(ports, job.uid, began).text, total=ports.index.count(job.uid))
        yield job
    cursor = _Cursor.of(job.cursor)
    _drop_stale(ports, job.uid)
    for job in _compared(ports, library, job, cursor):  # noqa: B020 - each step goes on from the one before
        yield job
    library = _library(ports, job)
    yield _published(ports, job, _Cursor.of(job.cursor))


def _library(ports: Ports, job: Job) -> Library:
    """Return the job's library. Raises LibraryNotFound, also if another one has its name now."""
    library = ports.catalog.library(job.tenant, job.library)
    if library is None or library.uid != job.uid:
        raise LibraryNotFound(job.library)
    return library


def _first_cursor(ports: Ports, uid: str, began: int) -> _Cursor:
    """Return where a sweep begins: at what the last one has not seen, or anew if others rules hold now."""
    state, _ = last_sweep(ports, uid)
    if state is None:
        return _Cursor(0, began)
    if state.judge != _judge_of(ports):
        forget_partition(ports, pairs_partition(uid))
        return _Cursor(0, began)
    again = _crowded_out(ports, uid)
    return _Cursor(0, began) if len(again) > _MAX_AGAIN else _Cursor(state.swept, began, tuple(again))


def _judge_of(ports: Ports) -> str:
    """Return what pairs depend on beside their pictures: the model, and this version's rules."""
    return f"{ports.embedder.model} {_RULES}"


def _crowded_out(ports: Ports, uid: str) -> list[str]:
    """Return pictures that have so many near ones that some of those may have hidden others, and one of them is gone."""
    degrees: Counter[str] = Counter()
    partners: set[str] = set()
    for pairs, stale in _held_and_stale(ports, uid):
        degrees.update(id_ for pair in (*pairs, *stale) for id_ in pair.ids)
        partners.update(id_ for pair in stale for id_ in pair.ids)
    return sorted(id_ for id_ in partners if degrees[id_] >= MAX_NEIGHBOURS)


def _drop_stale(ports: Ports, uid: str) -> None:
    """Remove the pairs of which a picture is gone or was replaced."""
    for _, stale in _held_and_stale(ports, uid):
        ports.records.remove_records(pairs_partition(uid), [pair_key(*pair.ids) for pair in stale])


def _held_and_stale(ports: Ports, uid: str) -> Iterator[tuple[list[Pair], list[Pair]]]:
    """Yield batches of the library's pairs: those that hold, and those of which a picture is gone or was replaced."""
    for batch in batches(all_records(ports, pairs_partition(uid))):
        pairs = [pair_of(record) for record in batch]
        there = current_rows(ports, uid, pairs)
        held = [pair for pair in pairs if holds(pair, there)]
        yield held, [pair for pair in pairs if not holds(pair, there)]


def _compared(ports: Ports, library: Library, job: Job, cursor: _Cursor) -> Iterator[Job]:
    """Yield the job each time that some rows have been compared and their pairs stored."""
    judge = Judge(ports, library)
    again = frozenset(cursor.again)
    remembered: set[str] = set()
    while rows := ports.catalog.pictures(library.uid, cursor.after, _ROWS):
        began = time.monotonic()
        found: list[Pair] = []
        seen = live = compared = judged = 0
        for row in rows:
            if row.live and (row.revision >= cursor.since or row.key.id in again) and row.model == ports.embedder.model:
                ports.processors.wait_until_idle(_MAX_WAIT)
                pairs, tried = _pairs_of(ports, judge, row, remembered)
                found += pairs
                compared += 1
                judged += tried
            seen += 1
            live += row.live
            if time.monotonic() - began > _STEP_SECONDS:
                break
        _save(ports, [pair_record(library.uid, pair) for pair in found])
        cursor = replace(
            cursor,
            after=rows[seen - 1].key.id,
            compared=cursor.compared + compared,
            judged=cursor.judged + judged,
        )
        job = job.but(cursor=cursor.text, done=job.done + live, total=max(job.total, job.done + live))
        yield job


def _pairs_of(ports: Ports, judge: Judge, row: Picture, judged: set[str]) -> tuple[list[Pair], int]:
    """Return the pairs of a picture with its neighbours, as these are now, and the number of those that were judged.

    Pairs whose keys are in ``judged``, and those that are stored and still hold, are left out.
    """
    near = judge.neighbours(row)
    current = ports.catalog.changed({one.key: -1 for one in near}) if near else {}
    found: list[Pair] = []
    tried = 0
    for other in current.values():
        if other is None or not other.live or other.model != row.model:
            continue
        key = pair_key(row.key.id, other.key.id)
        if key in judged or _is_stored(ports, key, row, other):
            continue
        pair = judge.pair(row, other)
        found += [] if pair is None else [pair]
        tried += 1
        if len(judged) < _MAX_REMEMBERED:
            judged.add(key)
    return found, tried


def _is_stored(ports: Ports, key: str, row: Picture, other: Picture) -> bool:
    """Whether the pair of two pictures is stored, as they are now."""
    record = ports.records.record(pairs_partition(row.key.library), key)
    return record is not None and holds(pair_of(record), {row.key.id: row, other.key.id: other})


def _published(ports: Ports, job: Job, cursor: _Cursor) -> Job:
    """Make clusters of all pairs, show them in place of those of the last sweep, and return the job as done."""
    state, revision = last_sweep(ports, job.uid)
    marked = ports.clock()
    marks = Marks(all_records(ports, marks_partition(job.uid)))
    pairs = [pair for held, _ in _held_and_stale(ports, job.uid) for pair in held if not marks.holds(pair)]
    generation = job.id
    forget_clusters(ports, job.uid, generation)  # of a runner that was stopped here
    counts = {}
    for level in Level:
        found = clusters(pairs, level)
        counts[level.value] = len(found)
        partition = clusters_partition(job.uid, generation, level)
        _save(ports, [cluster_record(partition, number, cluster) for number, cluster in enumerate(found)])
    swept = max(cursor.began - _MARGIN_MS, 0)
    new = SweepState(swept, _judge_of(ports), generation, marked, job.id, ports.clock(), counts)
    ports.records.put_record(state_record(job.uid, new, (revision or 0) + 1), revision)
    if state is not None and state.generation != generation:
        forget_clusters(ports, job.uid, state.generation)
    result = {"compared": cursor.compared, "judged": cursor.judged, "pairs": len(pairs), **counts}
    return job.but(state=JobState.DONE, result=result, total=job.done)


def settle(ports: Ports, uid: str) -> None:
    """Let the next sweep begin where the last one began: nobody else writes to this library."""
    state, revision = last_sweep(ports, uid)
    if state is not None and revision is not None:
        ports.records.put_record(
            state_record(uid, replace(state, swept=state.swept + _MARGIN_MS), revision + 1), revision
        )


def _save(ports: Ports, records: Sequence[Record]) -> None:
    unique = list({record.key: record for record in records}.values())
    for begin in range(0, len(unique), BATCH):
        ports.records.save_records(unique[begin : begin + BATCH])
