"""Pictures within a picture: prints that were photographed, screenshots, pictures pasted on others.

What surrounds such a picture hides it from the network. Four straight edges give it away: lines are found by a Hough
transform in which every edge votes along its own direction (Duda and Hart, "Use of the Hough transformation to detect
lines and curves in pictures", 1972; O'Gorman and Clowes, "Finding picture edges through collinearity of feature
points", 1976), and of all the quadrilaterals that they form, those count whose sides are edges from end to end.
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

#: Frames that are looked into, at most.
MOST = 2

#: Pixels of the longer side of what edges are looked for in, and the least grey values a pixel of an edge.
_SIDE, _LEAST_EDGE = 256, 8.0

#: Directions that lines can have, and pixels from one line to the next.
_DIRECTIONS, _STEP = 90, 1.5

#: So many lines are used, the strongest; fewer edges make none.
_LINES, _LEAST_VOTES = 32, 8.0

#: A line is the strongest of those that differ by no more directions and no more steps.
_AROUND = (4, 5)

#: Directions of edges, where it is counted how much of a side is one.
_SECTORS = 12

#: Opposite sides are no more askew than this, and neighbours no less, in radians.
_PARALLEL, _UPRIGHT = math.radians(14), math.radians(68)

#: Opposite sides are so far from each other, as a share of the shorter side; of a frame's area, the least and the most.
_LEAST_APART, _LEAST_AREA, _MOST_AREA = 0.15, 0.04, 0.88

#: Of windows and tiles, which have thousands, so many quadrilaterals of the strongest lines are looked at.
_QUADRILATERALS = 2000

#: Points of a side where edges are looked for. What the picture's own border says of a side is worth so much.
_POINTS, _BORDER = 24, 0.55

#: Corners are no more pixels outside the picture.
_OUTSIDE = 6

#: The least score of a frame; and frames whose corners are so near, as a share of the longer side, are one.
_LEAST_SCORE, _SAME_FRAME = 0.7, 0.08

#: What is cut out has about the square of so many pixels, and at most these proportions.
_CUT, _MOST_STRETCHED = 320, 4.0

_Real = NDArray[np.float64]
_Whole = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture within a picture. ``corners``: fractions of width and height, float64 (4, 2), from the top left one
    clockwise, a little outside at worst."""

    corners: _Real

    def cut(self, pixels: Pixels) -> Pixels:
        """What it shows, as if seen from straight ahead. ``pixels`` are those that it was found in."""
        image = Image.fromarray(pixels)
        corners = self.corners * image.size
        width, height = _sides(corners)
        stretch = math.sqrt(min(max(width / height, 1 / _MOST_STRETCHED), _MOST_STRETCHED))
        size = round(_CUT * stretch), round(_CUT / stretch)
        smaller = max(1, int(min(width / size[0], height / size[1])))
        if smaller > 1:  # pixels that lie close together are averaged, or they would flicker
            image = image.reduce(smaller)
            corners = self.corners * image.size
        coefficients = _perspective(size, corners)
        return np.asarray(image.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC))

    @property
    def into(self) -> Affine:
        """Moves points of the picture, as fractions, to where they are in the frame, as fractions of its sides: the
        affine transform that comes nearest to the perspective, a few hundredths off for a print seen askew."""
        points = np.column_stack([self.corners, np.ones(4)])
        found, *_ = np.linalg.lstsq(points, np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64), rcond=None)
        a, b, c, d, e, f = found.T.ravel().tolist()
        return a, b, c, d, e, f


def frames(pixels: Pixels) -> list[Frame]:
    """The most conspicuous frames in a picture, at most :data:`MOST`; most photographs have none."""
    scale = _SIDE / max(pixels.shape[:2])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    small = np.asarray(Image.fromarray(pixels).resize((width, height), method), np.float32)
    if min(width, height) < _LEAST_VOTES:
        return []
    edges = _Edges.of(small)
    return [Frame(_clockwise(corners) / (width, height)) for corners in _Lines.of(edges).quadrilaterals(edges)]


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """Pixels where colours change most. ``x`` and ``y`` are counted from the middle, ``angles`` of 0 to π are those
    in which they change."""

    width: int
    height: int
    x: _Real
    y: _Real
    angles: _Real

    @classmethod
    def of(cls, pixels: NDArray[np.float32]) -> _Edges:
        """The edges of a picture of shape (height, width, 3)."""
        height, width = pixels.shape[:2]
        smooth = _blur(pixels)
        across, down = np.zeros_like(smooth), np.zeros_like(smooth)
        across[:, 1:-1] = (smooth[:, 2:] - smooth[:, :-2]) / 2
        down[1:-1] = (smooth[2:] - smooth[:-2]) / 2
        channel = (across * across + down * down).argmax(axis=2)[..., None]
        gx, gy = (np.take_along_axis(change, channel, axis=2)[..., 0] for change in (across, down))
        change = np.hypot(gx, gy)
        rows, columns = np.nonzero(_ridge(change, gx, gy) & (change > _LEAST_EDGE))
        angles = np.arctan2(gy[rows, columns], gx[rows, columns]).astype(np.float64) % np.pi
        return cls(width, height, columns - (width - 1) / 2, rows - (height - 1) / 2, angles)

    def votes(self) -> _Real:
        """How many edges lie on each line: a row for each direction, a column for each distance from the middle."""
        middle = math.ceil(math.hypot(self.width, self.height) / 2 / _STEP) + 1
        votes = np.zeros((_DIRECTIONS, 2 * middle + 1))
        direction = self.angles * (_DIRECTIONS / np.pi)
        for nearby in (-1, 0, 1, 2):
            towards = np.floor(direction) + nearby
            angle = towards * (np.pi / _DIRECTIONS)
            distance = np.rint((self.x * np.cos(angle) + self.y * np.sin(angle)) / _STEP).astype(np.intp)
            row = towards.astype(np.intp)
            turned = (row < 0) | (row >= _DIRECTIONS)  # half a turn more: the same line from the other side
            place = (row % _DIRECTIONS) * votes.shape[1] + middle + np.where(turned, -distance, distance)
            weight = np.maximum(0, 1 - np.abs(direction - towards) / 2)
            votes += np.bincount(place, weight, votes.size).reshape(votes.shape)
        votes[:, 1:-1] += (votes[:, :-2] + votes[:, 2:]) / 2
        return votes

    def drawn(self) -> NDArray[np.bool_]:
        """Where there are edges, by sector, a pixel around each and two around the picture: (sectors, rows, columns)."""
        drawn = np.zeros((_SECTORS, self.height + 4, self.width + 4), bool)
        sector = _sector(self.angles)
        row, column = (np.rint(self.y + (self.height + 3) / 2), np.rint(self.x + (self.width + 3) / 2))
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                drawn[sector, row.astype(np.intp) + down, column.astype(np.intp) + right] = True
        return drawn | np.roll(drawn, 1, axis=0) | np.roll(drawn, -1, axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Lines x·cos(angle) + y·sin(angle) = distance, x and y from the middle, and how many edges voted for each; the last
    four are the picture's borders."""

    angles: _Real
    distances: _Real
    votes: _Real

    @classmethod
    def of(cls, edges: _Edges) -> _Lines:
        """The lines that most edges lie on, and the borders."""
        votes = edges.votes()
        peaks = np.flatnonzero((votes >= _greatest_around(votes)) & (votes >= _LEAST_VOTES))
        strongest = peaks[np.argsort(-votes.ravel()[peaks], kind="stable")[:_LINES]]
        directions, columns = np.divmod(strongest, votes.shape[1])
        right, bottom = edges.width / 2, edges.height / 2
        return cls(
            np.concatenate([directions * (np.pi / _DIRECTIONS), [0, 0, np.pi / 2, np.pi / 2]]),
            np.concatenate([(columns - votes.shape[1] // 2) * _STEP, [-right, right, -bottom, bottom]]),
            np.concatenate([votes.ravel()[strongest], np.zeros(4)]),
        )

    def quadrilaterals(self, edges: _Edges) -> list[_Real]:
        """The best ones, as corners in pixels, float64 (4, 2)."""
        sides = self._sides(edges)
        corners = np.stack([self._crossings(sides[:, i], sides[:, i - 1]) for i in range(4)], axis=1)
        size = np.array([edges.width, edges.height])
        corners += size / 2
        inside = ((corners > -_OUTSIDE) & (corners < size + _OUTSIDE)).all(axis=(1, 2)) & _convex(corners)
        sides, corners = sides[inside], corners[inside]
        area = _areas(corners) / size.prod()
        shortest = np.hypot(*(corners - np.roll(corners, -1, axis=1)).transpose(2, 0, 1)).min(axis=1)
        fits = np.flatnonzero((area > _LEAST_AREA) & (area < _MOST_AREA) & (shortest > _LEAST_APART * size.min()))
        strongest = fits[np.argsort(-self.votes[sides[fits]].sum(axis=1), kind="stable")[:_QUADRILATERALS]]
        sides, corners, area = sides[strongest], corners[strongest], area[strongest]
        support = self._support(edges, sides, corners)
        score = (support.min(axis=1) + support.mean(axis=1)) / 2 + 0.1 * np.sqrt(area)
        chosen: list[_Real] = []
        for number in np.argsort(-score, kind="stable"):
            if score[number] < _LEAST_SCORE or len(chosen) == MOST:
                break
            if all(_farthest(corners[number], other) >= _SAME_FRAME * _SIDE for other in chosen):
                chosen.append(corners[number])
        return chosen

    def _sides(self, edges: _Edges) -> _Whole:
        """Lines that may be a frame's four sides, in order: two about parallel, two about upright on them."""
        one, other = np.triu_indices(len(self.angles), 1)
        between = self.angles[other] - self.angles[one]
        against = np.abs(between) > np.pi / 2
        askew = np.where(against, np.pi - np.abs(between), np.abs(between))
        apart = np.abs(self.distances[one] - np.where(against, -1, 1) * self.distances[other])
        parallel = (askew < _PARALLEL) & (apart > _LEAST_APART * min(edges.width, edges.height))
        one, other = one[parallel], other[parallel]
        middle = (self.angles[one] + self.angles[other] + np.pi * against[parallel]) / 2 % np.pi
        pair, second = np.triu_indices(len(one), 1)
        turned = np.abs(middle[pair] - middle[second])
        upright = np.minimum(turned, np.pi - turned) > _UPRIGHT
        pair, second = pair[upright], second[upright]
        sides = np.stack([one[pair], one[second], other[pair], other[second]], axis=1)
        found: _Whole = sides[self._is_border(sides).sum(axis=1) <= 2]
        return found

    def _is_border(self, lines: _Whole) -> NDArray[np.bool_]:
        """Which lines are borders of the picture itself."""
        return lines >= len(self.angles) - 4

    def _crossings(self, one: _Whole, other: _Whole) -> _Real:
        """Where lines cross that are far from parallel: shape (n, 2)."""
        (a, b), (c, d) = ((np.cos(self.angles[of]), np.sin(self.angles[of])) for of in (one, other))
        r, s = self.distances[one], self.distances[other]
        crossings: _Real = np.stack([r * d - s * b, a * s - c * r], axis=-1) / (a * d - b * c)[:, None]
        return crossings

    def _support(self, edges: _Edges, sides: _Whole, corners: _Real) -> _Real:
        """What share of each side is an edge in its direction: (n, 4). Side i runs from corner i to corner i + 1."""
        along = ((np.arange(_POINTS) + 0.5) / _POINTS)[:, None]
        points = corners[:, :, None] + (np.roll(corners, -1, axis=1) - corners)[:, :, None] * along
        column = np.floor(points[..., 0]).clip(-2, edges.width + 1).astype(np.intp) + 2
        row = np.floor(points[..., 1]).clip(-2, edges.height + 1).astype(np.intp) + 2
        sector = _sector(self.angles[sides])[..., None]
        support = edges.drawn()[sector, row, column].mean(axis=2)
        return np.where(self._is_border(sides), _BORDER, support)


def _blur(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Binomial, three pixels wide."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    blurred: NDArray[np.float32] = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / np.float32(16)
    return blurred


def _ridge(change: NDArray[np.float32], gx: NDArray[np.float32], gy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a change is greater than those before and behind it."""
    height, width = change.shape
    padded = np.pad(change, 1)
    eighth = np.rint(np.arctan2(gy, gx) * (4 / np.pi)).astype(np.intp) % 4
    ridge = np.zeros(change.shape, bool)
    for number, (down, right) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        behind = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        before = padded[1 - down : 1 - down + height, 1 - right : 1 - right + width]
        ridge |= (eighth == number) & (change >= behind) & (change > before)
    return ridge


def _greatest_around(votes: _Real) -> _Real:
    """The greatest of each line's neighbours. Half a turn further stands the same line, seen from the other side."""
    directions, distances = _AROUND
    around = np.concatenate([votes[-directions:, ::-1], votes, votes[:directions, ::-1]])
    around = np.pad(around, ((0, 0), (distances, distances)))
    rows = sliding_window_view(around, 2 * distances + 1, axis=1).max(axis=2)
    greatest: _Real = sliding_window_view(rows, 2 * directions + 1, axis=0).max(axis=2)
    return greatest


def _sector(angles: _Real) -> _Whole:
    """Which of the edges' directions are nearest to angles of 0 to π."""
    sector: _Whole = np.rint(angles * (_SECTORS / np.pi)).astype(np.intp) % _SECTORS
    return sector


def _convex(corners: _Real) -> NDArray[np.bool_]:
    """Which of many quadrilaterals turn the same way at each corner."""
    side = np.roll(corners, -1, axis=1) - corners
    following = np.roll(side, -1, axis=1)
    turns = side[..., 0] * following[..., 1] - side[..., 1] * following[..., 0]
    return np.asarray((turns > 0).all(axis=1) | (turns < 0).all(axis=1))


def _areas(corners: _Real) -> _Real:
    """Of many quadrilaterals, in square pixels (the shoelace formula)."""
    x, y = corners[..., 0], corners[..., 1]
    areas: _Real = np.abs((x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)) / 2
    return areas


def _farthest(one: _Real, other: _Real) -> float:
    """How far that corner of one is from the other's that has none near."""
    return float(np.abs(one[:, None] - other[None]).max(axis=2).min(axis=1).max())


def _clockwise(corners: _Real) -> _Real:
    """From the corner nearest to the top left one, clockwise."""
    around = corners - corners.mean(axis=0)
    turned = corners[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]
    first = int(np.argmin(turned.sum(axis=1)))
    ordered: _Real = np.concatenate([turned[first:], turned[:first]])
    return ordered


def _sides(corners: _Real) -> tuple[float, float]:
    """A frame's width and height, the mean of opposite sides, in pixels, at least 1."""
    top, right, bottom, left = np.hypot(*(corners - np.roll(corners, -1, axis=0)).T).tolist()
    return max(1.0, (top + bottom) / 2), max(1.0, (left + right) / 2)


def _perspective(size: tuple[int, int], corners: _Real) -> list[float]:
    """Pillow's eight numbers, which move the corners of a picture of that size to those corners."""
    width, height = size
    rows, wanted = [], []
    for (x, y), (u, v) in zip(((0, 0), (width, 0), (width, height), (0, height)), corners.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    coefficients: list[float] = np.linalg.solve(np.array(rows, np.float64), np.array(wanted)).tolist()
    return coefficients
