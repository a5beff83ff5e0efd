"""Rectification: warps the query by the inverse of an estimated transform.

CNN features are not invariant to rotation, scale and shear. Undoing the estimated transform removes them: the features
of a true match are then similar, those of a false one are not.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from lookalike.domain.geometry import Affine, Box
from lookalike.domain.picture import Pixels
from lookalike.verification.affine import invert

#: Grid points a side at which coverage is sampled.
_GRID_POINTS = 29

#: Smallest side of a covered region, as a share of the candidate's side. Less shows the model too little.
_MIN_REGION_SIDE = 0.15

#: Pixels: side of the square that has as many pixels as a rectified view.
RECTIFIED_SIDE = 320

#: Largest ratio of a rectified view's sides.
_MAX_ASPECT_RATIO = 4.0


def covered_region(transform: Affine) -> Box | None:
    """Return the bounding box of the part of a candidate that a query, moved by ``transform``, covers.

    None if one of its sides is shorter than _MIN_REGION_SIDE, or the transform is singular.
    """
    inverse = invert(transform)
    if inverse is None:
        return None
    coordinates = np.linspace(0, 1, _GRID_POINTS)
    x, y = np.meshgrid(coordinates, coordinates)
    points = inverse @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    inside = ((points >= 0) & (points <= 1)).all(axis=0).reshape(x.shape)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return None
    left, right, top, bottom = (float(coordinates[at]) for at in (columns[0], columns[-1], rows[0], rows[-1]))
    return Box(left, top, right, bottom) if min(right - left, bottom - top) >= _MIN_REGION_SIDE else None


def warp_region(image: Image.Image, transform: Affine, region: Box, aspect_ratio: float) -> Pixels:
    """Return the part of a query's image that ``transform`` moves to ``region``, uint8 RGB (height, width, 3); black outside.

    ``transform`` moves fractions of the query to fractions of the candidate, whose width by height is ``aspect_ratio``.
    The result has about RECTIFIED_SIDE² pixels. Raises ValueError if the transform is singular.
    """
    inverse = invert(transform)
    if inverse is None:
        raise ValueError("a transform that cannot be inverted")
    across, down = region.right - region.left, region.bottom - region.top
    sqrt_aspect_ratio = math.sqrt(min(max(aspect_ratio * across / down, 1 / _MAX_ASPECT_RATIO), _MAX_ASPECT_RATIO))
    width, height = round(RECTIFIED_SIDE * sqrt_aspect_ratio), round(RECTIFIED_SIDE / sqrt_aspect_ratio)
    to_picture = np.array([[across / width, 0, region.left], [0, down / height, region.top], [0, 0, 1]])
    back = np.diag([image.width, image.height]) @ inverse @ to_picture
    reduction = max(1, int(math.sqrt(abs(np.linalg.det(back[:, :2])))))
    if reduction > 1:  # area averaging prevents aliasing
        full = image.size
        image = image.reduce(reduction)
        back = np.diag([image.width / full[0], image.height / full[1]]) @ back
    coefficients = back.ravel().tolist()
    return np.asarray(image.transform((width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC))
