"""The deep check: originals are embedded again, and searched by themselves.

It finds what no comparison of keys can: another model's or another head's vectors under the present model's name, damaged
originals, and an index that does not find what it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lookalike.domain.consistency import Fault, Finding
from lookalike.domain.picture import Picture, Vector
from lookalike.domain.search import Query
from lookalike.ports import Ports
from lookalike.service.embedded_again import OriginalsEmbedder

#: Cosine of a stored vector with the one made again, from which they are the same. Processors round differently, which
#: costs 2e-5 at most between those measured; another head or model costs .01 and more.
MIN_SAME_COSINE = 0.9995

#: Difference of cosines up to which another picture may come before the one that was searched by itself.
_MAX_TIE = 1e-3

#: Best ones that are looked at: among them, a picture may have so many twins before it.
_BEST = 10


def look_deep(ports: Ports, sample: Sequence[Picture]) -> Iterator[Finding]:
    """Yield what is wrong with these rows' originals, vectors and searches. Rows changed meanwhile are passed over."""
    originals = OriginalsEmbedder(ports)
    for row in sample:
        again = originals.embed_again(row)
        if again is None:
            continue
        vector = None if again.embedding is None else again.embedding.vectors[row.kind]
        fault = Fault.NO_ORIGINAL if vector is None else _fault_of(ports, row, vector)
        if fault is not None and not ports.catalog.changed({row.key: row.revision}):
            yield Finding(fault, f"{row.key.library}/{row.key.id}", row)


def _fault_of(ports: Ports, row: Picture, vector: Vector) -> Fault | None:
    view = vector.astype(np.float32)
    cosine = float(view @ row.vector.astype(np.float32))
    if cosine < MIN_SAME_COSINE:
        return Fault.UNLIKE
    found = ports.index.search(Query(row.kind, (row.key.library,), row.model, view[None], _BEST))
    if not found:
        return Fault.NOT_FIRST
    own = next((one.cosine for one in found if one.key == row.key), None)
    if own is None:  # it may have more twins than were looked at
        return None if found[-1].cosine >= cosine - _MAX_TIE else Fault.NOT_FIRST
    return None if own >= found[0].cosine - _MAX_TIE else Fault.NOT_FIRST
