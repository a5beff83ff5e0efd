"""Which shares of two matched pictures lie on each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.geometry import IDENTITY, WHOLE, Affine, Box, GeometricMatch
from lookalike.domain.overlap import Overlap, overlap
from lookalike.verification.affine import compose, crop_transform, invert

#: Points a side of the grid that areas are counted on.
GRID = 200

#: Without subnormal numbers: products of those have no sign, and so lie on no side of an edge.
NUMBERS = st.floats(-4, 4, allow_subnormal=False)
TRANSFORMS = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
EDGES = st.tuples(st.floats(0, 0.45), st.floats(0.55, 1))


def lying(transform: Affine) -> GeometricMatch:
    return GeometricMatch(0.99, 30, 0.9, transform, WHOLE)


def counted(transform: Affine, part: Box) -> float:
    """The percentage of points in the part that the transform moves onto the picture."""
    places = (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(part.left + places * (part.right - part.left), part.top + places * (part.bottom - part.top))
    a, b, c, d, e, f = transform
    moved = np.stack([a * x + b * y + c, d * x + e * y + f])
    return 100 * float(((moved >= 0) & (moved <= 1)).all(axis=0).mean())


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (IDENTITY, Overlap(100, 100, mirrored=False)),
        ((0.5, 0, 0, 0, 0.5, 0.25), Overlap(100, 25, mirrored=False)),  # the query is a part of the picture
        ((2, 0, -0.5, 0, 2, -0.5), Overlap(25, 100, mirrored=False)),  # the picture is a part of the query
        ((1, 0, 0.5, 0, 1, 0), Overlap(50, 50, mirrored=False)),  # half beside it
        ((1, 0, 2, 0, 1, 0), Overlap(0, 0, mirrored=False)),  # all beside it
        ((-1, 0, 1, 0, 1, 0), Overlap(100, 100, mirrored=True)),
        ((0, 1, 0, -1, 0, 1), Overlap(100, 100, mirrored=False)),  # turned
        ((0, 1, 0, 1, 0, 0), Overlap(100, 100, mirrored=True)),
        ((0, 0, 0.5, 0, 0, 0.5), Overlap(100, 0, mirrored=False)),  # a single point
    ],
)
def test_overlap(transform: Affine, expected: Overlap) -> None:
    assert overlap(lying(transform)) == expected


def test_a_query_turned_by_45_degrees_leaves_the_corners_of_both_out() -> None:
    half = math.sqrt(0.5)
    turned = overlap(lying((half, -half, 0.5, half, half, 0.5 - half)))
    octagon = 100 * (2 * math.sqrt(2) - 2)  # of two unit squares about one middle
    assert turned.query_percent == pytest.approx(octagon)
    assert turned.picture_percent == pytest.approx(octagon)


@given(transform=TRANSFORMS, across=EDGES, down=EDGES)
def test_the_shares_are_those_that_one_counts(
    transform: Affine, across: tuple[float, float], down: tuple[float, float]
) -> None:
    part = Box(across[0], down[0], across[1], down[1])
    found = overlap(lying(transform), part)
    assert found == overlap(lying(transform), part)
    assert found.query_percent == pytest.approx(counted(transform, part), abs=100 * 4 * 1.5 / GRID)
    assert 0 <= found.picture_percent <= 100


@given(transform=TRANSFORMS)
def test_from_the_picture_it_looks_the_other_way_round(transform: Affine) -> None:
    back = invert(transform)
    if back is None:
        return
    a, b, c, d, e, f = back.ravel().tolist()
    there, here = overlap(lying(transform)), overlap(lying((a, b, c, d, e, f)))
    assert here.query_percent == pytest.approx(there.picture_percent, abs=1e-6)
    assert here.picture_percent == pytest.approx(there.query_percent, abs=1e-6)
    assert here.mirrored == there.mirrored


@given(transform=TRANSFORMS, across=EDGES, down=EDGES)
def test_a_part_lies_on_the_picture_as_it_does_alone(
    transform: Affine, across: tuple[float, float], down: tuple[float, float]
) -> None:
    part = Box(across[0], down[0], across[1], down[1])
    alone, within = overlap(lying(transform)), overlap(lying(compose(crop_transform(part), transform)), part)
    assert within.query_percent == pytest.approx(alone.query_percent, abs=1e-6)
    assert within.picture_percent == pytest.approx(alone.picture_percent, abs=1e-6)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@given(transform=TRANSFORMS, at=st.integers(0, 5))
def test_a_transform_that_is_not_finite_overlaps_nothing(transform: Affine, at: int, wrong: float) -> None:
    numbers = list(transform)
    numbers[at] = wrong
    a, b, c, d, e, f = numbers
    assert overlap(lying((a, b, c, d, e, f))) == Overlap(0, 0, mirrored=False)


@given(transform=st.tuples(*[st.floats(-1e300, 1e300)] * 6))
def test_any_finite_transform_has_shares(transform: Affine) -> None:
    found = overlap(lying(transform))
    assert 0 <= found.query_percent <= 100
    assert 0 <= found.picture_percent <= 100
