"""Logistic regression of labelled cosines, and thresholds at a given precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Smallest share of right answers among those found, for `same`.
MIN_PRECISION = 0.99

#: Steps of Newton's method. A regression of two parameters converges in far fewer.
_NEWTON_STEPS = 30


def fit_logistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and offset of the likeliest ``1 / (1 + exp(offset − slope · x))``, by Newton's method.

    ``x`` and ``y``, in [0, 1], are float64 (n,). With ``y`` of 0 and 1 alone it diverges where a value of ``x``
    separates the two: use :func:`platt_targets`.
    """
    inputs, weights = np.stack([x, -np.ones_like(x)], axis=1), np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-inputs @ weights))
        weights += np.linalg.solve((inputs * (p * (1 - p))[:, None]).T @ inputs, inputs.T @ (y - p))
    return float(weights[0]), float(weights[1])


def platt_targets(positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return regression targets slightly below 1 and slightly above 0, float64 (n,), for bool labels (n,).

    Platt, "Probabilistic outputs for support vector machines", 1999, equation 1.
    """
    positives, negatives = int(positive.sum()), int((~positive).sum())
    return np.where(positive, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def threshold_at_precision(
    x: NDArray[np.float64], positive: NDArray[np.bool_], min_precision: float = MIN_PRECISION
) -> float | None:
    """Return the lowest ``x`` from which on at least ``min_precision`` are positive; None if there is none."""
    order = np.argsort(-x, kind="stable")
    falling = x[order]
    precision_at = np.cumsum(positive[order]) / np.arange(1, len(x) + 1)
    last_of_equals = np.append(falling[1:] != falling[:-1], True)
    reached = np.flatnonzero((precision_at >= min_precision) & last_of_equals)
    return float(falling[reached[-1]]) if len(reached) else None
