"""Boxes and affine transforms, views of a query, and the geometric match of two pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, as fractions of its width and height from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


#: The whole picture.
WHOLE = Box(0.0, 0.0, 1.0, 1.0)


Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): moves (x, y), fractions of width and height, to (a·x + b·y + c, d·x + e·y + f)."""


#: Moves nothing.
IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class QueryView:
    """Embedded view of a query: a crop, or a rectified part.

    ``to_view`` moves the query's points to the view's. ``feature_map`` is packed, b"" if the model makes none. ``full``:
    the view shows a picture from edge to edge, not a piece of one.
    """

    to_view: Affine
    feature_map: bytes
    full: bool


@dataclass(frozen=True, slots=True)
class GeometricMatch:
    """How the query lies on a picture.

    ``probability``, in 0..1, is the probability that both show the same. ``inliers`` counts the feature-map cells, or the keypoints,
    that the transform moves onto their partners; 0 where whole pictures were compared. ``correlation``, in −1..1, is the
    mean correlation of thumbnail blocks. ``transform`` moves the query's points to the picture's. ``region`` is the
    part of the picture that holds the inliers. ``inverted``: one is the negative of the other.
    """

    probability: float
    inliers: int
    correlation: float
    transform: Affine
    region: Box
    inverted: bool = False
