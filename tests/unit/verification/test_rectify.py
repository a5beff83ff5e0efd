"""A query is straightened as a picture shows it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.geometry import WHOLE, Affine, Box
from lookalike.domain.picture import Pixels
from lookalike.verification.rectify import SIDE, covered, follow, into, straighten
from tests.support.photographs import photograph

IDENTITY: Affine = (1, 0, 0, 0, 1, 0)
NUMBERS = st.floats(-2, 2)
AFFINES = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)


@cache
def ramp(height: int, width: int) -> Pixels:
    """Red grows to the right and green downwards, from 0 to 255."""
    y, x = (np.mgrid[:height, :width] + 0.5) / np.array([height, width])[:, None, None]
    return np.rint(np.stack([255 * x, 255 * y, 0 * x], axis=2)).astype(np.uint8)


@pytest.mark.parametrize(
    ("transform", "part"),
    [
        (IDENTITY, WHOLE),
        ((-1, 0, 1, 0, 1, 0), WHOLE),
        ((0, 1, 0, -1, 0, 1), WHOLE),
        ((0.5, 0, 0.25, 0, 0.5, 0.25), Box(0.25, 0.25, 0.75, 0.75)),
        ((2, 0, -0.5, 0, 2, -0.5), WHOLE),
        ((1.8, 0.4, -0.6, -0.4, 1.8, -0.2), WHOLE),
    ],
)
@pytest.mark.parametrize("size", [(300, 400), (60, 40), (2000, 1000)])
def test_it_shows_what_lies_on_that_part_of_the_picture(transform: Affine, part: Box, size: tuple[int, int]) -> None:
    shown = straighten(ramp(*size), transform, part, 1.5)
    height, width = shown.shape[:2]
    for x, y in ((0.3, 0.3), (0.5, 0.5), (0.3, 0.7), (0.7, 0.5)):
        red, green = shown[int(y * height), int(x * width), :2] / 255
        there = follow((1, 0, float(red), 0, 1, float(green)), transform)  # moves (0, 0) to where that pixel belongs
        expected = part.left + x * (part.right - part.left), part.top + y * (part.bottom - part.top)
        assert (there[2], there[5]) == pytest.approx(expected, abs=0.05)


def test_where_the_query_shows_nothing_it_is_black() -> None:
    shown = straighten(np.full((50, 50, 3), 255, np.uint8), (0.5, 0, 0, 0, 0.5, 0), WHOLE, 1)
    assert shown[SIDE // 4, SIDE // 4].tolist() == [255, 255, 255]
    assert shown[3 * SIDE // 4, 3 * SIDE // 4].tolist() == [0, 0, 0]


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 3)])
@pytest.mark.parametrize("proportion", [0.001, 1, 5000])
def test_pictures_and_proportions_of_any_shape(size: tuple[int, int], proportion: float) -> None:
    shown = straighten(np.zeros((*size, 3), np.uint8), IDENTITY, WHOLE, proportion)
    assert SIDE / 2 <= min(shown.shape[:2]) <= max(shown.shape[:2]) <= SIDE * 2


@given(AFFINES)
def test_what_is_covered_is_part_of_the_picture_and_can_be_looked_at(transform: Affine) -> None:
    part = covered(transform)
    if part is None:
        return
    assert 0 <= part.left < part.right <= 1
    assert 0 <= part.top < part.bottom <= 1
    shown = straighten(ramp(20, 30), transform, part, 1.3)
    assert np.array_equal(shown, straighten(ramp(20, 30), transform, part, 1.3))


@pytest.mark.parametrize(
    ("transform", "part"),
    [
        (IDENTITY, WHOLE),
        ((0.5, 0, 0.5, 0, 0.5, 0), Box(0.5, 0, 1, 0.5)),
        ((3, 0, -1, 0, 3, -1), WHOLE),
        ((1, 0, 2, 0, 1, 0), None),
        ((0, 0, 0, 0, 0, 0), None),
        ((1e-3, 0, 0.5, 0, 1e-3, 0.5), None),
        ((float("nan"), 0, 0, 0, 1, 0), None),
    ],
)
def test_what_is_covered(transform: Affine, part: Box | None) -> None:
    found = covered(transform)
    assert (found is None) == (part is None)
    if found is not None and part is not None:
        sides = (found.left, found.top, found.right, found.bottom)
        assert sides == pytest.approx((part.left, part.top, part.right, part.bottom), abs=0.04)


def test_a_transform_that_cannot_be_undone_is_refused() -> None:
    with pytest.raises(ValueError, match="inverted"):
        straighten(ramp(9, 9), (0, 0, 0, 0, 0, 0), WHOLE, 1)


@given(AFFINES, AFFINES, NUMBERS, NUMBERS)
def test_one_transform_follows_the_other(first: Affine, second: Affine, x: float, y: float) -> None:
    def moved(by: Affine, point: tuple[float, float]) -> tuple[float, float]:
        a, b, c, d, e, f = by
        return a * point[0] + b * point[1] + c, d * point[0] + e * point[1] + f

    assert moved(follow(first, second), (x, y)) == pytest.approx(moved(second, moved(first, (x, y))), abs=1e-9)


def test_into_a_part() -> None:
    a, _, c, _, e, f = into(Box(0.2, 0.4, 0.7, 0.9))
    assert (0.2 * a + c, 0.4 * e + f) == pytest.approx((0, 0))
    assert (0.7 * a + c, 0.9 * e + f) == pytest.approx((1, 1))


def test_a_turned_photograph_is_upright_again() -> None:
    picture = photograph("astronaut.png", 300)
    turned = picture.rotate(90, expand=True)
    upright = straighten(np.asarray(turned), (0, -1, 1, 1, 0, 0), WHOLE, picture.width / picture.height)
    small = [
        np.asarray(picture.resize((40, 40)), np.float64),
        np.asarray(Image.fromarray(upright).resize((40, 40)), np.float64),
    ]
    assert np.abs(small[0] - small[1]).mean() < 8
