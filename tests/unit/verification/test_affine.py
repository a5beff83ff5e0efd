"""Affine transforms of fractions of pictures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.geometry import Affine, Box
from lookalike.verification.affine import compose, crop_transform, share_inside, shared

NUMBERS = st.floats(-2, 2)
AFFINES = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)


@given(AFFINES, AFFINES, NUMBERS, NUMBERS)
def test_one_transform_follows_the_other(first: Affine, second: Affine, x: float, y: float) -> None:
    def moved(by: Affine, point: tuple[float, float]) -> tuple[float, float]:
        a, b, c, d, e, f = by
        return a * point[0] + b * point[1] + c, d * point[0] + e * point[1] + f

    assert moved(compose(first, second), (x, y)) == pytest.approx(moved(second, moved(first, (x, y))), abs=1e-9)


def test_into_a_part() -> None:
    a, _, c, _, e, f = crop_transform(Box(0.2, 0.4, 0.7, 0.9))
    assert (0.2 * a + c, 0.4 * e + f) == pytest.approx((0, 0))
    assert (0.7 * a + c, 0.9 * e + f) == pytest.approx((1, 1))


@pytest.mark.parametrize(
    ("transform", "share"),
    [
        ((1, 0, 0, 0, 1, 0), 1),
        ((0, -1, 1, 1, 0, 0), 1),
        ((0.2, 0, 0.5, 0, 0.2, 0.5), 1),
        ((2, 0, -0.5, 0, 2, -0.5), 0.25),
        ((1, 0, 0.5, 0, 1, 0), 0.5),
        ((1, 0, 3, 0, 1, 0), 0),
    ],
)
def test_how_much_of_a_query_lies_on_a_picture(transform: Affine, share: float) -> None:
    assert share_inside(transform) == pytest.approx(share, abs=0.1)


@given(AFFINES)
def test_a_share_is_a_share(transform: Affine) -> None:
    assert 0 <= share_inside(transform) <= 1


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        (Box(0.2, 0.2, 0.8, 0.8), Box(0.2, 0.2, 0.8, 0.8), 1),
        (Box(0, 0, 1, 1), Box(0.5, 0, 1, 1), 0.5),  # a part of the other
        (Box(0.5, 0, 1, 1), Box(0, 0, 1, 1), 0.5),
        (Box(0, 0, 0.4, 1), Box(0.6, 0, 1, 1), 0),
    ],
)
def test_how_much_two_regions_have_in_common(one: Box, other: Box, share: float) -> None:
    assert shared(crop_transform(one), crop_transform(other)) == pytest.approx(share, abs=0.06)


@given(AFFINES, AFFINES)
def test_what_is_shared_is_a_share_and_mutual(one: Affine, other: Affine) -> None:
    assert 0 <= shared(one, other) <= 1
    assert shared(one, other) == shared(other, one)
