"""Filling the vector index from the catalog, while other writes go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.errors import Unavailable
from lookalike.ports import Ports, VectorIndex
from lookalike.service.index_sync import sync_rows

#: Rows per write. Each is about 2 kB, so a write is far smaller than a bulk request may be.
_BATCH_ROWS = 500

#: Seconds before each retry of rows that the index did not take.
_PAUSE_SECONDS = (0.5, 1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class ReindexResult:
    """Number of rows written, and the rows that the index will never take, with the reason."""

    rows: int = 0
    rejected: Mapping[Key, str] = field(default_factory=dict)


def reindex(
    ports: Ports, kind: Kind, tell: Callable[[int], None], pause: Callable[[float], None] = time.sleep
) -> ReindexResult:
    """Write every row of a kind to the index; ``tell`` is called with the number of rows read so far.

    Writes are versioned, so this may run at any time, be interrupted and repeated. Raises Unavailable if the index has
    not taken some rows after a minute.
    """
    rows = 0
    rejected: dict[Key, str] = {}
    for page in ports.catalog.scan(kind):
        for begin in range(0, len(page), _BATCH_ROWS):
            batch = page[begin : begin + _BATCH_ROWS]
            rejected |= write_until_taken(ports.index, batch, pause)
            rows += len(batch)
            tell(rows)
    return ReindexResult(rows - len(rejected), rejected)


def write_until_taken(
    index: VectorIndex, batch: Sequence[Picture], pause: Callable[[float], None]
) -> Mapping[Key, str]:
    """Write rows until each is taken or rejected; return the rejected ones. Raises Unavailable if some are not taken."""
    done = sync_rows(index, batch)
    rejected = dict(done.rejected)
    for seconds in _PAUSE_SECONDS:
        if not done.retryable:
            return rejected
        pause(seconds)
        done = sync_rows(index, [row for row in batch if row.key in done.retryable])
        rejected |= done.rejected
    if done.retryable:
        raise Unavailable(
            f"the index does not take {len(done.retryable)} rows; what it has taken stays, so fill it again"
        )
    return rejected
