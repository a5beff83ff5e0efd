"""Fitting how a kind's cosines are to be read, from cosines whose truth is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: `same` counts as found from the cosine on where so many of the answers are right.
MIN_PRECISION = 0.99

#: Newton's steps. Logistic regression of two numbers has settled long before.
_NEWTON_STEPS = 30


def fit_logistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of ``1 / (1 + exp(offset − slope · x))`` that make ``y``, in [0, 1], likeliest.

    By Newton's method. With ``y`` of 0 and 1 alone it has no end where a value of ``x`` parts the two:
    :func:`platt_targets` prevents that.
    """
    inputs, weights = np.stack([x, -np.ones_like(x)], axis=1), np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-inputs @ weights))
        weights += np.linalg.solve((inputs * (p * (1 - p))[:, None]).T @ inputs, inputs.T @ (y - p))
    return float(weights[0]), float(weights[1])


def platt_targets(positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Truth that allows for what a few examples cannot know: a little less than 1, a little more than 0.

    Platt, "Probabilistic outputs for support vector machines", 1999, equation 1.
    """
    positives, negatives = int(positive.sum()), int((~positive).sum())
    return np.where(positive, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def threshold_at_precision(
    x: NDArray[np.float64], positive: NDArray[np.bool_], min_precision: float = MIN_PRECISION
) -> float | None:
    """The lowest of ``x`` such that of all those as high, at least that share is right; None if there is none."""
    order = np.argsort(-x, kind="stable")
    falling = x[order]
    precision_at = np.cumsum(positive[order]) / np.arange(1, len(x) + 1)
    last_of_equals = np.append(falling[1:] != falling[:-1], True)
    reached = np.flatnonzero((precision_at >= min_precision) & last_of_equals)
    return float(falling[reached[-1]]) if len(reached) else None
