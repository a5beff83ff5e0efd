"""The query as a picture shows it: cut and turned so that both lie alike, for the network to look at again.

A network sees little of a cell that is turned, far away or seen askew. Once it is guessed how a query lies on a
picture, the guess can be undone, and what was a stranger's cell looks the same, or the guess was wrong.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import Affine, Box
from lookalike.domain.picture import Pixels

#: Where it is looked whether a picture is covered: so many points a side.
_POINTS = 29

#: Less of a side is too little to look at.
_LEAST_SIDE = 0.15

#: The straightened query has about the square of this many pixels, and at most these proportions.
SIDE, _MOST_STRETCHED = 320, 4.0


def covered(transform: Affine) -> Box | None:
    """The smallest box around the part of a picture that a query, moved by ``transform``, covers; None if there is
    hardly any.
    """
    inverse = _inverse(transform)
    if inverse is None:
        return None
    places = np.linspace(0, 1, _POINTS)
    x, y = np.meshgrid(places, places)
    points = inverse @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    inside = ((points >= 0) & (points <= 1)).all(axis=0).reshape(x.shape)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return None
    left, right, top, bottom = (float(places[at]) for at in (columns[0], columns[-1], rows[0], rows[-1]))
    return Box(left, top, right, bottom) if min(right - left, bottom - top) >= _LEAST_SIDE else None


def straighten(pixels: Pixels, transform: Affine, part: Box, proportion: float) -> Pixels:
    """What the query shows of ``part`` of a picture whose width is ``proportion`` times its height; black where it
    shows nothing of it.

    ``transform`` moves the query's points to the picture's, both as fractions; it can be inverted.
    """
    inverse = _inverse(transform)
    if inverse is None:
        raise ValueError("a transform that cannot be inverted")
    across, down = part.right - part.left, part.bottom - part.top
    stretch = math.sqrt(min(max(proportion * across / down, 1 / _MOST_STRETCHED), _MOST_STRETCHED))
    width, height = round(SIDE * stretch), round(SIDE / stretch)
    image = Image.fromarray(pixels)
    to_picture = np.array([[across / width, 0, part.left], [0, down / height, part.top], [0, 0, 1]])
    back = np.diag([image.width, image.height]) @ inverse @ to_picture
    smaller = max(1, int(math.sqrt(abs(np.linalg.det(back[:, :2])))))
    if smaller > 1:  # pixels that lie close together are averaged, or they would flicker
        full = image.size
        image = image.reduce(smaller)
        back = np.diag([image.width / full[0], image.height / full[1]]) @ back
    coefficients = back.ravel().tolist()
    return np.asarray(image.transform((width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC))


def follow(first: Affine, second: Affine) -> Affine:
    """Moves as ``first`` does, and then as ``second`` does."""
    a, b, c, d, e, f = (_matrix(second)[:2] @ _matrix(first)).ravel().tolist()
    return a, b, c, d, e, f


def into(part: Box) -> Affine:
    """Moves points of a picture to where they are in this part of it, as fractions of the part's sides."""
    across, down = 1 / (part.right - part.left), 1 / (part.bottom - part.top)
    return across, 0, -part.left * across, 0, down, -part.top * down


def _matrix(transform: Affine) -> NDArray[np.float64]:
    return np.array([*transform, 0, 0, 1], np.float64).reshape(3, 3)


def _inverse(transform: Affine) -> NDArray[np.float64] | None:
    """The first two rows of the inverse; None if there is none to speak of."""
    matrix = _matrix(transform)
    if not (np.isfinite(matrix).all() and abs(np.linalg.det(matrix)) > 1e-4):
        return None
    return np.asarray(np.linalg.inv(matrix)[:2])
