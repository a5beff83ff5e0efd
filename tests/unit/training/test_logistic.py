"""How cosines are read, fitted to made-up ones whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.training import logistic


def test_logistic_regression_finds_the_curve_that_answers_were_drawn_from() -> None:
    random = np.random.default_rng(2)
    x = random.uniform(0, 1, 20_000)
    y = random.uniform(size=20_000) < 1 / (1 + np.exp(9 - 15 * x))
    assert logistic.fit_logistic(x, y.astype(np.float64)) == pytest.approx((15, 9), rel=0.05)


def test_hedged_truth_keeps_a_curve_finite_where_one_cosine_parts_right_from_wrong() -> None:
    x = np.concatenate([np.linspace(0, 0.4, 60), np.linspace(0.6, 1, 60)])
    slope, offset = logistic.fit_logistic(x, logistic.platt_targets(x > 0.5))
    assert 5 < slope < 100
    assert offset / slope == pytest.approx(0.5, abs=0.01)


@given(st.lists(st.tuples(st.sampled_from([-0.5, 0.1, 0.2, 0.3, 0.9]), st.booleans()), min_size=1), st.floats(0.1, 1))
def test_the_threshold_is_the_lowest_cosine_that_keeps_the_precision(
    pairs: list[tuple[float, bool]], precision: float
) -> None:
    x, right = np.array([one for one, _ in pairs]), np.array([one for _, one in pairs])
    good = [one for one in x if right[x >= one].mean() >= precision]
    assert logistic.threshold_at_precision(x, right, precision) == (min(good) if good else None)
