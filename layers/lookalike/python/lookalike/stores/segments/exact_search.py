"""The exact scan of a library in layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.search import Candidate, Query
from lookalike.stores.segments.inner_products import max_cosines_of, to_float32
from lookalike.stores.segments.layers import Layers, Mask
from lookalike.stores.segments.lazy_segment import LazySegment
from lookalike.stores.segments.packed_candidate import Buffer, unpack

#: Rows that are compared one by one. More are found by one matrix product first.
_FEW_ROWS = 1024

#: More than a cosine of a matrix product may differ, by rounding, from that of the row alone.
_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """Rows of a layer with their exact cosines. ``record`` returns the packed candidate of the row at a place."""

    cosines: NDArray[np.float32]
    record: Callable[[int], Buffer]


def nearest(layers: Layers, query: Query) -> list[Candidate]:
    """Return the k best live rows of a library by descending cosine, equal ones by id.

    Cosines are those of the rows' float16 vectors, and depend on nothing else that is asked or there.
    """
    found = list(_scored(layers, query))
    cosines = np.concatenate([np.empty(0, np.float32), *(one.cosines for one in found)])
    least = _kth(cosines, query.k)
    candidates = [
        unpack(one.record(place), layers.library, one.cosines.item(place))
        for one in found
        for place in np.flatnonzero(one.cosines >= least).tolist()
    ]
    candidates.sort(key=lambda candidate: (-candidate.cosine, candidate.key.id))
    return candidates[: query.k]


def _scored(layers: Layers, query: Query) -> Iterator[_Scored]:
    """Yield the rows of each layer that may be among the k best."""
    kind = str(query.kind)
    for segment, current in zip(layers.segments, layers.current, strict=True):
        if (segment.model, segment.kind) != (query.model, kind):
            continue
        allowed = current & segment.live
        if query.tags is not None:
            allowed &= segment.tag_mask(query.tags)
        if allowed.any():
            rows, cosines = _best(segment.vectors, allowed, query.vectors, query.k)
            yield _Scored(cosines, partial(_record, segment, rows))
    logged = [
        row
        for row in layers.log.values()
        if row.live
        and (row.model, row.kind) == (query.model, kind)
        and (query.tags is None or query.tags.keeps(row.tags))
    ]
    if logged:
        vectors = to_float32(np.array([row.vector for row in logged], np.float16))
        records = [row.record for row in logged]
        yield _Scored(max_cosines_of(vectors, query.vectors), records.__getitem__)


def _record(segment: LazySegment, rows: NDArray[np.int64], place: int) -> Buffer:
    return segment.record(rows.item(place))


def _best(
    vectors: NDArray[np.float32], allowed: Mask, views: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the allowed rows that may be among the k best, and their exact cosines."""
    rows = np.flatnonzero(allowed)
    if len(rows) > _FEW_ROWS:
        rounded = (vectors @ views.T).max(axis=1)
        rounded[~allowed] = -np.inf
        rows = np.flatnonzero(allowed & (rounded >= _kth(rounded, k) - _ROUNDING))
    return rows, max_cosines_of(vectors[rows], views)


def _kth(cosines: NDArray[np.float32], k: int) -> float:
    """Return the k-th greatest; less than all if there are fewer."""
    return float(np.partition(cosines, -k)[-k]) if len(cosines) > k else -np.inf
