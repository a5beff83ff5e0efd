"""Registration: refines a proved transform, which is only accurate to about a cell, until pixels lie on pixels.

Coarse to fine: blocks are searched around their places, and a correction is fitted to where they are found, by iteratively
reweighted least squares with Cauchy's weights (Holland and Welsch, "Robust regression using iteratively
reweighted least-squares", 1977).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Box
from lookalike.verification.block_search import BlockMatches, block_sums, match_blocks
from lookalike.verification.overlay import COARSEST, UNIT_CORNERS, Matrix, Overlay, Overlays, fractions_of


@dataclass(frozen=True, slots=True)
class Level:
    """One step: the overlay's sides divided by ``reduction``, blocks of ``side`` pixels, searched ``reach`` pixels around.

    The correction is affine, or, if ``projective``, a homography: a print that was photographed lies askew.
    """

    reduction: int
    side: int
    reach: int
    projective: bool = False


#: Steps from a transform that is good to a cell to one that is good to a pixel.
COARSE = (Level(reduction=COARSEST, side=16, reach=4), Level(reduction=2, side=16, reach=3))

#: Steps from there to half a pixel, and to a picture that lies askew.
FINE = (
    Level(reduction=2, side=16, reach=4, projective=True),
    Level(reduction=1, side=32, reach=2, projective=True),
)

#: Pixels that blocks are searched around at most.
_MAX_REACH = 8

#: Smallest number of blocks that a correction is fitted to.
_MIN_BLOCKS = 8

#: The same for a homography.
_MIN_BLOCKS_PROJECTIVE = 24

#: Smallest correlation (exclusive) of a block that counts.
_MIN_CORRELATION = 0.5

#: Smallest standard deviation (exclusive), in grey levels, of a block that counts.
_MIN_DEVIATION = 8.0

#: Smallest share (exclusive) of a block that must be covered.
_MIN_COVERAGE = 0.9

#: Distance from the common shift at which a block's first weight is halved, in scales of the fit.
_COMMON_SHIFT_SCALE = 3.0

#: Steps of the robust fit, and its scale in pixels.
_STEPS = 10
_SCALE = 1.0

#: Penalty of what is not a shift, for each block: few blocks must not shear a picture.
_RIDGE = 1e-4

#: Smallest determinant (exclusive) of a correction.
_MIN_DETERMINANT = 0.5

_Floats = NDArray[np.floating]


def register(overlays: Overlays, matrix: Matrix, levels: Sequence[Level]) -> Matrix:
    """Return the map from query to original, float64 (3, 3), refined; itself where too few blocks are found."""
    for level in levels:
        overlay = overlays.grey(matrix, level.reduction)
        blocks = match_blocks(overlay, level.side, _reach(level, overlays.frame))
        fitted = _fit(blocks, overlay, projective=level.projective)
        if fitted is not None:
            to_fractions = fractions_of(overlays.frame, overlay.width, overlay.height)
            matrix = to_fractions @ np.linalg.inv(fitted) @ np.linalg.inv(to_fractions) @ matrix
    return matrix


def distance(first: Matrix, second: Matrix) -> float:
    """Return how far two maps move a corner of the query apart, in fractions of the original."""
    corners, others = (matrix @ UNIT_CORNERS for matrix in (first, second))
    return float(np.abs(corners[:2] / corners[2] - others[:2] / others[2]).max())


def _reach(level: Level, frame: Box) -> int:
    """Return how far blocks are searched: the smaller the part that is shown, the larger a cell is in it."""
    return min(math.ceil(level.reach / max(frame.right - frame.left, frame.bottom - frame.top)), _MAX_REACH)


def _fit(blocks: BlockMatches, overlay: Overlay, *, projective: bool) -> Matrix | None:
    """Return the map, in pixels, to where the query shows what belongs at a point; None if too few blocks count."""
    counts = (
        (blocks.correlation > _MIN_CORRELATION)
        & (blocks.deviation > _MIN_DEVIATION)
        & (blocks.coverage > _MIN_COVERAGE)
    )
    if np.count_nonzero(counts) < (_MIN_BLOCKS_PROJECTIVE if projective else _MIN_BLOCKS):
        return None
    tensors = structure_tensors(overlay.original, blocks.side)[counts]
    width, height = overlay.width, overlay.height
    half = max(width, height) / 2
    normalised = np.array([[1 / half, 0, -width / 2 / half], [0, 1 / half, -height / 2 / half], [0, 0, 1]])
    points = blocks.centres[counts].astype(np.float64) @ normalised[:2, :2].T + normalised[:2, 2]
    first = np.square(blocks.correlation[counts], dtype=np.float64)[:, None, None] * tensors
    moved = _robust_fit(points, blocks.shift[counts] / half, first, _SCALE / half, projective)
    if not np.linalg.det(moved) > _MIN_DETERMINANT:
        return None
    return np.asarray(np.linalg.inv(normalised) @ moved @ normalised)


def _robust_fit(points: _Floats, shifts: _Floats, first: _Floats, scale: float, projective: bool) -> Matrix:
    """Fit a map that moves points, (n, 2), by their shifts: linear in its numbers to first order.

    ``first`` are the weights to begin with, (n, 2, 2): along an edge a shift weighs nothing.
    """
    x, y = points.T
    one, none = np.ones_like(x), np.zeros_like(x)
    rows = np.stack([[x, y, one, none, none, none, -x * x, -x * y], [none, none, none, x, y, one, -x * y, -y * y]])
    rows = rows.transpose(2, 0, 1)[..., : 8 if projective else 6]
    ridge = _RIDGE * len(points) * np.diag([1, 1, 0, 1, 1, 0, 10, 10][: rows.shape[2]]) + 1e-9 * np.eye(rows.shape[2])
    distances = _lengths(shifts - np.median(shifts, axis=0), first)
    weights = first / (1 + (distances / (_COMMON_SHIFT_SCALE * scale)) ** 2)[:, None, None]
    for _ in range(_STEPS):
        weighted = rows.transpose(0, 2, 1) @ weights
        normal = (weighted @ rows).sum(axis=0)
        numbers = np.linalg.solve(normal + ridge, (weighted @ shifts[..., None]).sum(axis=0)[:, 0])
        distances = _lengths(rows @ numbers - shifts, first)
        weights = first / ((1 + (distances / scale) ** 2) ** 2)[:, None, None]
    moved = np.append(numbers, np.zeros(9 - len(numbers))).reshape(3, 3)
    return moved + np.eye(3)


def _lengths(vectors: _Floats, tensors: _Floats) -> _Floats:
    """Return how far n vectors, (n, 2), reach across the edges that tensors, (n, 2, 2), tell of."""
    traces = np.maximum(np.trace(tensors, axis1=1, axis2=2), 1e-12)
    return np.asarray(np.sqrt(np.einsum("ni,nij,nj->n", vectors, tensors, vectors) / traces))


def structure_tensors(image: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """Return the structure tensor of each block, of trace 2, float64 (rows, columns, 2, 2), first across, then down.

    Blocks have ``side`` pixels a side and overlap by half (see :func:`match_blocks`). Bigün and Granlund, "Optimal
    orientation detection of linear symmetry", 1987.
    """
    down, across = np.gradient(image)
    xx, yy, xy = (
        block_sums(np.asarray(one, np.float32), side).astype(np.float64)
        for one in (across * across, down * down, across * down)
    )
    traces = np.maximum((xx + yy) / 2, 1e-6)
    return np.stack([np.stack([xx, xy], axis=-1), np.stack([xy, yy], axis=-1)], axis=-1) / traces[..., None, None]
