"""Affine transforms: composition, inverse, crops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Affine, Box

#: Smallest absolute determinant (exclusive) of a transform that is inverted.
_MIN_DETERMINANT = 1e-4

#: Points a side at which it is sampled how much of a query lies on a picture.
_GRID_POINTS = 16

#: Distance beside a picture that still counts as on it, as a share of its sides: transforms are good to a cell of 1/14.
_MARGIN = 0.05


def compose(first: Affine, second: Affine) -> Affine:
    """Return the transform that moves as ``first`` does, and then as ``second`` does."""
    a, b, c, d, e, f = (homogeneous(second)[:2] @ homogeneous(first)).ravel().tolist()
    return a, b, c, d, e, f


def invert(transform: Affine) -> NDArray[np.float64] | None:
    """Return the first two rows of the inverse matrix, float64 (2, 3); None if the transform is (nearly) singular."""
    matrix = homogeneous(transform)
    if not (np.isfinite(matrix).all() and abs(np.linalg.det(matrix)) > _MIN_DETERMINANT):
        return None
    return np.asarray(np.linalg.inv(matrix)[:2])


def crop_transform(region: Box) -> Affine:
    """Return the transform from fractions of a picture to fractions of this region of it."""
    across, down = 1 / (region.right - region.left), 1 / (region.bottom - region.top)
    return across, 0, -region.left * across, 0, down, -region.top * down


def share_inside(transform: Affine) -> float:
    """Return the share of a query, 0..1, that ``transform`` moves onto a picture, or at most _MARGIN beside it."""
    places = (np.arange(_GRID_POINTS) + 0.5) / _GRID_POINTS
    x, y = np.meshgrid(places, places)
    moved = homogeneous(transform)[:2] @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return float(((moved >= -_MARGIN) & (moved <= 1 + _MARGIN)).all(axis=0).mean())


def shared(first: Affine, second: Affine) -> float:
    """Return the share, 0..1, that two regions of a query have in common: the smaller of their shares in each other.

    Both transforms move a query's fractions to those of what is shown there. 0 if one is (nearly) singular.
    """
    shares = []
    for one, other in ((first, second), (second, first)):
        inverse = invert(one)
        if inverse is None:
            return 0.0
        a, b, c, d, e, f = inverse.ravel().tolist()
        shares.append(share_inside(compose((a, b, c, d, e, f), other)))
    return min(shares)


def homogeneous(transform: Affine) -> NDArray[np.float64]:
    """Return the homogeneous matrix, float64 (3, 3)."""
    return np.array([*transform, 0, 0, 1], np.float64).reshape(3, 3)
