"""Mutual nearest neighbours of feature-map cells, and the similarity transforms they agree on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Affine, Box
from lookalike.embedding.feature_map import CELL_CHANNELS, CELLS_PER_SIDE, MAP_SCALE, THUMBNAIL_SIDE, FeatureMap
from lookalike.verification.affine import compose
from lookalike.verification.correlation import Pyramid
from lookalike.verification.ransac import Fit, Points, SimilarityTransform, ransac_similarity

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
    float32 (n, CELL_CHANNELS), are the cells with texture, vectors of length MAP_SCALE, ``positions``, complex64 (n,), their centres
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
        cells, positions = _cells(feature_map)[textured], _cell_positions(sqrt_aspect_ratio)[textured]
        return ViewFeatures(to_view, full, sqrt_aspect_ratio, cells, positions, feature_map.thumbnail, pyramid)

    def affine(self, transform: SimilarityTransform, sqrt_aspect_ratio: float) -> Affine:
        """Return ``transform``, from this view to a candidate of that aspect ratio, from the whole query's fractions to
        the candidate's."""
        corners = np.array([0, self.sqrt_aspect_ratio, 1j / self.sqrt_aspect_ratio], np.complex64)
        moved = transform.apply(corners)
        (c, a, b), (f, d, e) = (moved.real / sqrt_aspect_ratio).tolist(), (moved.imag * sqrt_aspect_ratio).tolist()
        return compose(self.to_view, (a - c, b - c, c, d - f, e - f, f))


@dataclass(frozen=True, slots=True, eq=False)
class CandidateCells:
    """The cells of a batch of n candidates: ``cells``, float32 (n · CELLS_PER_SIDE², CELL_CHANNELS), and ``positions``,
    complex64 (n, CELLS_PER_SIDE²), their centres in planes in which every candidate has its aspect ratio and area 1."""

    cells: NDArray[np.float32]
    positions: Points

    @staticmethod
    def of(candidates: Sequence[FeatureMap]) -> CandidateCells:
        """Return the cells of these candidates."""
        cells = np.concatenate([_cells(candidate) for candidate in candidates])
        return CandidateCells(cells, np.stack([_cell_positions(one.sqrt_aspect_ratio) for one in candidates]))


@dataclass(frozen=True, slots=True, eq=False)
class CellMatches:
    """Cells of a view and of a candidate that are each other's nearest neighbours, n pairs.

    ``candidate`` is the candidate's number in its batch, ``cells``, intp (n,), are its cells, row by row. ``source`` and
    ``target``, complex64 (n,), are the positions of the view's cells and of the candidate's.
    """

    view: ViewFeatures
    candidate: int
    cells: NDArray[np.intp]
    source: Points
    target: Points


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """A similarity transform that moves a view of the query onto a candidate.

    ``cells``, intp (n,), are the candidate's inlier cells, row by row; ``matches`` counts the mutual nearest neighbours.
    """

    view: ViewFeatures
    candidate: int
    transform: SimilarityTransform
    cells: NDArray[np.intp]
    matches: int

    @property
    def region(self) -> Box:
        """The smallest box around the candidate's inlier cells."""
        rows, columns = np.divmod(self.cells, CELLS_PER_SIDE)
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        return Box(*(float(side / CELLS_PER_SIDE) for side in (left, top, right, bottom)))


def match_cells(view: ViewFeatures, candidates: CandidateCells) -> list[CellMatches]:
    """Return the matches of a view with each candidate that has at least MIN_INLIERS of them.

    One matrix product compares all cells. Cells are whole numbers, so the products are exact, and no candidate's matches
    depend on the others.
    """
    if len(view.cells) < MIN_INLIERS:
        return []
    count, cells = candidates.positions.shape
    products = (view.cells @ candidates.cells.T).reshape(-1, count, cells)
    nearest = products.argmax(axis=2)
    best = np.take_along_axis(products, nearest[..., None], axis=2)[..., 0]
    best_of_others = np.take_along_axis(products.max(axis=0), nearest.T, axis=1)
    mutual = (best.T > _MIN_CELL_COSINE * MAP_SCALE**2) & (best_of_others <= best.T)
    mutual &= (np.count_nonzero(mutual, axis=1) >= MIN_INLIERS)[:, None]
    numbers, ours = np.nonzero(mutual)
    theirs = nearest.T[mutual]
    source, target = view.positions[ours], candidates.positions[numbers, theirs]
    begins = np.flatnonzero(np.diff(numbers, prepend=-1, append=-1)).tolist()
    return [
        CellMatches(view, int(numbers[begin]), theirs[begin:end], source[begin:end], target[begin:end])
        for begin, end in itertools.pairwise(begins)
    ]


def fit_transforms(matches: Sequence[CellMatches]) -> list[Hypothesis]:
    """Return the transforms of those matches that have enough inliers, spread over the candidate, in their order."""
    pairs = [(one.source, one.target) for one in matches]
    fits = ransac_similarity(pairs, _INLIER_THRESHOLD, _MIN_SAMPLE_DISTANCE, MIN_INLIERS)
    hypotheses = (None if fit is None else _hypothesis(one, fit) for one, fit in zip(matches, fits, strict=True))
    return [one for one in hypotheses if one is not None]


def _hypothesis(matches: CellMatches, fit: Fit) -> Hypothesis | None:
    """Return the hypothesis; None if its inlier cells, each counted once, are too few or in a strip."""
    cells, first = np.unique(matches.cells[fit.inliers], return_index=True)
    positions = matches.target[fit.inliers][first]
    if len(cells) < MIN_INLIERS or _min_deviation(positions) < _MIN_INLIER_SPREAD / CELLS_PER_SIDE:
        return None
    return Hypothesis(matches.view, matches.candidate, fit.transform, cells, len(matches.cells))


def mean_cell_cosine(rectified: FeatureMap, candidate: FeatureMap, region: Box) -> float:
    """Return the mean cosine of the rectified query's cells and the candidate's cells at the same places of ``region``."""
    columns = ((region.left + CELL_CENTRES * (region.right - region.left)) * CELLS_PER_SIDE).astype(np.intp)
    rows = ((region.top + CELL_CENTRES * (region.bottom - region.top)) * CELLS_PER_SIDE).astype(np.intp)
    there = candidate.cells[np.ix_(rows, columns)].astype(np.float32)
    return float((rectified.cells * there).sum(axis=2).mean()) / MAP_SCALE**2


def _cells(feature_map: FeatureMap) -> NDArray[np.float32]:
    """Return the cells, whole numbers of length MAP_SCALE, float32 (CELLS_PER_SIDE², CELL_CHANNELS)."""
    return feature_map.cells.reshape(-1, CELL_CHANNELS).astype(np.float32)


def _cell_positions(sqrt_aspect_ratio: float) -> Points:
    """Return the cells' centres, complex64 (CELLS_PER_SIDE²,), with the picture's aspect ratio restored."""
    x, y = CELL_CENTRES[None, :] * sqrt_aspect_ratio, CELL_CENTRES[:, None] / sqrt_aspect_ratio
    return (x + 1j * y).ravel().astype(np.complex64)


def _min_deviation(points: Points) -> float:
    """Return the standard deviation of points in the direction in which it is smallest."""
    return math.sqrt(max(float(np.linalg.eigvalsh(np.cov(points.real, points.imag))[0]), 0.0))
