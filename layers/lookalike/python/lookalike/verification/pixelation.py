"""Pixelated pictures: squares of one colour, whose edges are all that the model sees unless they are smoothed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.picture import Pixels

#: Share of the columns, and of the rows, that a pixelated picture's steps stand in: 48 squares across, each edge smeared
#: over three of 960 pixels.
_STEP_LINES = 0.15

#: Smallest share of all steps between neighbouring pixels in so many columns, and in so many rows, of a pixelated
#: picture. Pixelated photographs have 0.52 to 0.68; of others, one in twenty has more than 0.45, most within borders.
_MIN_STEPS = 0.5

#: Pixels: longer side that squares are averaged at. 40 and 24 find as many copies.
_SMOOTHED_SIDE = 64

#: Pixels: longer side of the smoothed picture.
_ENLARGED_SIDE = 320

#: Every so many rows, or columns, are looked at.
_STRIDE = 4


def smoothed_if_pixelated(pixels: Pixels) -> Pixels | None:
    """Return a pixelated picture, uint8 RGB, without the edges of its squares; None for any other picture."""
    green = pixels[..., 1]
    if min(_concentration(green[::_STRIDE]), _concentration(green[:, ::_STRIDE].T)) < _MIN_STEPS:
        return None
    picture = Image.fromarray(pixels)
    for side, method in ((_SMOOTHED_SIDE, Image.Resampling.BOX), (_ENLARGED_SIDE, Image.Resampling.BICUBIC)):
        scale = side / max(picture.size)
        picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), method)
    return np.asarray(picture)


def _concentration(rows: NDArray[np.uint8]) -> float:
    """Return the share of the steps along rows that stands in the columns with the most steps; 0 without any step."""
    steps = np.abs(np.diff(rows.astype(np.int16), axis=1)).sum(axis=0, dtype=np.int64)
    largest = np.sort(steps)[-max(1, round(_STEP_LINES * len(steps))) :]
    return float(largest.sum()) / max(float(steps.sum()), 1.0)
