"""Registration: refines a proved transform, which is only accurate to about a cell, until pixels lie on pixels.

Coarse to fine: blocks are searched around their places, and an affine correction is fitted to where they are found, by
iteratively reweighted least squares with Cauchy's weights (Holland and Welsch, "Robust regression using iteratively
reweighted least-squares", 1977).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Affine, Box
from lookalike.verification.affine import homogeneous
from lookalike.verification.block_search import BlockMatches, match_blocks
from lookalike.verification.overlay import COARSEST, Overlays, fractions_of


@dataclass(frozen=True, slots=True)
class Level:
    """One step: the overlay's sides divided by ``reduction``, blocks of ``side`` pixels, searched ``reach`` pixels around."""

    reduction: int
    side: int
    reach: int


#: Steps from a transform that is good to a cell to one that is good to a pixel.
COARSE = (Level(reduction=COARSEST, side=16, reach=4), Level(reduction=2, side=16, reach=3))

#: The step from there to half a pixel.
FINE = (Level(reduction=1, side=32, reach=2),)

#: Pixels that blocks are searched around at most.
_MAX_REACH = 8

#: Smallest number of blocks that a correction is fitted to.
_MIN_BLOCKS = 8

#: Smallest correlation (exclusive) of a block that counts.
_MIN_CORRELATION = 0.5

#: Smallest standard deviation (exclusive), in grey levels, of a block that counts.
_MIN_DEVIATION = 8.0

#: Smallest share (exclusive) of a block that must be covered.
_MIN_COVERAGE = 0.9

#: Pixels of distance from the common shift at which a block's first weight is halved.
_COMMON_SHIFT_SCALE = 3.0

#: Steps of the robust fit, and its scale in pixels.
_STEPS = 10
_SCALE = 1.0

#: Penalty of everything in a correction but its shift, as a share of the fit: few blocks must not shear a picture.
_RIDGE = 1e-3 / 50


def register(overlays: Overlays, transform: Affine, levels: Sequence[Level]) -> Affine:
    """Return the transform, refined; itself where too few blocks are found."""
    for level in levels:
        overlay = overlays.grey(transform, level.reduction)
        blocks = match_blocks(overlay, level.side, _reach(level, overlays.frame))
        correction = _fit(blocks, fractions_of(overlays.frame, overlay.width, overlay.height))
        if correction is not None:
            a, b, c, d, e, f = (correction @ homogeneous(transform))[:2].ravel().tolist()
            transform = (a, b, c, d, e, f)
    return transform


def _reach(level: Level, frame: Box) -> int:
    """Return how far blocks are searched: the smaller the part that is shown, the larger a cell is in it."""
    return min(math.ceil(level.reach / max(frame.right - frame.left, frame.bottom - frame.top)), _MAX_REACH)


def _fit(blocks: BlockMatches, to_fractions: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the correction, float64 (3, 3), in fractions of the original; None if too few blocks count.

    ``to_fractions`` is the matrix from pixels of the overlay to fractions of the original.
    """
    counts = (
        (blocks.correlation > _MIN_CORRELATION)
        & (blocks.deviation > _MIN_DEVIATION)
        & (blocks.coverage > _MIN_COVERAGE)
    )
    if np.count_nonzero(counts) < _MIN_BLOCKS:
        return None
    shifts = blocks.shift[counts].astype(np.float64)
    first = np.square(blocks.correlation[counts], dtype=np.float64)
    points = np.column_stack([blocks.centres[counts], np.ones(len(shifts))]).astype(np.float64)
    spread = np.square(np.array(blocks.correlation.shape[::-1]) * (blocks.side // 2))
    ridge = len(shifts) * _RIDGE * np.diag([*spread, 0]) + 1e-6 * np.eye(3)
    distance = np.hypot(*(shifts - np.median(shifts, axis=0)).T)
    weights = first / (1 + (distance / _COMMON_SHIFT_SCALE) ** 2)
    for _ in range(_STEPS):
        weighted = points * weights[:, None]
        fitted = np.linalg.solve(points.T @ weighted + ridge, weighted.T @ shifts)
        residual = np.hypot(*(points @ fitted - shifts).T)
        weights = first / (1 + (residual / _SCALE) ** 2) ** 2
    moved = np.eye(3)
    moved[:2] += fitted.T  # the query shows what belongs at a point of the original at this one
    if abs(np.linalg.det(moved[:2, :2])) < 0.5:
        return None
    return np.asarray(to_fractions @ np.linalg.inv(moved) @ np.linalg.inv(to_fractions))
