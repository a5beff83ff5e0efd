"""RANSAC for similarity transforms, reflected ones included: several sets of point pairs at once.

Fischler and Bolles, "Random sample consensus", 1981; the best hypothesis is refined by least squares over its inliers
(local optimisation: Chum, Matas and Kittler, "Locally optimized RANSAC", 2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.complex64]
"""Points of a plane, x + iy."""

#: Minimal samples (pairs of points) drawn per row, for each of the two senses: proper and reflected.
HYPOTHESES = 128

#: Smallest scale of a transform; no unit.
MIN_SCALE = 0.3

#: Largest scale of a transform; no unit.
MAX_SCALE = 3.0

#: Least-squares steps of the local optimisation.
_REFINEMENTS = 2

#: Coordinate of padding points, in picture sides: outside every picture, and its square still fits float32.
_FAR_AWAY = 1e6

_rng = np.random.default_rng(128)
#: Both points of every sample, as shares of a row's number of points: drawn once, so that the result is deterministic.
_FIRST_SAMPLES, _SECOND_SAMPLES = _rng.random((2, HYPOTHESES), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class SimilarityTransform:
    """Moves z, or z̄ if ``reflected``, to ``scale · z + translation``.

    ``scale`` is complex: scale and rotation.
    """

    scale: complex
    translation: complex
    reflected: bool

    def apply(self, points: Points) -> Points:
        """Return the moved points, complex64 of the same shape."""
        moved: Points = np.complex64(self.scale) * (points.conj() if self.reflected else points)
        return moved + np.complex64(self.translation)

    def apply_inverse(self, points: Points) -> Points:
        """Return the points that are moved to ``points``, complex64 of the same shape."""
        moved: Points = (points - np.complex64(self.translation)) / np.complex64(self.scale)
        return moved.conj() if self.reflected else moved


def pad_point_sets(sets: list[Points]) -> Points:
    """Return sets of points as rows of one array, complex64 (sets, longest), padded with points far from any other."""
    rows = np.full((len(sets), max(map(len, sets))), _FAR_AWAY, np.complex64)
    for row, points in zip(rows, sets, strict=True):
        row[: len(points)] = points
    return rows


def ransac_similarity(
    source: Points, target: Points, counts: NDArray[np.intp], inlier_threshold: float, min_sample_distance: float
) -> list[SimilarityTransform | None]:
    """Return, per row, the transform from ``source`` to ``target`` with the most inliers; None if no sample is valid.

    ``source`` and ``target`` are complex64 (rows, points), padded by :func:`pad_point_sets`; ``counts`` are the
    numbers of points per row without padding. An inlier is moved to within ``inlier_threshold`` of its partner. The two points of a sample
    are at least ``min_sample_distance`` apart. Deterministic: the samples are drawn once.
    """
    first = (_FIRST_SAMPLES * counts[:, None]).astype(np.intp)
    second = (_SECOND_SAMPLES * np.maximum(counts[:, None] - 1, 0)).astype(np.intp)
    second += second >= first
    second = np.minimum(second, counts[:, None] - 1)
    rows = np.arange(len(source))
    z1, z2, w1, w2 = (of[rows[:, None], at] for of in (source, target) for at in (first, second))
    hypotheses = [
        _from_sample(z1, z2, w1, w2, min_sample_distance),
        _from_sample(z1.conj(), z2.conj(), w1, w2, min_sample_distance),
    ]
    inliers = np.concatenate(
        [
            _count_inliers(scale, translation, reflected, source, target, inlier_threshold)
            for reflected, (scale, translation) in enumerate(hypotheses)
        ],
        axis=1,
    )
    best = inliers.argmax(axis=1)
    scale, translation = (
        np.concatenate([hypothesis[i] for hypothesis in hypotheses], axis=1)[rows, best] for i in (0, 1)
    )
    reflected = best >= HYPOTHESES
    scale, translation = _local_optimisation(
        scale, translation, np.where(reflected[:, None], source.conj(), source), target, inlier_threshold
    )
    return [
        SimilarityTransform(complex(scale[row]), complex(translation[row]), bool(reflected[row]))
        if inliers[row, best[row]]
        else None
        for row in rows
    ]


def _from_sample(z1: Points, z2: Points, w1: Points, w2: Points, min_sample_distance: float) -> tuple[Points, Points]:
    """Return scales and translations that move z1 to w1 and z2 to w2.

    A sample that is not allowed gets a transform without inliers: it moves all points far away.
    """
    target, source = w2 - w1, z2 - z1
    possible = np.abs(source) >= min_sample_distance
    scale = np.divide(target, source, out=np.zeros_like(target), where=possible)
    size = np.abs(scale)
    possible &= (size >= MIN_SCALE) & (size <= MAX_SCALE)
    return np.where(possible, scale, 0), np.where(possible, w1 - scale * z1, np.complex64(-_FAR_AWAY))


def _count_inliers(
    scale: Points, translation: Points, reflected: int, source: Points, target: Points, inlier_threshold: float
) -> NDArray[np.float32]:
    """Return the number of inliers of each transform, float32 (rows, hypotheses).

    Two matrix products a row give all distances.
    """
    y = -source.imag if reflected else source.imag
    points = np.stack([source.real, y, np.ones_like(y), target.real, target.imag], axis=1)
    one, none = np.ones_like(scale.real), np.zeros_like(scale.real)
    along = np.stack([scale.real, -scale.imag, translation.real, -one, none], axis=2) @ points
    across = np.stack([scale.imag, scale.real, translation.imag, none, -one], axis=2) @ points
    along *= along
    across *= across
    along += across
    # A product with ones counts faster than counting does.
    inliers: NDArray[np.float32] = (along <= inlier_threshold * inlier_threshold).astype(np.float32) @ np.ones(
        along.shape[2], np.float32
    )
    return inliers


def _local_optimisation(
    scale: Points, translation: Points, source: Points, target: Points, inlier_threshold: float
) -> tuple[Points, Points]:
    """Fit scale and translation to the inliers by least squares, as long as no inlier is lost."""
    inliers = np.abs(scale[:, None] * source + translation[:, None] - target) <= inlier_threshold
    for _ in range(_REFINEMENTS):
        weight = inliers / np.maximum(inliers.sum(axis=1, keepdims=True), 1)
        source_mean, target_mean = ((weight * of).sum(axis=1, keepdims=True) for of in (source, target))
        z, w = source - source_mean, target - target_mean
        spread = (weight * np.abs(z) ** 2).sum(axis=1)
        new = (weight * z.conj() * w).sum(axis=1) / np.maximum(spread, 1e-12)
        moved = target_mean[:, 0] - new * source_mean[:, 0]
        refitted = np.abs(new[:, None] * source + moved[:, None] - target) <= inlier_threshold
        size = np.abs(new)
        better = (refitted.sum(axis=1) >= inliers.sum(axis=1)) & (size >= MIN_SCALE) & (size <= MAX_SCALE)
        scale = np.where(better, new, scale).astype(np.complex64)
        translation = np.where(better, moved, translation).astype(np.complex64)
        inliers = np.where(better[:, None], refitted, inliers)
    return scale, translation
