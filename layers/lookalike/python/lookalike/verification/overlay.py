"""Overlays: the query laid on a candidate's original under a proved transform, both at one density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lookalike.domain.geometry import Affine, Box
from lookalike.domain.picture import Pixels
from lookalike.verification.affine import homogeneous, invert

#: Pixels: longer side of an overlay. Text of a page is grey bars there, and still tells pages apart.
LONGER_SIDE = 320

#: Factor by which the sides of the smallest overlay are divided.
COARSEST = 4

#: Pixels: shorter side of an overlay at least; a narrower picture is widened, so that the smallest overlay has a block.
_MIN_SIDE = 64

#: What is shown around the covered part, as shares of the original and of the part: the transform may be half a cell off.
_FRAME_MARGIN = 0.04

#: Smallest side of the part that is compared, as a share of the original's.
_MIN_FRAME = 0.01

#: Corners of a picture in fractions, as homogeneous columns.
UNIT_CORNERS = np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]], np.float64)

#: Pixels of the query beyond the frame's edges that are kept, so that a refined transform finds them.
_MARGIN = 24

#: Share of the overlay's density, below which the coarser picture's lack of detail would be taken for disagreement.
_SHARP = 0.9

#: Pixels of the query's part a side at least.
_MIN_PART = 4

#: Pixels of the query's edge that count as not covered: what lies beside them is not known.
_EDGE = 1.5

#: Pixels that rounding may move a pixel beyond the query's edge.
_ROUNDING = 1e-9

#: Filter of every reduction. Without one, thin lines and text alias, and copies disagree.
_FILTER = Image.Resampling.LANCZOS

#: Size at which a filtered reduction starts, as a multiple of the wanted one: averages do what is above it.
_REDUCING_GAP = 2.0


Matrix = NDArray[np.float64]
"""A projective map of the plane in homogeneous coordinates, float64 (3, 3)."""


Axis: TypeAlias = tuple[float, float, float, float]
"""An axis of colours: weights of red, green and blue, and what is added."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture as images: ``colour`` in RGB, and ``grey``, taken along ``axis``; by default it is luminance."""

    colour: Image.Image
    grey: Image.Image
    axis: Axis | None = None

    @staticmethod
    def of(pixels: Pixels) -> Picture:
        """Return the images of a picture, uint8 RGB (height, width, 3)."""
        return Picture.in_colour(Image.fromarray(pixels))

    @staticmethod
    def in_colour(colour: Image.Image, axis: Axis | None = None) -> Picture:
        """Return the images of a picture in RGB."""
        return Picture(colour, colour.convert("L") if axis is None else colour.convert("L", axis), axis)

    def along(self, axis: Axis | None) -> Picture:
        """Return the picture with greys along that axis."""
        return self if axis == self.axis else Picture.in_colour(self.colour, axis)

    def reduced(self, factor: int) -> Picture:
        """Return the picture with the mean of every square of ``factor`` pixels a side."""
        return Picture.in_colour(self.colour.reduce(factor), self.axis)

    def negative(self) -> Picture:
        """Return the picture with light and dark exchanged."""
        return Picture(ImageOps.invert(self.colour), ImageOps.invert(self.grey))  # taken in luminance


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """Two pictures in one frame: ``original`` and ``query``, float32 (height, width) or (height, width, 3), of 0..255.

    ``covered``, bool (height, width), tells where the query lies.
    """

    original: NDArray[np.float32]
    query: NDArray[np.float32]
    covered: NDArray[np.bool_]

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.covered.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.covered.shape[0])

    def without_rim(self, pixels: int) -> Overlay:
        """Return the overlay less a rim: a border of the query that lies a pixel off shows there and nowhere else."""
        inner = slice(pixels, -pixels)
        return Overlay(self.original[inner, inner], self.query[inner, inner], self.covered[inner, inner])


class Overlays:
    """Overlays of one query on one original, under transforms close to the first one.

    ``frame`` is the part of the original that they show: what the query covers.

    Parameters
    ----------
    query, original : pictures of any size.
    transform : moves fractions of the query to fractions of the original.

    Raises
    ------
    ValueError : the transform is singular, or moves the query off the original.
    """

    def __init__(self, query: Picture, original: Picture, transform: Affine) -> None:
        inverse = invert(transform)
        if inverse is None:
            raise ValueError("a singular transform")
        self.frame = frame = _frame(transform)
        box = _scaled(frame, original.grey.size)
        across, down = box[2] - box[0], box[3] - box[1]
        scale = LONGER_SIDE / max(across, down)
        size = max(_MIN_SIDE, round(across * scale)), max(_MIN_SIDE, round(down * scale))
        self._part = part = _part_shown(query.grey.size, size, frame, inverse)
        shown = original.grey.resize(size, _FILTER, box, reducing_gap=_REDUCING_GAP)
        self._original = _softened(shown, part.density)
        self._query = query.grey.resize(part.size, _FILTER, part.box, reducing_gap=_REDUCING_GAP)
        self._colours, self._query_colours = (
            colour.resize(grey.reduce(COARSEST).size, _FILTER, of, reducing_gap=_REDUCING_GAP)
            for colour, grey, of in (
                (original.colour, self._original, box),
                (query.colour, self._query, part.box),
            )
        )

    def grey(self, matrix: Matrix, reduction: int = 1) -> Overlay:
        """Return the overlay in grey under a projective map, its sides divided by ``reduction``.

        ``matrix``, float64 (3, 3), moves fractions of the query to fractions of the original.
        """
        return self._lay(self._query.reduce(reduction), self._original.reduce(reduction), matrix)

    def colour(self, matrix: Matrix) -> Overlay:
        """Return the overlay in RGB under a projective map, its sides divided by COARSEST."""
        return self._lay(self._query_colours, self._colours, matrix)

    def _lay(self, query: Image.Image, original: Image.Image, matrix: Matrix) -> Overlay:
        to_query = np.diag([query.width, query.height, 1.0]) @ self._part.to_part
        back = to_query @ np.linalg.inv(matrix) @ fractions_of(self.frame, *original.size)
        back /= back[2, 2]
        laid = query.transform(
            original.size, Image.Transform.PERSPECTIVE, back.ravel()[:8].tolist(), Image.Resampling.BICUBIC
        )
        covered = _inside(back, original.size, query.size)
        return Overlay(np.asarray(original, np.float32), np.asarray(laid, np.float32), covered)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The query's part that lies on the original.

    ``box`` is the part in the query's pixels, ``size`` that of its image, ``density`` its density in 0..1 of an
    overlay's. ``to_part``, float64 (3, 3), moves fractions of the query to fractions of the part.
    """

    box: tuple[float, float, float, float]
    size: tuple[int, int]
    density: float
    to_part: Matrix


def fractions_of(frame: Box, width: int, height: int) -> Matrix:
    """Return the matrix, float64 (3, 3), from pixels of a frame of that size to fractions of the original."""
    across, down = frame.right - frame.left, frame.bottom - frame.top
    return np.array([[across / width, 0, frame.left], [0, down / height, frame.top], [0, 0, 1]])


def _frame(transform: Affine) -> Box:
    """Return the part of the original that is compared: what the query covers, and some of what is around it.

    Raises ValueError if that is nothing.
    """
    corners = (homogeneous(transform) @ UNIT_CORNERS)[:2]
    low, high = corners.min(axis=1), corners.max(axis=1)
    margin = _FRAME_MARGIN * (1 + high - low)
    (left, top), (right, bottom) = np.maximum(low - margin, 0).tolist(), np.minimum(high + margin, 1).tolist()
    if min(right - left, bottom - top) < _MIN_FRAME:
        raise ValueError("a transform that moves the query off the original")
    return Box(left, top, right, bottom)


def _scaled(box: Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return a box in pixels of a picture of that size, at least one pixel wide and high."""
    left, right = _interval(box.left * size[0], box.right * size[0], size[0])
    top, bottom = _interval(box.top * size[1], box.bottom * size[1], size[1])
    return left, top, right, bottom


def _interval(begin: float, end: float, limit: int) -> tuple[float, float]:
    """Return an interval of at least one pixel within 0..limit."""
    begin = min(begin, limit - 1.0)
    return begin, min(max(end, begin + 1.0), float(limit))


def _part_shown(query: tuple[int, int], size: tuple[int, int], frame: Box, inverse: NDArray[np.float64]) -> _Part:
    """Return the query's part that lies in the frame: as dense as the overlay, or as the query if that is less.

    ``query`` and ``size`` are the sizes of query and overlay. Raises ValueError if hardly anything lies in the frame.
    """
    back = np.diag(np.array(query, float)) @ inverse @ fractions_of(frame, *size)
    step = math.sqrt(abs(float(np.linalg.det(back[:, :2]))))
    corners = back @ np.diag([*size, 1.0]) @ UNIT_CORNERS
    low = np.maximum(np.floor(corners.min(axis=1) - _MARGIN * step), 0)
    high = np.minimum(np.ceil(corners.max(axis=1) + _MARGIN * step), query)
    if step <= 0 or (high - low < 1).any():
        raise ValueError("a transform that moves the query off the original")
    across, down = (high - low).tolist()
    shrink = max(step, 1.0)
    to_part = np.diag([query[0] / across, query[1] / down, 1.0])
    to_part[:2, 2] = -low / (high - low)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return _Part(box, (_side(across / shrink), _side(down / shrink)), min(step, 1.0), to_part)


def _side(pixels: float) -> int:
    return max(_MIN_PART, round(pixels))


def _softened(image: Image.Image, density: float) -> Image.Image:
    """Return an image without the detail that a picture of that density cannot have."""
    if density >= _SHARP:
        return image
    coarse = (max(4, round(image.width * density)), max(4, round(image.height * density)))
    return image.resize(coarse, Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)


def _inside(back: Matrix, size: tuple[int, int], query_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels of a frame are moved into the query by ``back``, and not to its edge."""
    x, y = np.arange(size[0]) + 0.5, np.arange(size[1])[:, None] + 0.5
    # Each bound is a half-plane: at least 0 on one side of a line.
    bounds = [back[2]]
    for row, side in zip(back[:2], query_size, strict=True):
        bounds += [row - _EDGE * back[2], (side - _EDGE) * back[2] - row]
    inside = np.ones((size[1], size[0]), bool)
    for across, down, constant in bounds:
        inside &= across * x + (down * y + constant + _ROUNDING) >= 0
    return inside
