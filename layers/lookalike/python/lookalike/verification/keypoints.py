"""Corners of a picture, and how a picture's corners lie on another's: a witness beside the network.

After "ORB: an efficient alternative to SIFT or SURF" (Rublee et al., 2011): Harris's corners on several scales, turned
by their intensity centroid, described by which of two pixels is the brighter ("BRIEF", Calonder et al., 2010), 256
times. Corners say what a network's cells leave out: they are many, small, and do not mind being turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import Affine, Box
from lookalike.domain.picture import Grey, Pixels

#: Pixels of the longer side of what corners are looked for in, the scales, and how many corners there are at most.
SIDE, _SCALES, _MOST = 384, (1.0, 0.71, 0.5, 0.354), 400

#: Pixels around a corner that turn it, bits that describe it, and how far around they look.
_RADIUS, _BITS, _SPREAD, _FARTHEST = 15, 256, 6.0, 12.0

#: Corners' pixels are so far from the edges.
_EDGE = 18

#: Harris's k ("A combined corner and edge detector", 1988), and what is no corner: noise of less than a grey value.
_HARRIS, _LEAST_RESPONSE = 0.04, 1e3

#: Two corners match if they differ in fewer bits than this, and in this share of what the next best differs in.
_MOST_BITS, _RATIO = 80, 0.85

#: How near a guess must bring corners, and the fits after it, as a share of the picture's longer side.
_LOOSE, _TIGHT = 0.05, (0.05, 0.03, 0.02, 0.02)

#: Corners so near to each other count once.
_APART = 1 / 120

#: So many guesses are followed up; fewer corners make none.
_GUESSES, _LEAST = 5, 4

#: The least and the most a transform may scale, and how much more in one direction than in the other.
_LEAST_SCALE, _MOST_SCALE, _MOST_ASKEW = 0.15, 6.0, 3.0

_Image = NDArray[np.float32]
_Complex = NDArray[np.complex64]

_chance = np.random.default_rng(256)
_PAIRS: _Complex = (
    np.clip(_chance.normal(0, _SPREAD, (2, 2, _BITS)), -_FARTHEST, _FARTHEST)
    .astype(np.float32)
    .transpose(1, 2, 0)
    .copy()
    .view(np.complex64)[..., 0]
)

_y, _x = np.mgrid[-_RADIUS : _RADIUS + 1, -_RADIUS : _RADIUS + 1]
_inside = _x**2 + _y**2 <= _RADIUS**2
_DISC_X, _DISC_Y = _x[_inside], _y[_inside]


def scaled(pixels: Pixels | Grey) -> Grey:
    """A picture as grey values, its longer side :data:`SIDE`."""
    image = Image.fromarray(pixels)
    scale = SIDE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(image.convert("L").resize((width, height), method))


@dataclass(frozen=True, slots=True, eq=False)
class Corners:
    """``places`` as fractions of width and height, shape (n, 2); ``sides`` are width and height by the longer one.

    ``poses`` are direction and size; ``bits``, and ``mirrored`` of the mirrored picture, are −1 or 1, shape (n, 256).
    """

    sides: NDArray[np.float64]
    places: NDArray[np.float64]
    poses: _Complex
    bits: _Image
    mirrored: _Image

    @staticmethod
    def of(grey: Grey) -> Corners:
        """The corners of a picture whose longer side is :data:`SIDE`. The same every time."""
        height, width = grey.shape
        shares = np.square(_SCALES) ** 0.75
        found = [
            _on_scale(grey, scale, round(_MOST * share))
            for scale, share in zip(_SCALES, (shares / shares.sum()).tolist(), strict=True)
        ]
        places, poses, bits, mirrored = (np.concatenate(parts) for parts in zip(*found, strict=True))
        sides = np.array([width, height]) / max(width, height)
        return Corners(sides, places, poses, bits, mirrored)


@dataclass(frozen=True, slots=True)
class Alignment:
    """So many ``corners`` of a query, moved by ``transform``, lie on their partners in a ``region`` of a picture."""

    corners: int
    transform: Affine
    region: Box


def lay(query: Corners, picture: Corners) -> Alignment | None:
    """How most of a query's corners, or of its mirror image's, lie on a picture's; None if hardly any do."""
    found = [_lay(query, bits, mirrored, picture) for bits, mirrored in ((query.bits, False), (query.mirrored, True))]
    return max((one for one in found if one is not None), key=lambda one: one.corners, default=None)


def _lay(query: Corners, bits: _Image, mirrored: bool, picture: Corners) -> Alignment | None:
    ours, theirs = _matches(bits, picture.bits)
    if len(ours) < _LEAST:
        return None
    here, there = _plane(query, ours), _plane(picture, theirs)
    turned, poses = (-here.conj(), -query.poses[ours].conj()) if mirrored else (here, query.poses[ours])
    # One pair of corners says how all of the picture is turned and scaled.
    turns = picture.poses[theirs] / poses
    guesses = np.abs(turns[:, None] * (turned[None] - turned[:, None]) + there[:, None] - there[None]) <= _LOOSE
    best = None
    for guess in np.argsort(-guesses.sum(axis=1), kind="stable")[:_GUESSES]:
        found = _fit(query.places[ours], picture.places[theirs], picture.sides, guesses[guess])
        if found is not None and (best is None or found.corners > best.corners):
            best = found
    return best


def _fit(
    here: NDArray[np.float64], there: NDArray[np.float64], sides: NDArray[np.float64], fits: NDArray[np.bool_]
) -> Alignment | None:
    """The affine transform of the corners that fit, and then of those that it fits."""
    points = np.column_stack([here, np.ones(len(here))])
    for near in _TIGHT:
        if len(_distinct(there[fits] * sides)) < _LEAST:
            return None
        ridge = 1e-6 * np.eye(3)
        matrix = np.linalg.solve(points[fits].T @ points[fits] + ridge, points[fits].T @ there[fits])
        fits = np.hypot(*((points @ matrix - there) * sides).T) <= near
    corners = len(_distinct(there[fits] * sides))
    most, least = np.linalg.svd(matrix[:2] * sides, compute_uv=False)
    if corners < _LEAST or least < _LEAST_SCALE or most > min(_MOST_SCALE, _MOST_ASKEW * least):
        return None
    (left, top), (right, bottom) = there[fits].min(axis=0).tolist(), there[fits].max(axis=0).tolist()
    (a, d), (b, e), (c, f) = matrix.tolist()
    return Alignment(corners, (a, b, c, d, e, f), Box(left, top, right, bottom))


def _distinct(places: NDArray[np.float64]) -> NDArray[np.float64]:
    cells: NDArray[np.float64] = np.unique(np.rint(places / _APART), axis=0)
    return cells


def _plane(corners: Corners, which: NDArray[np.intp]) -> _Complex:
    """Where corners are, x + iy, in longer sides."""
    x, y = (corners.places[which] * corners.sides).T
    plane: _Complex = (x + 1j * y).astype(np.complex64)
    return plane


def _matches(ours: _Image, theirs: _Image) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which corners are each other's nearest, and far nearer than the next."""
    if not len(ours) or len(theirs) < 2:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    differ = (_BITS - ours @ theirs.T) / 2
    nearest = differ.argmin(axis=1)
    rows = np.arange(len(differ))
    least = differ[rows, nearest]
    following = np.partition(differ, 1, axis=1)[:, 1]
    good = (differ.argmin(axis=0)[nearest] == rows) & (least < _MOST_BITS) & (least < _RATIO * following)
    return np.flatnonzero(good), nearest[good]


def _on_scale(grey: Grey, scale: float, most: int) -> tuple[NDArray[np.float64], _Complex, _Image, _Image]:
    """Places, poses, bits and mirrored bits of the strongest corners on one scale."""
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    if min(height, width) <= 2 * _EDGE + 2:
        empty = np.zeros((0, _BITS), np.float32)
        return np.zeros((0, 2)), np.zeros(0, np.complex64), empty, empty
    shrunk = grey if scale == 1 else Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(shrunk, np.float32)
    y, x = _strongest(_response(pixels), most)
    at = (y * width + x)[:, None]
    around = pixels.ravel()[at + (_DISC_Y * width + _DISC_X)]
    turns = around @ _DISC_X.astype(np.float32) + 1j * (around @ _DISC_Y.astype(np.float32))
    turns = (turns / np.maximum(np.abs(turns), 1e-6)).astype(np.complex64)
    smooth = _blur(_blur(pixels)).ravel()
    bits, mirrored = (_bits(smooth, width, at, pairs, turns) for pairs in (_PAIRS, _PAIRS.conj()))
    places = np.column_stack([(x + 0.5) / width, (y + 0.5) / height])
    return places, (turns / np.float32(scale)).astype(np.complex64), bits, mirrored


def _bits(smooth: _Image, width: int, at: NDArray[np.intp], pairs: _Complex, turns: _Complex) -> _Image:
    offsets = pairs[:, None] * turns[:, None]
    steps = np.rint(offsets.imag).astype(np.intp) * width + np.rint(offsets.real).astype(np.intp)
    first, second = smooth[at + steps]
    return np.where(first < second, np.float32(1), np.float32(-1))


def _strongest(response: _Image, most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the strongest peaks that are not near an edge."""
    rows = np.maximum(np.maximum(response[:-2], response[1:-1]), response[2:])
    peaks = np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    inner = slice(_EDGE - 1, 1 - _EDGE)
    middle = response[_EDGE:-_EDGE, _EDGE:-_EDGE]
    y, x = np.nonzero((middle >= peaks[inner, inner]) & (middle > _LEAST_RESPONSE))
    kept = np.argsort(-middle[y, x], kind="stable")[:most]
    return y[kept] + _EDGE, x[kept] + _EDGE


def _response(pixels: _Image) -> _Image:
    """Harris's: large where grey values change in both directions."""
    across, down = np.zeros_like(pixels), np.zeros_like(pixels)
    across[:, 1:-1] = pixels[:, 2:] - pixels[:, :-2]
    down[1:-1] = pixels[2:] - pixels[:-2]
    xx, yy, xy = _blur(across * across), _blur(down * down), _blur(across * down)
    response: _Image = xx * yy - xy * xy - np.float32(_HARRIS) * (xx + yy) ** 2
    return response


def _blur(pixels: _Image) -> _Image:
    """Binomial, five pixels wide."""
    blurred = np.pad(pixels, 2, mode="edge")
    for _ in range(2):
        blurred = (blurred[:-2] + 2 * blurred[1:-1] + blurred[2:]) * np.float32(0.25)
        blurred = (blurred[:, :-2] + 2 * blurred[:, 1:-1] + blurred[:, 2:]) * np.float32(0.25)
    return blurred
