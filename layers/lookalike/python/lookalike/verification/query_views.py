"""The views of a query: a search looks for each of them, and the best one counts."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.domain.geometry import WHOLE, Box, QueryView
from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Pixels
from lookalike.verification.quadrilaterals import Quadrilateral
from lookalike.verification.rectify import crop_transform

#: Side of a corner crop, in percent of the query's side.
CORNER_PERCENT = 60

_CORNER_CROPS = tuple(
    Box(left, top, left + CORNER_PERCENT / 100, top + CORNER_PERCENT / 100)
    for top in (0.0, 1 - CORNER_PERCENT / 100)
    for left in (0.0, 1 - CORNER_PERCENT / 100)
)


def query_crops(kind: Kind, pixels: Pixels) -> list[Pixels]:
    """What of the query is embedded: all of it and, for ``same``, also its four corners.

    A screenshot, or a photograph of a picture on something else, shows what is searched for in one part of it;
    with the corners, 19 of 20 such photographs find their picture first, without them 13. Every view has at least
    one pixel.
    """
    if kind is not Kind.SAME:
        return [pixels]
    height, width = (-(-side * CORNER_PERCENT // 100) for side in pixels.shape[:2])
    top, left = slice(0, height), slice(0, width)
    bottom, right = slice(-height, None), slice(-width, None)
    corners = [(top, left), (top, right), (bottom, left), (bottom, right)]
    return [pixels, *(pixels[rows, columns] for rows, columns in corners)]


def views_of_crops(embeddings: Sequence[Embedding]) -> list[QueryView]:
    """What the :func:`query_crops` for ``same`` show of the query, to a pixel, given what was made of each."""
    boxes = (WHOLE, *_CORNER_CROPS)
    return [
        QueryView(crop_transform(box), of.feature_map, full=box == WHOLE)
        for box, of in zip(boxes, embeddings, strict=True)
    ]


def views_of_quadrilaterals(
    quadrilaterals: Sequence[Quadrilateral], embeddings: Sequence[Embedding]
) -> list[QueryView]:
    """What frames in the query show of it, given what was made of each."""
    return [
        QueryView(quadrilateral.to_unit_square, of.feature_map, full=True)
        for quadrilateral, of in zip(quadrilaterals, embeddings, strict=True)
    ]
