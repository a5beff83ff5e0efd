"""Boxes, affine transforms, and what verification says of two pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, as fractions of its width and height from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


#: All of a picture.
WHOLE = Box(0.0, 0.0, 1.0, 1.0)


Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): (x, y), as fractions of width and height, is moved to (a·x + b·y + c, d·x + e·y + f)."""


#: Moves nothing.
IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class View:
    """A look at a query: ``into`` moves the query's points to where the view shows them, and ``local_map`` is the
    view's. ``full``: it shows a picture from edge to edge, not a piece of one."""

    into: Affine
    local_map: bytes
    full: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """Where the query lies in a picture, and how sure that is.

    ``probability`` is that both show the same. ``inliers`` counts the cells of the picture's local map, or
    its corners, that lie where the transform says; ``agreement`` is the correlation of what both show there, 1 at
    most. ``transform`` moves the query's points to the picture's. ``region`` is the part of the picture that was
    found in the query.
    """

    probability: float
    inliers: int
    agreement: float
    transform: Affine
    region: Box
