"""Quadrilaterals: pictures within a picture, such as photographed prints, screenshots and pasted pictures.

Their surroundings dominate the vector of the whole picture. Four straight edges reveal them: a Hough transform in which
every edge pixel votes along its own gradient finds lines (Duda and Hart, "Use of the Hough transformation to detect
lines and curves in pictures", 1972; O'Gorman and Clowes, "Finding picture edges through collinearity of feature
points", 1976), and the quadrilaterals that they form are scored by how much of their sides is edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import Affine
from lookalike.domain.picture import Pixels

#: Quadrilaterals returned at most: each costs a search one pass of the model.
MAX_QUADRILATERALS = 2

#: Pixels: longer side of the picture that edges are detected in.
_LONGER_SIDE = 256

#: Smallest gradient magnitude of an edge pixel, in grey levels a pixel.
_MIN_GRADIENT = 8.0

#: Bins of the Hough accumulator over the half circle of directions.
_DIRECTIONS = 90

#: Pixels between neighbouring bins of the Hough accumulator's distance.
_DISTANCE_STEP = 1.5

#: Lines that quadrilaterals are formed of, at most: the strongest.
_MAX_LINES = 32

#: Smallest number of (weighted) edge pixels that vote for a line.
_MIN_VOTES = 8.0

#: Half the width of the non-maximum suppression, in directions and in distance steps.
_AROUND = (4, 5)

#: Sectors of the half circle that edge directions are binned into when a side's support is measured.
_EDGE_SECTORS = 12

#: Largest angle between opposite sides, in radians.
_MAX_CONVERGENCE = math.radians(14)

#: Smallest angle between neighbouring sides, in radians.
_MIN_CORNER_ANGLE = math.radians(68)

#: Smallest distance between opposite sides, as a share of the picture's shorter side.
_MIN_SIDE_DISTANCE = 0.15

#: Smallest area of a quadrilateral, as a share of the picture's.
_MIN_AREA = 0.04

#: Largest area of a quadrilateral, as a share of the picture's: beyond it, the quadrilateral is the picture.
_MAX_AREA = 0.88

#: Quadrilaterals scored at most, those of the strongest lines. Windows and tiles form thousands.
_MAX_SCORED = 2000

#: Points a side at which its edge support is sampled.
_SIDE_SAMPLES = 24

#: Edge support of a side that is the picture's own border, in 0..1: a border is weak evidence of a side.
_BORDER_SUPPORT = 0.55

#: Pixels that a corner may lie outside the picture.
_MAX_OVERHANG = 6

#: Smallest score of a quadrilateral: mean of its weakest and its average edge support, plus a little for its area.
_MIN_SCORE = 0.7

#: Quadrilaterals whose corners are nearer than this are one, as a share of the picture's longer side.
_MIN_CORNER_DISTANCE = 0.08

#: Pixels: side of the square that has as many pixels as a rectified quadrilateral.
_RECTIFIED_SIDE = 320

#: Largest ratio of a rectified quadrilateral's sides.
_MAX_ASPECT_RATIO = 4.0

_Real = NDArray[np.float64]
_Whole = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Quadrilateral:
    """A picture within a picture.

    ``corners`` are fractions of width and height, float64 (4, 2), clockwise from the top left one, at worst slightly
    outside.
    """

    corners: _Real

    def rectified(self, pixels: Pixels) -> Pixels:
        """Return its content seen from straight ahead, uint8 RGB; ``pixels`` are those it was detected in."""
        image = Image.fromarray(pixels)
        corners = self.corners * image.size
        width, height = _sides(corners)
        sqrt_aspect_ratio = math.sqrt(min(max(width / height, 1 / _MAX_ASPECT_RATIO), _MAX_ASPECT_RATIO))
        size = round(_RECTIFIED_SIDE * sqrt_aspect_ratio), round(_RECTIFIED_SIDE / sqrt_aspect_ratio)
        reduction = max(1, int(min(width / size[0], height / size[1])))
        if reduction > 1:  # area averaging prevents aliasing
            image = image.reduce(reduction)
            corners = self.corners * image.size
        coefficients = _homography_coefficients(size, corners)
        return np.asarray(image.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC))

    @property
    def to_unit_square(self) -> Affine:
        """The affine transform from fractions of the picture to fractions of the quadrilateral's sides.

        It is the least-squares approximation of the homography: a few hundredths off for a print at an angle.
        """
        points = np.column_stack([self.corners, np.ones(4)])
        found, *_ = np.linalg.lstsq(points, np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64), rcond=None)
        a, b, c, d, e, f = found.T.ravel().tolist()
        return a, b, c, d, e, f


def detect_quadrilaterals(pixels: Pixels) -> list[Quadrilateral]:
    """Return the most salient quadrilaterals in a picture, uint8 RGB, at most MAX_QUADRILATERALS.

    Most photographs have none.
    """
    scale = _LONGER_SIDE / max(pixels.shape[:2])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    small = np.asarray(Image.fromarray(pixels).resize((width, height), method), np.float32)
    if min(width, height) < _MIN_VOTES:
        return []
    edges = _Edges.of(small)
    return [Quadrilateral(_clockwise(corners) / (width, height)) for corners in _Lines.of(edges).quadrilaterals(edges)]


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """Edge pixels. ``x`` and ``y`` are counted from the centre; ``angles``, 0 to π, are their gradients' directions."""

    width: int
    height: int
    x: _Real
    y: _Real
    angles: _Real

    @classmethod
    def of(cls, pixels: NDArray[np.float32]) -> _Edges:
        """Return the edges of a picture, float32 (height, width, 3): the strongest gradient of the three channels."""
        height, width = pixels.shape[:2]
        smooth = _blur(pixels)
        across, down = np.zeros_like(smooth), np.zeros_like(smooth)
        across[:, 1:-1] = (smooth[:, 2:] - smooth[:, :-2]) / 2
        down[1:-1] = (smooth[2:] - smooth[:-2]) / 2
        channel = (across * across + down * down).argmax(axis=2)[..., None]
        gradient_x, gradient_y = (
            np.take_along_axis(magnitude, channel, axis=2)[..., 0] for magnitude in (across, down)
        )
        magnitude = np.hypot(gradient_x, gradient_y)
        rows, columns = np.nonzero(_thin_edges(magnitude, gradient_x, gradient_y) & (magnitude > _MIN_GRADIENT))
        angles = np.arctan2(gradient_y[rows, columns], gradient_x[rows, columns]).astype(np.float64) % np.pi
        return cls(width, height, columns - (width - 1) / 2, rows - (height - 1) / 2, angles)

    def hough_accumulator(self) -> _Real:
        """Return the votes for each line: a row for each direction, a column for each distance from the centre."""
        middle = math.ceil(math.hypot(self.width, self.height) / 2 / _DISTANCE_STEP) + 1
        votes = np.zeros((_DIRECTIONS, 2 * middle + 1))
        direction = self.angles * (_DIRECTIONS / np.pi)
        for nearby in (-1, 0, 1, 2):
            towards = np.floor(direction) + nearby
            angle = towards * (np.pi / _DIRECTIONS)
            distance = np.rint((self.x * np.cos(angle) + self.y * np.sin(angle)) / _DISTANCE_STEP).astype(np.intp)
            row = towards.astype(np.intp)
            turned = (row < 0) | (row >= _DIRECTIONS)  # half a turn more: the same line from the other side
            place = (row % _DIRECTIONS) * votes.shape[1] + middle + np.where(turned, -distance, distance)
            weight = np.maximum(0, 1 - np.abs(direction - towards) / 2)
            votes += np.bincount(place, weight, votes.size).reshape(votes.shape)
        votes[:, 1:-1] += (votes[:, :-2] + votes[:, 2:]) / 2
        return votes

    def edge_map(self) -> NDArray[np.bool_]:
        """Return where edges are, by sector of direction, one pixel dilated: bool (sectors, height + 4, width + 4)."""
        edge_map = np.zeros((_EDGE_SECTORS, self.height + 4, self.width + 4), bool)
        sector = _sector(self.angles)
        row, column = (np.rint(self.y + (self.height + 3) / 2), np.rint(self.x + (self.width + 3) / 2))
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                edge_map[sector, row.astype(np.intp) + down, column.astype(np.intp) + right] = True
        return edge_map | np.roll(edge_map, 1, axis=0) | np.roll(edge_map, -1, axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Lines x·cos(angle) + y·sin(angle) = distance, x and y from the centre, with the votes for each.

    The last four are the picture's borders, which have no votes.
    """

    angles: _Real
    distances: _Real
    votes: _Real

    @classmethod
    def of(cls, edges: _Edges) -> _Lines:
        """Return the lines with the most votes, and the borders."""
        votes = edges.hough_accumulator()
        peaks = np.flatnonzero((votes >= _maximum_filter(votes)) & (votes >= _MIN_VOTES))
        strongest = peaks[np.argsort(-votes.ravel()[peaks], kind="stable")[:_MAX_LINES]]
        directions, columns = np.divmod(strongest, votes.shape[1])
        right, bottom = edges.width / 2, edges.height / 2
        return cls(
            np.concatenate([directions * (np.pi / _DIRECTIONS), [0, 0, np.pi / 2, np.pi / 2]]),
            np.concatenate([(columns - votes.shape[1] // 2) * _DISTANCE_STEP, [-right, right, -bottom, bottom]]),
            np.concatenate([votes.ravel()[strongest], np.zeros(4)]),
        )

    def quadrilaterals(self, edges: _Edges) -> list[_Real]:
        """Return the corners, in pixels, of the best quadrilaterals that the lines form, each float64 (4, 2)."""
        sides = self._side_candidates(edges)
        corners = np.stack([self._intersections(sides[:, i], sides[:, i - 1]) for i in range(4)], axis=1)
        size = np.array([edges.width, edges.height])
        corners += size / 2
        inside = ((corners > -_MAX_OVERHANG) & (corners < size + _MAX_OVERHANG)).all(axis=(1, 2)) & _convex(corners)
        sides, corners = sides[inside], corners[inside]
        area = _areas(corners) / size.prod()
        shortest = np.hypot(*(corners - np.roll(corners, -1, axis=1)).transpose(2, 0, 1)).min(axis=1)
        valid = np.flatnonzero((area > _MIN_AREA) & (area < _MAX_AREA) & (shortest > _MIN_SIDE_DISTANCE * size.min()))
        strongest = valid[np.argsort(-self.votes[sides[valid]].sum(axis=1), kind="stable")[:_MAX_SCORED]]
        sides, corners, area = sides[strongest], corners[strongest], area[strongest]
        support = self._edge_support(edges, sides, corners)
        score = (support.min(axis=1) + support.mean(axis=1)) / 2 + 0.1 * np.sqrt(area)
        chosen: list[_Real] = []
        for number in np.argsort(-score, kind="stable"):
            if score[number] < _MIN_SCORE or len(chosen) == MAX_QUADRILATERALS:
                break
            if all(
                _hausdorff_distance(corners[number], other) >= _MIN_CORNER_DISTANCE * _LONGER_SIDE for other in chosen
            ):
                chosen.append(corners[number])
        return chosen

    def _side_candidates(self, edges: _Edges) -> _Whole:
        """Return the lines of possible quadrilaterals, (n, 4): opposite sides nearly parallel, neighbours nearly
        perpendicular."""
        one, other = np.triu_indices(len(self.angles), 1)
        between = self.angles[other] - self.angles[one]
        against = np.abs(between) > np.pi / 2
        convergence = np.where(against, np.pi - np.abs(between), np.abs(between))
        distance = np.abs(self.distances[one] - np.where(against, -1, 1) * self.distances[other])
        parallel = (convergence < _MAX_CONVERGENCE) & (distance > _MIN_SIDE_DISTANCE * min(edges.width, edges.height))
        one, other = one[parallel], other[parallel]
        middle = (self.angles[one] + self.angles[other] + np.pi * against[parallel]) / 2 % np.pi
        pair, second = np.triu_indices(len(one), 1)
        turned = np.abs(middle[pair] - middle[second])
        perpendicular = np.minimum(turned, np.pi - turned) > _MIN_CORNER_ANGLE
        pair, second = pair[perpendicular], second[perpendicular]
        sides = np.stack([one[pair], one[second], other[pair], other[second]], axis=1)
        found: _Whole = sides[self._is_border(sides).sum(axis=1) <= 2]
        return found

    def _is_border(self, lines: _Whole) -> NDArray[np.bool_]:
        """Return which lines are borders of the picture."""
        return lines >= len(self.angles) - 4

    def _intersections(self, one: _Whole, other: _Whole) -> _Real:
        """Return the intersections of lines that are far from parallel: (n, 2)."""
        (a, b), (c, d) = ((np.cos(self.angles[of]), np.sin(self.angles[of])) for of in (one, other))
        r, s = self.distances[one], self.distances[other]
        intersections: _Real = np.stack([r * d - s * b, a * s - c * r], axis=-1) / (a * d - b * c)[:, None]
        return intersections

    def _edge_support(self, edges: _Edges, sides: _Whole, corners: _Real) -> _Real:
        """Return the share of each side that is an edge in its direction: (n, 4). Side i runs from corner i to i +
        1."""
        along = ((np.arange(_SIDE_SAMPLES) + 0.5) / _SIDE_SAMPLES)[:, None]
        points = corners[:, :, None] + (np.roll(corners, -1, axis=1) - corners)[:, :, None] * along
        column = np.floor(points[..., 0]).clip(-2, edges.width + 1).astype(np.intp) + 2
        row = np.floor(points[..., 1]).clip(-2, edges.height + 1).astype(np.intp) + 2
        sector = _sector(self.angles[sides])[..., None]
        support = edges.edge_map()[sector, row, column].mean(axis=2)
        return np.where(self._is_border(sides), _BORDER_SUPPORT, support)


def _blur(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the picture after a binomial filter, three pixels wide."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    blurred: NDArray[np.float32] = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / np.float32(16)
    return blurred


def _thin_edges(
    magnitude: NDArray[np.float32], gradient_x: NDArray[np.float32], gradient_y: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return where the gradient's magnitude is a maximum along its direction (non-maximum suppression)."""
    height, width = magnitude.shape
    padded = np.pad(magnitude, 1)
    eighth = np.rint(np.arctan2(gradient_y, gradient_x) * (4 / np.pi)).astype(np.intp) % 4
    ridge = np.zeros(magnitude.shape, bool)
    for number, (down, right) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        behind = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        before = padded[1 - down : 1 - down + height, 1 - right : 1 - right + width]
        ridge |= (eighth == number) & (magnitude >= behind) & (magnitude > before)
    return ridge


def _maximum_filter(votes: _Real) -> _Real:
    """Return the largest number of votes around each line. Beyond half a turn follow the same lines, reversed."""
    directions, distances = _AROUND
    around = np.concatenate([votes[-directions:, ::-1], votes, votes[:directions, ::-1]])
    around = np.pad(around, ((0, 0), (distances, distances)))
    rows = sliding_window_view(around, 2 * distances + 1, axis=1).max(axis=2)
    greatest: _Real = sliding_window_view(rows, 2 * directions + 1, axis=0).max(axis=2)
    return greatest


def _sector(angles: _Real) -> _Whole:
    """Return the sector nearest to each angle of 0 to π."""
    sector: _Whole = np.rint(angles * (_EDGE_SECTORS / np.pi)).astype(np.intp) % _EDGE_SECTORS
    return sector


def _convex(corners: _Real) -> NDArray[np.bool_]:
    """Return which of many quadrilaterals are convex."""
    side = np.roll(corners, -1, axis=1) - corners
    following = np.roll(side, -1, axis=1)
    turns = side[..., 0] * following[..., 1] - side[..., 1] * following[..., 0]
    return np.asarray((turns > 0).all(axis=1) | (turns < 0).all(axis=1))


def _areas(corners: _Real) -> _Real:
    """Return the areas of many quadrilaterals, in square pixels (the shoelace formula)."""
    x, y = corners[..., 0], corners[..., 1]
    areas: _Real = np.abs((x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)) / 2
    return areas


def _hausdorff_distance(one: _Real, other: _Real) -> float:
    """Return the largest distance of a corner of ``one`` to the nearest corner of ``other``, in pixels (Chebyshev)."""
    return float(np.abs(one[:, None] - other[None]).max(axis=2).min(axis=1).max())


def _clockwise(corners: _Real) -> _Real:
    """Return the corners clockwise, beginning with the one nearest to the top left."""
    around = corners - corners.mean(axis=0)
    turned = corners[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]
    first = int(np.argmin(turned.sum(axis=1)))
    ordered: _Real = np.concatenate([turned[first:], turned[:first]])
    return ordered


def _sides(corners: _Real) -> tuple[float, float]:
    """Return width and height of a quadrilateral, the means of opposite sides, in pixels, at least 1."""
    top, right, bottom, left = np.hypot(*(corners - np.roll(corners, -1, axis=0)).T).tolist()
    return max(1.0, (top + bottom) / 2), max(1.0, (left + right) / 2)


def _homography_coefficients(size: tuple[int, int], corners: _Real) -> list[float]:
    """Return Pillow's eight coefficients of the homography from a picture of that size to the corners."""
    width, height = size
    rows, wanted = [], []
    for (x, y), (u, v) in zip(((0, 0), (width, 0), (width, height), (0, height)), corners.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    coefficients: list[float] = np.linalg.solve(np.array(rows, np.float64), np.array(wanted)).tolist()
    return coefficients
