"""What sweeps have kept of a library: reading it, telling what still holds, and forgetting it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lookalike.domain.duplicates import Level, Pair
from lookalike.domain.picture import Key, Picture
from lookalike.domain.record import Record
from lookalike.ports import Ports
from lookalike.service.duplicate_records import (
    STATE_KEY,
    SweepState,
    clusters_partition,
    marks_partition,
    pairs_partition,
    state_of,
    sweep_partition,
)
from lookalike.service.jobs import all_records, working_partition

#: Records written or removed at a time.
BATCH = 500


def last_sweep(ports: Ports, uid: str) -> tuple[SweepState | None, int | None]:
    """Return what the last sweep of a library left, and the revision of its record; None for both if there was none."""
    record = ports.records.record(sweep_partition(uid), STATE_KEY)
    return (None, None) if record is None else (state_of(record), record.revision)


def current_rows(ports: Ports, uid: str, pairs: Iterable[Pair]) -> dict[str, Picture]:
    """Return the live rows of the pairs' pictures, by id."""
    keys = {Key(uid, id_): -1 for pair in pairs for id_ in pair.ids}
    rows = ports.catalog.changed(keys).values() if keys else ()
    return {row.key.id: row for row in rows if row is not None and row.live}


def holds(pair: Pair, rows: Mapping[str, Picture]) -> bool:
    """Whether both pictures of a pair are still there, and still show what was compared."""
    ends = ((end, rows.get(end.id)) for end in (pair.older, pair.newer))
    return all(row is not None and row.added == end.added for end, row in ends)


def forget_clusters(ports: Ports, uid: str, generation: str) -> None:
    """Remove the clusters of a sweep."""
    for level in Level:
        forget_partition(ports, clusters_partition(uid, generation, level))


def forget_sweeps(ports: Ports, uid: str) -> None:
    """Remove all that sweeps have kept of a library, after it was removed itself."""
    state, _ = last_sweep(ports, uid)
    if state is not None:
        forget_clusters(ports, uid, state.generation)
    for partition in (pairs_partition(uid), marks_partition(uid), sweep_partition(uid), working_partition(uid)):
        forget_partition(ports, partition)


def forget_partition(ports: Ports, partition: str) -> None:
    """Remove all records of a partition."""
    for batch in batches(all_records(ports, partition)):
        ports.records.remove_records(partition, [record.key for record in batch])


def batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
