"""Fitting how a kind's cosines are to be read, from cosines whose truth is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: `same` counts as found from the cosine on where so many of the answers are right.
PRECISION = 0.99

#: Newton's steps. Logistic regression of two numbers has settled long before.
_STEPS = 30


def logistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of ``1 / (1 + exp(offset − slope · x))`` that make ``y``, in [0, 1], likeliest.

    By Newton's method. With ``y`` of 0 and 1 alone it has no end where a value of ``x`` parts the two:
    :func:`hedged` prevents that.
    """
    inputs, weights = np.stack([x, -np.ones_like(x)], axis=1), np.zeros(2)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-inputs @ weights))
        weights += np.linalg.solve((inputs * (p * (1 - p))[:, None]).T @ inputs, inputs.T @ (y - p))
    return float(weights[0]), float(weights[1])


def hedged(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Truth that allows for what a few examples cannot know: a little less than 1, a little more than 0.

    Platt, "Probabilistic outputs for support vector machines", 1999, equation 1.
    """
    positive, negative = int(right.sum()), int((~right).sum())
    return np.where(right, (positive + 1) / (positive + 2), 1 / (negative + 2))


def threshold(x: NDArray[np.float64], right: NDArray[np.bool_], precision: float = PRECISION) -> float | None:
    """The lowest of ``x`` such that of all those as high, at least that share is right; None if there is none."""
    order = np.argsort(-x, kind="stable")
    falling = x[order]
    share = np.cumsum(right[order]) / np.arange(1, len(x) + 1)
    last_of_equals = np.append(falling[1:] != falling[:-1], True)
    reached = np.flatnonzero((share >= precision) & last_of_equals)
    return float(falling[reached[-1]]) if len(reached) else None
