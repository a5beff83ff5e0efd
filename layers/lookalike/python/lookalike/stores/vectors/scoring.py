"""Exact cosines of the rows that scans of segments find, and whether they are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.search import Candidate
from lookalike.stores.vectors.inner_products import Rows, max_cosines
from lookalike.stores.vectors.packed_candidate import unpack
from lookalike.stores.vectors.segment_protocol import CandidateRows, Depth, Mask, Segment

#: Difference, from rounding, between a cosine computed by FAISS and by :func:`max_cosines`; always less than this.
_MAX_ROUNDING_ERROR = 1e-6

#: Standard deviations above the mean error that the error of an estimated cosine is assumed not to exceed. Recall at
#: 100 among 500,000 blends of photographs' vectors: 0.998 with 3, 0.9999 with 3.5.
_ERROR_DEVIATIONS = 3.5


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


def score(snapshots: Sequence[SegmentSnapshot], views: NDArray[np.float32], depth: Depth) -> ScoredRows:
    """Scan all segments to this depth and compute the exact cosines of their candidates. Raises DamagedSegmentError."""
    counts = [int(np.count_nonzero(snapshot.allowed)) for snapshot in snapshots]
    unfiltered = [
        snapshot.segment.candidates(views, snapshot.allowed, depth.share(count, sum(counts)))
        for snapshot, count in zip(snapshots, counts, strict=True)
    ]
    candidates = _keep_best_estimated(unfiltered, depth.estimated)
    found = [_cosines(snapshot.segment, one.rows, views) for snapshot, one in zip(snapshots, candidates, strict=True)]
    return ScoredRows(
        snapshots=snapshots,
        which=np.repeat(np.arange(len(candidates)), [len(one.rows) for one in candidates]),
        rows=np.concatenate([np.empty(0, np.int64), *(one.rows for one in candidates)]),
        cosines=np.concatenate([np.empty(0, np.float32), *found]),
        bound=_omitted_bound(candidates, found),
    )


def _cosines(segment: Segment, rows: Rows, views: NDArray[np.float32]) -> NDArray[np.float32]:
    segment.require_vectors(rows)
    return max_cosines(segment.vectors, rows, views)


def _keep_best_estimated(candidates: Sequence[CandidateRows], limit: int) -> Sequence[CandidateRows]:
    """Return the candidates with only the ``limit`` best of all estimated rows."""
    estimates = [one.estimates for one in candidates if one.estimates is not None]
    if sum(map(len, estimates)) <= limit:
        return candidates
    least = float(np.partition(np.concatenate(estimates), -limit)[-limit])
    return [one.at_least(least) for one in candidates]


def _omitted_bound(candidates: Sequence[CandidateRows], found: Sequence[NDArray[np.float32]]) -> float:
    """Return an upper bound on the cosine of any allowed row that is not among the candidates.

    Exact scans bound it directly. For estimated rows, the scan's bound is raised by the mean error plus
    ``_ERROR_DEVIATIONS`` standard deviations, both measured on the rows that were rescored.
    """
    known = max((one.bound for one in candidates if one.estimates is None), default=-np.inf)
    bound = max((one.bound for one in candidates if one.estimates is not None), default=-np.inf)
    if bound == -np.inf:
        return known
    errors = np.concatenate(
        [exact - one.estimates for one, exact in zip(candidates, found, strict=True) if one.estimates is not None]
    )
    if not len(errors):
        return np.inf
    return max(known, bound + float(errors.mean()) + _ERROR_DEVIATIONS * float(errors.std()))
