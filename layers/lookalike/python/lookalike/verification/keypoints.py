"""Matching of pictures by their keypoints.

Keypoints and descriptors are those of XFeat (Potje et al., "XFeat: Accelerated Features for Lightweight Image Matching",
CVPR 2024), which a network detects. Used where the feature maps decide nothing: keypoints are many and small, so a tenth
of a picture has enough of them. Descriptors bear turns of 45 degrees at most, so a query is turned before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import IDENTITY, Affine, Box
from lookalike.domain.keypoints import DESCRIPTOR_SCALE, Keypoints, KeypointView
from lookalike.domain.picture import Pixels
from lookalike.verification.affine import compose
from lookalike.verification.overlay import Picture

#: Smallest cosine (exclusive) of descriptors that match. At 0.85 a tenth of the crops to a tenth is lost, at 0.7 nothing
#: is gained.
MIN_COSINE = 0.8

#: Matches whose pairs are hypotheses: those with the largest cosines.
MAX_SEEDS = 48

#: Smallest distance of a pair's points, as a share of the longer side.
MIN_PAIR_DISTANCE = 0.03

#: Degrees: largest rotation of a hypothesis. Views are turned by 90 degrees, so 45 suffice.
MAX_ROTATION = 60

#: Inlier threshold of a hypothesis, as a share of the candidate's longer side.
COARSE_TOLERANCE = 0.02

#: Inlier thresholds of the affine fits that refine a hypothesis, one after another, as shares of the longer side.
REFINE_TOLERANCES = (0.03, 0.02, 0.015, 0.012)

#: Side of a grid cell, as a share of the longer side: inliers in one cell count as one.
_GRID_CELL = 1 / 48

#: More cells than there are in a row of the grid.
_GRID_COLUMNS = 64

#: Hypotheses refined at most, those with the most inliers.
_MAX_HYPOTHESES = 5

#: Smallest number of inliers of a hypothesis that is refined: it finds more, but not many more.
_MIN_HYPOTHESIS = 6

#: Smallest number of distinct inliers that an affine transform is fitted to.
_MIN_MATCHES = 4

#: Smallest singular value of an affine transform, in longer sides.
_MIN_SCALE = 0.15

#: Largest singular value of an affine transform, in longer sides.
_MAX_SCALE = 6.0

#: Largest ratio of its singular values.
_MAX_ANISOTROPY = 3.0

#: Pixels: shortest longer side that a large query is reduced to, before anything looks for keypoints.
QUERY_SIDE = 640

#: Pixels: longer side of a query's views that are turned or mirrored.
TURNED_SIDE = 160

#: Views of a query, the commonest first: mirrored or not, and then turned left by so many quarters. Copies that are mirrored
#: and turned by one quarter are left out: whole ones are found by their feature maps, and parts are rare.
ORIENTATIONS = ((True, 0), (False, 1), (False, 3), (False, 2), (True, 2))

#: Numbers of the views of a query: as it is, and in these orientations.
AS_IS, TURNED = 0, tuple(range(1, len(ORIENTATIONS) + 1))

#: How turning left by 0 to 3 quarters moves fractions of a picture.
_QUARTERS: tuple[Affine, ...] = (IDENTITY, (0, 1, 0, -1, 0, 1), (-1, 0, 1, 0, -1, 1), (0, -1, 1, 1, 0, 0))

#: How mirroring moves them.
_MIRROR: Affine = (-1, 0, 1, 0, 1, 0)

_Complex = NDArray[np.complex64]
_Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class KeypointMatch:
    """An affine ``transform`` from query to candidate. ``region`` bounds its ``inliers`` distinct inliers in the
    candidate."""

    inliers: int
    transform: Affine
    region: Box


class KeypointViews:
    """The views of a query that its keypoints are detected in, made of one picture.

    ``picture`` is the query, reduced if its longer side has ``2 * QUERY_SIDE`` pixels or more.

    Parameters
    ----------
    query : the query in any size.
    """

    def __init__(self, query: Picture) -> None:
        factor = max(query.colour.size) // QUERY_SIDE
        self.picture = query if factor < 2 else query.reduced(factor)

    def view(self, number: int) -> KeypointView | None:
        """Return a view: 0 is as the query is, others are small, in five other orientations; None beyond."""
        if number == AS_IS:
            return KeypointView(np.asarray(self.picture.colour), IDENTITY)
        if number > len(ORIENTATIONS):
            return None
        mirrored, quarters = ORIENTATIONS[number - 1]
        turned = np.rot90(self._small[:, ::-1] if mirrored else self._small, quarters)
        from_query = compose(_MIRROR if mirrored else IDENTITY, _QUARTERS[quarters])
        return KeypointView(np.ascontiguousarray(turned), from_query)

    @cached_property
    def _small(self) -> Pixels:
        small = self.picture.colour.copy()
        small.thumbnail((TURNED_SIDE, TURNED_SIDE), Image.Resampling.BOX)
        return np.asarray(small)


def match_keypoints(query: Keypoints, picture: Keypoints) -> KeypointMatch | None:
    """Match the keypoints of a query's view with a candidate's; None if hardly any match.

    Pairs of matches give hypotheses; those with the most inliers are refined by affine fits. Deterministic.
    """
    query_rows, candidate_rows = _mutual_matches(query, picture)
    if len(query_rows) < _MIN_MATCHES:
        return None
    hypotheses = _hypotheses(_in_longer_sides(query, query_rows), _in_longer_sides(picture, candidate_rows))
    inliers = np.count_nonzero(hypotheses, axis=1)
    likely = np.argsort(-inliers, kind="stable")[:_MAX_HYPOTHESES]
    source, target = query.xy[query_rows], picture.xy[candidate_rows]
    best = None
    # Pairs of one hypothesis' inliers give it again.
    different = {hypotheses[one].tobytes(): hypotheses[one] for one in likely[inliers[likely] >= _MIN_HYPOTHESIS]}
    for hypothesis in different.values():
        found = _fit_affine(source, target, picture.relative_size, hypothesis)
        if found is not None and (best is None or found.inliers > best.inliers):
            best = found
    return best


def _mutual_matches(query: Keypoints, candidate: Keypoints) -> tuple[_Rows, _Rows]:
    """Return rows of both that are mutual nearest neighbours, the largest cosines first."""
    if not len(query.xy) or not len(candidate.xy):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    # Products of whole numbers below 2²⁴: exact, so that no processor's order of summation shows.
    products = query.descriptors.astype(np.float32) @ candidate.descriptors.astype(np.float32).T
    nearest = products.argmax(axis=1)
    largest = products[np.arange(len(products)), nearest]
    alike = np.flatnonzero(largest > MIN_COSINE * DESCRIPTOR_SCALE**2)
    matched = alike[products[:, nearest[alike]].argmax(axis=0) == alike]
    matched = matched[np.argsort(-largest[matched], kind="stable")]
    return matched, nearest[matched]


def _hypotheses(source: _Complex, target: _Complex) -> NDArray[np.bool_]:
    """Return which matches fit the similarity transform of each pair of seeds, bool (hypotheses, n)."""
    first, second = np.triu_indices(min(MAX_SEEDS, len(source)), 1)
    before, after = source[second] - source[first], target[second] - target[first]
    apart = np.minimum(np.abs(before), np.abs(after)) > MIN_PAIR_DISTANCE
    rotations = after[apart] / before[apart]
    scales, first = np.abs(rotations), first[apart]
    likely = (np.abs(np.angle(rotations)) <= math.radians(MAX_ROTATION)) & (scales > _MIN_SCALE) & (scales < _MAX_SCALE)
    rotations, first = rotations[likely], first[likely]
    moved = rotations[:, None] * source[None] + (target[first] - rotations * source[first])[:, None]
    fitting: NDArray[np.bool_] = np.abs(moved - target[None]) <= COARSE_TOLERANCE
    return fitting


def _fit_affine(
    source: NDArray[np.float64],
    target: NDArray[np.float64],
    relative_size: NDArray[np.float64],
    fitting: NDArray[np.bool_],
) -> KeypointMatch | None:
    """Fit an affine transform to the inliers, and again to its own inliers, with falling tolerance.

    ``source`` and ``target`` are float64 (n, 2), ``fitting`` is bool (n,). None if too few are left, or the transform
    scales or shears too much.
    """
    points = np.column_stack([source, np.ones(len(source))])
    cells = np.rint(target * relative_size / _GRID_CELL) @ (1, _GRID_COLUMNS)
    for tolerance in REFINE_TOLERANCES:
        if _distinct(cells[fitting]) < _MIN_MATCHES:
            return None
        ridge = 1e-6 * np.eye(3)
        matrix = np.linalg.solve(points[fitting].T @ points[fitting] + ridge, points[fitting].T @ target[fitting])
        fitting = np.hypot(*((points @ matrix - target) * relative_size).T) <= tolerance
    inliers = _distinct(cells[fitting])
    largest, smallest = np.linalg.svd(matrix[:2] * relative_size, compute_uv=False)
    if inliers < _MIN_MATCHES or smallest < _MIN_SCALE or largest > min(_MAX_SCALE, _MAX_ANISOTROPY * smallest):
        return None
    (left, top), (right, bottom) = target[fitting].min(axis=0).tolist(), target[fitting].max(axis=0).tolist()
    (a, d), (b, e), (c, f) = matrix.tolist()
    return KeypointMatch(inliers, (a, b, c, d, e, f), Box(left, top, right, bottom))


def _distinct(cells: NDArray[np.float64]) -> int:
    """Return how many of these grid cells differ."""
    return len(set(cells.tolist()))


def _in_longer_sides(keypoints: Keypoints, rows: _Rows) -> _Complex:
    """Return keypoints' positions x + iy in longer sides of their picture, complex64 (rows,)."""
    x, y = (keypoints.xy[rows] * keypoints.relative_size).T
    plane: _Complex = (x + 1j * y).astype(np.complex64)
    return plane
