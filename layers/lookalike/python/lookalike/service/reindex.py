"""Filling the vector index from the catalog, beside whatever is written meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.errors import Unavailable
from lookalike.ports import Ports
from lookalike.service.index_sync import sync_index

#: Rows of one write: of some 2 kB each, well below what one bulk request takes.
_BATCH_ROWS = 500

#: Pauses before rows that the index did not take are tried again, in seconds.
_PAUSE_SECONDS = (0.5, 1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class ReindexResult:
    """How many rows the index holds now, and those that it never will, each with its reason."""

    rows: int = 0
    rejected: Mapping[Key, str] = field(default_factory=dict)


def reindex(
    ports: Ports, kind: Kind, tell: Callable[[int], None], pause: Callable[[float], None] = time.sleep
) -> ReindexResult:
    """Write every row of a kind to the index; ``tell`` hears how many have been read so far.

    Writes are versioned, so it may run at any time, and be broken off and repeated. Raises Unavailable if the index
    takes some rows not even after a minute.
    """
    rows = 0
    refused: dict[Key, str] = {}
    for page in ports.catalog.scan(kind):
        for begin in range(0, len(page), _BATCH_ROWS):
            batch = page[begin : begin + _BATCH_ROWS]
            refused |= _write(ports, batch, pause)
            rows += len(batch)
            tell(rows)
    return ReindexResult(rows - len(refused), refused)


def _write(ports: Ports, batch: Sequence[Picture], pause: Callable[[float], None]) -> Mapping[Key, str]:
    """Write rows until each is taken or refused; the refused ones."""
    done = sync_index(ports, batch)
    refused = dict(done.rejected)
    for seconds in _PAUSE_SECONDS:
        if not done.retryable:
            return refused
        pause(seconds)
        done = sync_index(ports, [row for row in batch if row.key in done.retryable])
        refused |= done.rejected
    if done.retryable:
        raise Unavailable(
            f"the index does not take {len(done.retryable)} rows; what it has taken stays, so fill it again"
        )
    return refused
