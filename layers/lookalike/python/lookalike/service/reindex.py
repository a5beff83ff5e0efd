"""Filling the vector index from the catalog, beside whatever is written meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.errors import Unavailable
from lookalike.ports import Ports
from lookalike.service.index_sync import index

#: Rows of one write: of some 2 kB each, well below what one bulk request takes.
_BATCH = 500

#: Pauses before rows that the index did not take are tried again, in seconds.
_PAUSES = (0.5, 1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Filled:
    """How many rows the index holds now, and those that it never will, each with its reason."""

    rows: int = 0
    refused: Mapping[Key, str] = field(default_factory=dict)


def fill(ports: Ports, kind: Kind, tell: Callable[[int], None], pause: Callable[[float], None] = time.sleep) -> Filled:
    """Write every row of a kind to the index; ``tell`` hears how many have been read so far.

    Writes are versioned, so it may run at any time, and be broken off and repeated. Raises Unavailable if the index
    takes some rows not even after a minute.
    """
    rows = 0
    refused: dict[Key, str] = {}
    for page in ports.catalog.scan(kind):
        for begin in range(0, len(page), _BATCH):
            batch = page[begin : begin + _BATCH]
            refused |= _written(ports, batch, pause)
            rows += len(batch)
            tell(rows)
    return Filled(rows - len(refused), refused)


def _written(ports: Ports, batch: Sequence[Picture], pause: Callable[[float], None]) -> Mapping[Key, str]:
    """Write rows until each is taken or refused; the refused ones."""
    done = index(ports, batch)
    refused = dict(done.refused)
    for seconds in _PAUSES:
        if not done.again:
            return refused
        pause(seconds)
        done = index(ports, [row for row in batch if row.key in done.again])
        refused |= done.refused
    if done.again:
        raise Unavailable(f"the index does not take {len(done.again)} rows; what it has taken stays, so fill it again")
    return refused
