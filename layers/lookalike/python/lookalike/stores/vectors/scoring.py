"""Exact cosines of the rows that scans of segments find, and whether they are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.search import Candidate
from lookalike.stores.segments.inner_products import Rows, max_cosines
from lookalike.stores.segments.packed_candidate import unpack
from lookalike.stores.vectors.segment_protocol import CandidateRows, Depth, Mask, Segment

#: Difference, from rounding, between a cosine computed by FAISS and by :func:`max_cosines`; always less than this.
_MAX_ROUNDING_ERROR = 1e-6

#: Standard deviations above the mean error that the error of an estimated cosine is assumed not to exceed. Recall at
#: 100 among 500,000 blends of photographs' vectors, one view (five): 0.9993 (0.9988) with 3.5, 1.0000 (0.9995) with 4.
_ERROR_DEVIATIONS = 4.0

#: Estimated rows whose cosines are computed at first, times k.
_FIRST_RESCORED = 4


@dataclass(frozen=True, slots=True, eq=False)
class SegmentSnapshot:
    """A segment when the search began, and the mask of its rows that may be answered, shape (≤ segment.count,)."""

    library: str
    segment: Segment
    allowed: Mask


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRows:
    """Candidate rows of all segments with their exact cosines.

    Attributes
    ----------
    which : for each row the position of its segment in ``snapshots``, shape (n,).
    rows : row numbers, shape (n,).
    cosines : shape (n,).
    bound : upper bound on the cosine of any allowed row not among them.
    """

    snapshots: Sequence[SegmentSnapshot]
    which: Rows
    rows: Rows
    cosines: NDArray[np.float32]
    bound: float

    def is_complete(self, k: int) -> bool:
        """Return whether no omitted row can be among the k best or tie with the k-th."""
        if len(self.cosines) < k:
            return self.bound == -np.inf
        return self._kth_cosine(k) > self.bound + _MAX_ROUNDING_ERROR

    def best(self, k: int) -> list[Candidate]:
        """Return the k best candidates, by descending cosine, then by library and id."""
        order = np.argsort(-self.cosines, kind="stable")
        ordered = self.cosines[order]
        end = int(np.searchsorted(-ordered, -self._kth_cosine(k), side="right")) if len(order) > k else len(order)
        order, ordered = order[:end], ordered[:end]
        candidates = []
        places = (self.which[order].tolist(), self.rows[order].tolist(), ordered.tolist())
        for which, row, cosine in zip(*places, strict=True):
            snapshot = self.snapshots[which]
            candidates.append(unpack(snapshot.segment.record(row), snapshot.library, cosine))
        if np.any(ordered[1:] == ordered[:-1]):
            candidates.sort(key=lambda one: (-one.cosine, one.key.library, one.key.id))
        return candidates[:k]

    def _kth_cosine(self, k: int) -> float:
        return float(np.partition(self.cosines, -k)[-k])


def least_cosine(snapshots: Sequence[SegmentSnapshot], views: NDArray[np.float32], k: int) -> float:
    """Return a cosine that k rows have at least, from a first look at large segments; -inf if that does not tell.

    Raises DamagedSegmentError.
    """
    looks = [snapshot.segment.first_look(views, snapshot.allowed, k) for snapshot in snapshots]
    best = _Estimated.of([one or CandidateRows(np.empty(0, np.int64)) for one in looks])
    if len(best.rows) < k:
        return -np.inf
    return float(np.min(best.cosines(snapshots, views, 0, k)))


def score(
    snapshots: Sequence[SegmentSnapshot], views: NDArray[np.float32], k: int, depth: Depth, least: float = -np.inf
) -> ScoredRows:
    """Scan all segments to this depth and compute the exact cosines of the rows that may be among the k best.

    Estimated rows are taken from the best on, as many as the errors of those before let matter. Raises
    DamagedSegmentError.

    Parameters
    ----------
    least : rows of a smaller cosine need not be found.
    """
    counts = [int(np.count_nonzero(snapshot.allowed)) for snapshot in snapshots]
    candidates = [
        snapshot.segment.candidates(views, snapshot.allowed, depth.share(count, sum(counts)), least)
        for snapshot, count in zip(snapshots, counts, strict=True)
    ]
    exact = [np.empty(0, np.int64) if one.estimates is not None else one.rows for one in candidates]
    known = [_cosines(snapshot.segment, rows, views) for snapshot, rows in zip(snapshots, exact, strict=True)]
    estimated = _Estimated.of(candidates)
    found = np.concatenate([np.empty(0, np.float32), *known])
    rescored, error = _rescored(estimated, snapshots, views, found, k)
    done = len(rescored)
    return ScoredRows(
        snapshots=snapshots,
        which=np.concatenate([np.repeat(np.arange(len(exact)), list(map(len, exact))), estimated.which[:done]]),
        rows=np.concatenate([np.empty(0, np.int64), *exact, estimated.rows[:done]]),
        cosines=np.concatenate([found, rescored]),
        bound=_omitted_bound(candidates, error),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Estimated:
    """Rows of all segments by descending estimate: the number of the snapshot, the row, the estimate; shape (n,)."""

    which: Rows
    rows: Rows
    estimates: NDArray[np.float32]

    @classmethod
    def of(cls, candidates: Sequence[CandidateRows]) -> _Estimated:
        some = [(which, one.rows, one.estimates) for which, one in enumerate(candidates) if one.estimates is not None]
        which = np.concatenate([np.empty(0, np.int64), *(np.full(len(rows), at) for at, rows, _ in some)])
        rows = np.concatenate([np.empty(0, np.int64), *(rows for _, rows, _ in some)])
        estimates = np.concatenate([np.empty(0, np.float32), *(estimates for _, _, estimates in some)])
        order = np.argsort(-estimates, kind="stable")
        return cls(which[order], rows[order], estimates[order])

    def cosines(
        self, snapshots: Sequence[SegmentSnapshot], views: NDArray[np.float32], start: int, end: int
    ) -> NDArray[np.float32]:
        """Return the exact cosines of the rows from ``start`` to ``end``. Raises DamagedSegmentError."""
        which, rows = self.which[start:end], self.rows[start:end]
        cosines = np.empty(len(rows), np.float32)
        for at in np.unique(which).tolist():
            mask = which == at
            cosines[mask] = _cosines(snapshots[at].segment, rows[mask], views)
        return cosines


def _rescored(
    estimated: _Estimated,
    snapshots: Sequence[SegmentSnapshot],
    views: NDArray[np.float32],
    known: NDArray[np.float32],
    k: int,
) -> tuple[NDArray[np.float32], float]:
    """Return exact cosines of the first estimated rows, and what an estimate may be too low by.

    So many are taken that no other row's estimate, raised by that error, reaches the k-th best cosine.
    """
    found = np.empty(0, np.float32)
    error = np.inf
    wanted = min(_FIRST_RESCORED * k, len(estimated.rows))
    while wanted > len(found):
        found = np.concatenate([found, estimated.cosines(snapshots, views, len(found), wanted)])
        errors = found - estimated.estimates[: len(found)]
        error = float(errors.mean()) + _ERROR_DEVIATIONS * float(errors.std())
        everything = np.concatenate([known, found])
        least = float(np.partition(everything, -k)[-k]) if len(everything) >= k else -np.inf
        reached = estimated.estimates >= least - error - _MAX_ROUNDING_ERROR
        wanted = int(np.count_nonzero(reached))
    return found, error


def _cosines(segment: Segment, rows: Rows, views: NDArray[np.float32]) -> NDArray[np.float32]:
    segment.require_vectors(rows)
    return max_cosines(segment.vectors, rows, views)


def _omitted_bound(candidates: Sequence[CandidateRows], error: float) -> float:
    """Return an upper bound on the cosine of any allowed row that is not among the candidates.

    Exact scans bound it directly; of rows whose cosines are estimated, the scan's bound is raised by ``error``.
    """
    known = max((one.bound for one in candidates if one.estimates is None), default=-np.inf)
    bound = max((one.bound for one in candidates if one.estimates is not None), default=-np.inf)
    return known if bound == -np.inf else max(known, bound + error)
