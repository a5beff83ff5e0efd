"""Crops of a query, and its corners."""

from __future__ import annotations

import math

from lookalike.domain.geometry import Box
from lookalike.domain.picture import Pixels

#: Side of a corner crop, in percent of the query's side.
CORNER_PERCENT = 60

#: The four corners of a query, accurate to a pixel.
CORNER_BOXES = tuple(
    Box(left, top, left + CORNER_PERCENT / 100, top + CORNER_PERCENT / 100)
    for top in (0.0, 1 - CORNER_PERCENT / 100)
    for left in (0.0, 1 - CORNER_PERCENT / 100)
)


def crop(pixels: Pixels, box: Box) -> Pixels:
    """Return the part of a picture, uint8 RGB, in a box: all pixels that it touches, at least one."""
    height, width = pixels.shape[:2]
    top, left = (min(int(at + 1e-6), side - 1) for at, side in ((box.top * height, height), (box.left * width, width)))
    bottom, right = math.ceil(box.bottom * height - 1e-6), math.ceil(box.right * width - 1e-6)
    return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
