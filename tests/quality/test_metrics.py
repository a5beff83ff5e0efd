"""The figures, on rankings small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.quality import metrics
from tests.quality.metrics import Ranking

RIGHT = np.array([[True, False, True, False], [False, True, False, False]])


def test_recall_counts_queries() -> None:
    assert metrics.recall_at(1, RIGHT) == 0.5
    assert metrics.recall_at(2, RIGHT) == 1.0


def test_average_precision_at_r_looks_no_further_than_there_is_to_find() -> None:
    relevant = np.array([2, 3])
    assert metrics.mean_average_precision(RIGHT, relevant) == pytest.approx((1 / 2 + (1 / 2) / 3) / 2)
    assert metrics.mean_average_precision(RIGHT, relevant, 100) == pytest.approx(((1 + 2 / 3) / 2 + (1 / 2) / 3) / 2)
    assert metrics.mean_average_precision(RIGHT, relevant, 1) == pytest.approx((1 + 0) / 2)


def test_micro_average_precision_puts_all_queries_into_one_list() -> None:
    ranking = Ranking.of([[(4, 0.9), (1, 0.2)], [(7, 0.8)], []], 2)
    right = np.array([[True, False], [False, False], [False, False]])
    assert metrics.micro_average_precision(ranking.scores, right, 1) == 1.0
    assert metrics.micro_average_precision(ranking.scores, right, 2) == 0.5  # one of two was never answered
    assert metrics.micro_average_precision(ranking.scores, right[::-1], 1) == 0.0  # it is where nothing was answered
    right = np.array([[False, False], [True, False], [False, False]])
    assert metrics.micro_average_precision(ranking.scores, right, 1) == 0.5


def test_what_was_not_answered_is_no_answer() -> None:
    ranking = Ranking.of([[(3, 0.5)], []], 2)
    assert ranking.found.tolist() == [[3, -1], [-1, -1]]
    assert np.isneginf(ranking.scores[ranking.found < 0]).all()
    similarity = np.array([[0.1, -np.inf, 0.7]])
    assert Ranking.by_similarity(similarity, 3).found.tolist() == [[2, 0, -1]]


def test_scores_that_keep_their_word_have_no_calibration_error() -> None:
    scores, right = np.repeat([0.25, 0.75], 100), np.tile([True, False, False, False], 50)
    right[100:] = ~right[100:]
    honest = metrics.reliability(scores, right)
    assert [(one.count, one.claimed, one.true) for one in honest] == [(100, 0.25, 0.25), (100, 0.75, 0.75)]
    assert metrics.calibration_error(honest) == 0.0
    assert metrics.calibration_error(metrics.reliability(scores, ~right)) == pytest.approx(0.5)
    assert sum(one.count for one in metrics.reliability(np.array([0.0, 1.0]), np.array([True, True]))) == 2
