"""The deep check: originals are embedded again, and searched by themselves.

It finds what no comparison of keys can: another model's or another head's vectors under the present model's name, damaged
originals and local maps, and an index that does not find what it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.consistency import Fault, Finding
from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Picture, Vector
from lookalike.domain.search import Query
from lookalike.embedding.feature_map import unpack
from lookalike.ports import Ports
from lookalike.service.embedded_again import OriginalsEmbedder
from lookalike.service.known_libraries import KnownLibraries

#: Cosine of a stored vector with the one made again, from which they are the same. Processors round differently, which
#: costs 2e-5 at most between those measured; another head or model costs .01 and more.
MIN_SAME_COSINE = 0.9995

#: Difference up to which two numbers of a map are the same. Processors round differently, which costs 1 or 2 at most; cells
#: have -127 to 127, the thumbnail 0 to 255, and a smaller difference moves no score.
MAX_SAME_DIFFERENCE = 8

#: Difference of cosines up to which another picture may come before the one that was searched by itself.
_MAX_TIE = 1e-3

#: Best ones that are looked at: among them, a picture may have so many twins before it.
_BEST = 10


def look_deep(ports: Ports, libraries: KnownLibraries, sample: Sequence[tuple[Picture, bool]]) -> Iterator[Finding]:
    """Yield what is wrong with these rows' originals, vectors, searches and, where it says so, maps.

    Rows changed meanwhile are passed over.
    """
    originals = OriginalsEmbedder(ports, libraries)
    for row, with_map in sample:
        again = originals.embed_again(row)
        if again is None:
            continue
        embedding = again.embedding
        faults = [Fault.NO_ORIGINAL] if embedding is None else _faults_of(ports, row, embedding, with_map=with_map)
        if faults and not ports.catalog.changed({row.key: row.revision}):
            yield from (Finding(fault, f"{row.key.library}/{row.key.id}", row) for fault in faults)


def _faults_of(ports: Ports, row: Picture, embedding: Embedding, *, with_map: bool) -> list[Fault]:
    """Return what is wrong with a row; of one whose vector is another model's, nothing else."""
    vector = embedding.vectors[row.kind]
    cosine = float(vector.astype(np.float32) @ row.vector.astype(np.float32))
    if cosine < MIN_SAME_COSINE:
        return [Fault.UNLIKE]
    not_first = _not_first(ports, row, vector, cosine)
    is_damaged = with_map and row.kind is Kind.SAME and _has_other_map(ports, row, embedding.feature_map)
    return [Fault.NOT_FIRST] * not_first + [Fault.NO_MAP] * is_damaged


def _has_other_map(ports: Ports, row: Picture, made: bytes) -> bool:
    """Whether a map is stored that is not the one made of the original. One that is lost needs no deep look."""
    held = ports.maps.maps([row.object_key]).get(row.object_key)
    if not made or held is None or held == made:
        return False
    left, right = unpack(held), unpack(made)
    if left is None or right is None or (left.width, left.height) != (right.width, right.height):
        return True
    return _differ(left.cells, right.cells) or _differ(left.thumbnail, right.thumbnail)


def _differ(left: NDArray[np.integer[Any]], right: NDArray[np.integer[Any]]) -> bool:
    return int(np.abs(left.astype(np.int16) - right.astype(np.int16)).max()) > MAX_SAME_DIFFERENCE


def _not_first(ports: Ports, row: Picture, vector: Vector, cosine: float) -> bool:
    """Whether a search by a row's own original, whose cosine with the row is this, finds others first."""
    view = vector.astype(np.float32)
    found = ports.index.search(Query(row.kind, (row.key.library,), row.model, view[None], _BEST))
    if not found:
        return True
    own = next((one.cosine for one in found if one.key == row.key), None)
    if own is None:  # it may have more twins than were looked at
        return found[-1].cosine < cosine - _MAX_TIE
    return own < found[0].cosine - _MAX_TIE
