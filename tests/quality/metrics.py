"""Metrics of rankings. Every figure is a share between 0 and 1.

A ranking is two arrays of shape (queries, places): ``found`` has indices into the library, best first, and -1 where
nothing was answered; ``scores`` has what each answer was given, -inf beside -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
Real = NDArray[np.float64]
Truth = NDArray[np.bool_]

#: Answers of a query that enter the micro average precision.
PLACES = 10

#: Limits of the bins in which claimed scores are compared with what came true.
BINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The answers of a method to all queries."""

    found: Whole
    scores: Real

    @classmethod
    def of(cls, answers: Sequence[Sequence[tuple[int, float]]], places: int) -> Ranking:
        """Return the ranking of (index, score) pairs per query, best first."""
        found = np.full((len(answers), places), -1, np.int64)
        scores = np.full((len(answers), places), -np.inf)
        for row, answer in enumerate(answers):
            for place, (index, score) in enumerate(answer[:places]):
                found[row, place], scores[row, place] = index, score
        return cls(found, scores)

    @classmethod
    def by_similarity(cls, similarity: Real, places: int) -> Ranking:
        """Return the ranking of similarities, of shape (queries, library)."""
        found = np.argsort(-similarity, axis=1, kind="stable")[:, :places]
        scores = np.take_along_axis(similarity, found, axis=1)
        return cls(np.where(np.isfinite(scores), found, -1), scores)


def recall_at(places: int, right: Truth) -> float:
    """Return the share of queries with a right answer among the first ``places``."""
    return float(right[:, :places].any(axis=1).mean())


def micro_average_precision(scores: Real, right: Truth, wanted: int) -> float:
    """Return the average precision of the first PLACES answers to all queries together, ordered by score.

    ``wanted``: how many right answers there are to be found. As the copy detection track of Douze et al.,
    "The 2021 Image Similarity Dataset and Challenge", https://arxiv.org/abs/2106.09672, has it.
    """
    given = np.isfinite(scores[:, :PLACES])
    flat, hits = scores[:, :PLACES][given], right[:, :PLACES][given]
    hits = hits[np.argsort(-flat, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / max(1, wanted))


def mean_average_precision(right: Truth, relevant: Whole, places: int | None = None) -> float:
    """Return the mean over the queries of the average precision among the first ``places``.

    ``relevant``: how many right answers the library holds for each query, at least one. Without ``places`` each
    query is cut at its own number of them (mAP@R of Musgrave et al., https://arxiv.org/abs/2003.08505).
    """
    cut = relevant if places is None else np.minimum(relevant, places)
    column = np.arange(right.shape[1])
    counted = right & (column < (relevant if places is None else np.full_like(relevant, places))[:, None])
    precision = np.cumsum(right, axis=1) / (column + 1)
    return float(((precision * counted).sum(axis=1) / cut).mean())


@dataclass(frozen=True, slots=True)
class Bin:
    """First answers with a score from ``low`` up to ``high``: their count, mean score, and share of right ones."""

    low: float
    high: float
    count: int
    claimed: float
    true: float


def reliability(scores: Real, right: Truth, limits: Sequence[float] = BINS) -> list[Bin]:
    """Return the non-empty bins of a reliability diagram. ``scores`` and ``right`` have shape (answers,)."""
    place = np.clip(np.digitize(scores, limits) - 1, 0, len(limits) - 2)
    return [
        Bin(limits[i], limits[i + 1], int(here.sum()), float(scores[here].mean()), float(right[here].mean()))
        for i in range(len(limits) - 1)
        if (here := place == i).any()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error: the mean of |score − share right|, weighted by the bins' counts."""
    total = sum(one.count for one in bins)
    return sum(one.count * abs(one.claimed - one.true) for one in bins) / total if total else 0.0
