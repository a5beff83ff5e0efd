"""RANSAC for similarity transforms, reflected ones included: several sets of point pairs at once.

Fischler and Bolles, "Random sample consensus", 1981; the best hypothesis is refined by least squares over its inliers
(local optimisation: Chum, Matas and Kittler, "Locally optimized RANSAC", 2003).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

#: Factor between the padding points of targets and those of sources: no transform of MAX_SCALE moves one to the other.
_PADDING_RATIO = 4

#: Numbers of points that rows are padded to. They are few, so that rows share an array, and multiples of eight, so that
#: a row's sums, and with them its result, don't depend on the rows beside it.
_ROW_LENGTHS = (16, 32, 48, 64, 96, 128)

#: Smallest share of the wanted inliers that the best sample of a row has: of 22,016 rows of cells none reached 10 inliers
#: from six, 2 of 1,713 did from seven.
_MIN_SAMPLED_SHARE = 0.7

#: Rows whose inliers are counted at once at most: their arrays stay in the processor's cache.
_MAX_ROWS = 16

_rng = np.random.default_rng(128)
#: Both points of every sample, as shares of a row's number of points: drawn once, so that the result is deterministic.
_FIRST_SAMPLES, _SECOND_SAMPLES = _rng.random((2, HYPOTHESES), np.float32)


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The transform of one set of pairs, and which of the pairs are its inliers, bool (points,)."""

    transform: SimilarityTransform
    inliers: NDArray[np.bool_]


def ransac_similarity(
    pairs: Sequence[tuple[Points, Points]],
    inlier_threshold: float,
    min_sample_distance: float,
    min_inliers: int = 1,
) -> list[Fit | None]:
    """Return, for each set of pairs, the transform with the most inliers; None if there are not ``min_inliers``.

    A set is source and target, both complex64 (points,). An inlier is moved to within ``inlier_threshold`` of its
    partner. The two points of a sample are at least ``min_sample_distance`` apart. Deterministic: the samples are drawn
    once, and no set depends on another.
    """
    found: list[Fit | None] = [None] * len(pairs)
    for length, numbers in _by_row_length([len(source) for source, _ in pairs]).items():
        rows = _Rows.of([pairs[number] for number in numbers], length)
        for row, fit in _fit_rows(rows, inlier_threshold, min_sample_distance, min_inliers):
            found[numbers[row]] = fit
    return found


def _by_row_length(counts: Sequence[int]) -> dict[int, list[int]]:
    """Return the numbers of the sets by the length that they are padded to."""
    lengths: dict[int, list[int]] = {}
    for number, count in enumerate(counts):
        length = next((length for length in _ROW_LENGTHS if length >= count), -(-count // 8) * 8)
        lengths.setdefault(length, []).append(number)
    return lengths


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Sets of pairs as rows: ``source`` and ``target`` are complex64 (rows, points), of which ``counts``, intp (rows,),
    are used. The others are far from any transform of each other."""

    source: Points
    target: Points
    counts: NDArray[np.intp]

    @staticmethod
    def of(pairs: Sequence[tuple[Points, Points]], length: int) -> _Rows:
        source = np.full((len(pairs), length), _FAR_AWAY, np.complex64)
        target = source * np.complex64(_PADDING_RATIO)
        for row, (here, there) in enumerate(pairs):
            source[row, : len(here)], target[row, : len(there)] = here, there
        return _Rows(source, target, np.array([len(here) for here, _ in pairs]))


def _fit_rows(
    rows: _Rows, inlier_threshold: float, min_sample_distance: float, min_inliers: int
) -> Iterator[tuple[int, Fit]]:
    """Yield numbers and fits of the rows that have one."""
    scales, translations = _hypotheses(rows, min_sample_distance)
    counts = _count_inliers(rows, scales, translations, inlier_threshold)
    best = counts.argmax(axis=1)
    promising = np.flatnonzero(counts.max(axis=1) >= max(1, _MIN_SAMPLED_SHARE * min_inliers))
    best = best[promising]
    reflected = best >= HYPOTHESES
    source, target = rows.source[promising], rows.target[promising]
    source = np.where(reflected[:, None], source.conj(), source)
    scale, translation, inliers = _local_optimisation(
        scales[promising, best], translations[promising, best], source, target, inlier_threshold
    )
    for at in np.flatnonzero(np.count_nonzero(inliers, axis=1) >= min_inliers).tolist():
        row = int(promising[at])
        transform = SimilarityTransform(complex(scale[at]), complex(translation[at]), bool(reflected[at]))
        yield row, Fit(transform, inliers[at, : rows.counts[row]])


def _hypotheses(rows: _Rows, min_sample_distance: float) -> tuple[Points, Points]:
    """Return scales and translations of the samples' transforms, complex64 (rows, 2 · HYPOTHESES): first the proper
    ones, then the reflected ones."""
    counts = rows.counts[:, None]
    first = (_FIRST_SAMPLES * counts).astype(np.intp)
    second = (_SECOND_SAMPLES * np.maximum(counts - 1, 0)).astype(np.intp)
    second += second >= first
    second = np.minimum(second, counts - 1)
    z1, z2, w1, w2 = (
        np.take_along_axis(points, at, 1) for points in (rows.source, rows.target) for at in (first, second)
    )
    source, target = z2 - z1, w2 - w1
    possible = np.abs(source) >= min_sample_distance
    source = np.where(possible, source, 1)
    size = np.abs(target) / np.abs(source)
    possible &= (size >= MIN_SCALE) & (size <= MAX_SCALE)
    found = []
    for across, corner in ((source, z1), (source.conj(), z1.conj())):
        scale = np.where(possible, target / across, 0)
        found.append((scale, np.where(possible, w1 - scale * corner, np.complex64(-_FAR_AWAY))))
    (proper, reflected) = found
    return np.concatenate([proper[0], reflected[0]], axis=1), np.concatenate([proper[1], reflected[1]], axis=1)


def _count_inliers(
    rows: _Rows, scales: Points, translations: Points, inlier_threshold: float
) -> NDArray[np.unsignedinteger]:
    """Return the number of inliers of each transform, (rows, 2 · HYPOTHESES).

    One matrix product a row gives all distances.
    """
    source, target = rows.source, rows.target
    points = np.stack([source.real, source.imag, np.ones_like(source.real), target.real, target.imag], axis=2)
    one, none = np.ones_like(scales.real), np.zeros_like(scales.real)
    sense = np.repeat(np.array([1, -1], np.float32), HYPOTHESES)
    along = np.stack([scales.real, -sense * scales.imag, translations.real, -one, none], axis=1)
    across = np.stack([scales.imag, sense * scales.real, translations.imag, none, -one], axis=1)
    counts = []
    for begin in range(0, len(points), _MAX_ROWS):
        some = slice(begin, begin + _MAX_ROWS)
        squared = np.square(points[some] @ along[some])
        squared += np.square(points[some] @ across[some])
        near = squared <= inlier_threshold * inlier_threshold
        # Bytes add up several times faster than booleans, which become whole numbers of eight bytes first.
        counts.append(near.view(np.uint8).sum(axis=1, dtype=np.uint8 if near.shape[1] < 256 else np.uint16))
    return np.concatenate(counts)


def _local_optimisation(
    scale: Points, translation: Points, source: Points, target: Points, inlier_threshold: float
) -> tuple[Points, Points, NDArray[np.bool_]]:
    """Fit scale and translation to the inliers by least squares, as long as no inlier is lost; return the inliers too."""
    inliers = np.abs(scale[:, None] * source + translation[:, None] - target) <= inlier_threshold
    for _ in range(_REFINEMENTS):
        weight = inliers / np.maximum(inliers.sum(axis=1, keepdims=True), 1)
        source_mean, target_mean = ((weight * points).sum(axis=1, keepdims=True) for points in (source, target))
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
    return scale, translation, np.abs(scale[:, None] * source + translation[:, None] - target) <= inlier_threshold
