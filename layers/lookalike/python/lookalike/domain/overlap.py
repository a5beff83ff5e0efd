"""How much of two matched pictures lies on each other, as one reads it off their transform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lookalike.domain.geometry import WHOLE, Box, GeometricMatch

_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Overlap:
    """The overlap of a query, or of a part of it, and a picture.

    ``query_percent``, 0..100, of the query's area lies on the picture, and ``picture_percent``, 0..100, of the picture's
    area is covered by it. ``mirrored``: the query shows the mirror image.
    """

    query_percent: float
    picture_percent: float
    mirrored: bool


def overlap(match: GeometricMatch, part: Box = WHOLE) -> Overlap:
    """Return the overlap of the query, or of this part of it, and the picture that the match lays it on.

    Both shares are exact: the part is clipped by the four sides of the picture, as seen from the query (Sutherland and
    Hodgman, "Reentrant polygon clipping", 1974). A transform that is not finite overlaps nothing.
    """
    a, b, c, d, e, f = match.transform
    if not all(map(math.isfinite, match.transform)):
        return Overlap(0.0, 0.0, mirrored=False)
    corners = [(part.left, part.top), (part.right, part.top), (part.right, part.bottom), (part.left, part.bottom)]
    inside: Sequence[_Point] = corners
    for x, y, distance in ((a, b, c), (-a, -b, 1 - c), (d, e, f), (-d, -e, 1 - f)):
        inside = _clipped(inside, x, y, distance)
    area = _area(inside)
    return Overlap(
        _percent(area / _area(corners)),
        _percent(area * abs(a * e - b * d)),  # an affine transform multiplies every area by its determinant
        match.mirrored,
    )


def _clipped(polygon: Sequence[_Point], a: float, b: float, c: float) -> Sequence[_Point]:
    """Return the part of a convex polygon where a·x + b·y + c is not negative."""
    clipped: list[_Point] = []
    for (x, y), (next_x, next_y) in pairwise([*polygon, *polygon[:1]]):
        here, there = a * x + b * y + c, a * next_x + b * next_y + c
        if here >= 0:
            clipped.append((x, y))
        if (here < 0) != (there < 0):
            at = here / (here - there)
            clipped.append((x + at * (next_x - x), y + at * (next_y - y)))
    return clipped


def _area(polygon: Sequence[_Point]) -> float:
    """Return a convex polygon's area (the shoelace formula)."""
    around = pairwise([*polygon, *polygon[:1]])
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in around)) / 2


def _percent(share: float) -> float:
    return 100 * min(max(0.0, share), 1.0)  # 0 for what is no number: then every area is far beyond the picture
