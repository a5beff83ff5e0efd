"""Mutual nearest neighbours of feature-map cells, and the similarity transforms they agree on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Affine, Box
from lookalike.embedding.feature_map import CELL_CHANNELS, CELLS_PER_SIDE, MAP_SCALE, THUMBNAIL_SIDE, FeatureMap
from lookalike.verification.affine import compose
from lookalike.verification.correlation import Pyramid
from lookalike.verification.ransac import Points, SimilarityTransform, pad_point_sets, ransac_similarity

#: Smallest cosine (exclusive) of two cells that are matched.
_MIN_CELL_COSINE = 0.5

#: Smallest standard deviation (exclusive), in grey levels, of the 4 × 4 thumbnail pixels of a query's cell that is matched.
_MIN_CELL_DEVIATION = 3.0

#: Largest distance of an inlier from its partner, in picture sides: one cell.
_INLIER_THRESHOLD = 1 / CELLS_PER_SIDE

#: Smallest distance between the two points of a RANSAC sample, in picture sides: one and a half cells.
_MIN_SAMPLE_DISTANCE = 1.5 / CELLS_PER_SIDE

#: Smallest number of inlier cells of a hypothesis.
MIN_INLIERS = 10

#: Smallest standard deviation of the inliers' positions in any direction, in cells: a strip of cells fits everywhere.
_MIN_INLIER_SPREAD = 0.7

#: Centres of the cells, as shares of a side: float32 (CELLS_PER_SIDE,).
CELL_CENTRES = (np.arange(CELLS_PER_SIDE, dtype=np.float32) + 0.5) / CELLS_PER_SIDE


@dataclass(frozen=True, slots=True, eq=False)
class ViewFeatures:
    """A view of the query, ready to be matched.

    ``to_view`` moves the query's points to the view's; ``full``: the view shows a picture from edge to edge. ``cells``,
    float32 (n, CELL_CHANNELS), are unit vectors of the cells with texture, ``positions``, complex64 (n,), their centres
    in a plane in which the view has its own aspect ratio and area 1. ``thumbnail`` is uint8 (THUMBNAIL_SIDE,
    THUMBNAIL_SIDE).
    """

    to_view: Affine
    full: bool
    sqrt_aspect_ratio: float
    cells: NDArray[np.float32]
    positions: Points
    thumbnail: NDArray[np.uint8]
    pyramid: Pyramid

    @staticmethod
    def of(to_view: Affine, full: bool, feature_map: FeatureMap) -> ViewFeatures:
        """Return the features of the view that has this feature map."""
        a_cell = THUMBNAIL_SIDE // CELLS_PER_SIDE
        greys = feature_map.thumbnail.reshape(CELLS_PER_SIDE, a_cell, CELLS_PER_SIDE, a_cell).astype(np.float32)
        textured = np.flatnonzero(greys.std(axis=(1, 3)).ravel() > _MIN_CELL_DEVIATION)
        sqrt_aspect_ratio = feature_map.sqrt_aspect_ratio
        pyramid = Pyramid.of(feature_map.thumbnail, sqrt_aspect_ratio)
        cells, positions = _unit_cells(feature_map)[textured], _cell_positions(sqrt_aspect_ratio)[textured]
        return ViewFeatures(to_view, full, sqrt_aspect_ratio, cells, positions, feature_map.thumbnail, pyramid)

    def affine(self, transform: SimilarityTransform, sqrt_aspect_ratio: float) -> Affine:
        """Return ``transform``, from this view to a candidate of that aspect ratio, from the whole query's fractions to
        the candidate's."""
        corners = np.array([0, self.sqrt_aspect_ratio, 1j / self.sqrt_aspect_ratio], np.complex64)
        moved = transform.apply(corners)
        (c, a, b), (f, d, e) = (moved.real / sqrt_aspect_ratio).tolist(), (moved.imag * sqrt_aspect_ratio).tolist()
        return compose(self.to_view, (a - c, b - c, c, d - f, e - f, f))


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """A similarity transform that moves a view of the query onto a candidate.

    ``cells``, intp (n,), are the candidate's inlier cells, row by row; ``matches`` counts the mutual nearest neighbours.
    """

    view: ViewFeatures
    transform: SimilarityTransform
    cells: NDArray[np.intp]
    matches: int

    @property
    def region(self) -> Box:
        """The smallest box around the candidate's inlier cells."""
        rows, columns = np.divmod(self.cells, CELLS_PER_SIDE)
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        return Box(*(float(side / CELLS_PER_SIDE) for side in (left, top, right, bottom)))


class CellMatcher:
    """Matches the cells of a query's views with those of candidates.

    Parameters
    ----------
    views : the query's views; those with fewer than MIN_INLIERS textured cells are left out.
    """

    def __init__(self, views: Sequence[ViewFeatures]) -> None:
        self._views = [view for view in views if len(view.positions) >= MIN_INLIERS]
        if self._views:
            self._cells = np.concatenate([view.cells for view in self._views])
            self._begins = np.cumsum([0, *(len(view.cells) for view in self._views)])

    def hypotheses(self, candidate: FeatureMap) -> list[Hypothesis]:
        """Return the best transform of each view that has enough inliers, spread over the candidate."""
        matched = [
            (view, cells, others)
            for view, (cells, others) in zip(self._views, self._mutual_nearest_cells(candidate), strict=True)
            if len(cells) >= MIN_INLIERS
        ]
        if not matched:
            return []
        positions = _cell_positions(candidate.sqrt_aspect_ratio)
        source = pad_point_sets([view.positions[cells] for view, cells, _ in matched])
        target = pad_point_sets([positions[others] for _, _, others in matched])
        counts = np.array([len(cells) for _, cells, _ in matched])
        transforms = ransac_similarity(source, target, counts, _INLIER_THRESHOLD, _MIN_SAMPLE_DISTANCE)
        found = []
        for row, transform in enumerate(transforms):
            if transform is None:
                continue
            view, _, others = matched[row]
            inliers = np.abs(transform.apply(source[row]) - target[row])[: counts[row]] <= _INLIER_THRESHOLD
            cells = np.unique(others[inliers])
            if len(cells) >= MIN_INLIERS and _min_deviation(positions[cells]) >= _MIN_INLIER_SPREAD / CELLS_PER_SIDE:
                found.append(Hypothesis(view, transform, cells, int(counts[row])))
        return found

    def _mutual_nearest_cells(self, candidate: FeatureMap) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Return, per view, rows of its cells and of the candidate's that are each other's nearest neighbours."""
        if not self._views:
            return []
        cosines = self._cells @ _unit_cells(candidate).T
        nearest = cosines.argmax(axis=1)
        best = cosines[np.arange(len(cosines)), nearest]
        found = []
        for begin, end in zip(self._begins[:-1], self._begins[1:], strict=True):
            cosine, other = best[begin:end], nearest[begin:end]
            best_of_others = cosines[begin:end].max(axis=0)
            mutual = np.flatnonzero((cosine > _MIN_CELL_COSINE) & (cosine >= best_of_others[other]))
            found.append((mutual, other[mutual]))
        return found


def mean_cell_cosine(rectified: FeatureMap, candidate: FeatureMap, region: Box) -> float:
    """Return the mean cosine of the rectified query's cells and the candidate's cells at the same places of ``region``."""
    columns = ((region.left + CELL_CENTRES * (region.right - region.left)) * CELLS_PER_SIDE).astype(np.intp)
    rows = ((region.top + CELL_CENTRES * (region.bottom - region.top)) * CELLS_PER_SIDE).astype(np.intp)
    there = candidate.cells[np.ix_(rows, columns)].astype(np.float32)
    return float((rectified.cells * there).sum(axis=2).mean()) / MAP_SCALE**2


def _unit_cells(feature_map: FeatureMap) -> NDArray[np.float32]:
    """Return the cells as unit vectors, float32 (CELLS_PER_SIDE², CELL_CHANNELS)."""
    return feature_map.cells.reshape(-1, CELL_CHANNELS) * np.float32(1 / MAP_SCALE)


def _cell_positions(sqrt_aspect_ratio: float) -> Points:
    """Return the cells' centres, complex64 (CELLS_PER_SIDE²,), with the picture's aspect ratio restored."""
    x, y = CELL_CENTRES[None, :] * sqrt_aspect_ratio, CELL_CENTRES[:, None] / sqrt_aspect_ratio
    return (x + 1j * y).ravel().astype(np.complex64)


def _min_deviation(points: Points) -> float:
    """Return the standard deviation of points in the direction in which it is smallest."""
    return math.sqrt(max(float(np.linalg.eigvalsh(np.cov(points.real, points.imag))[0]), 0.0))
