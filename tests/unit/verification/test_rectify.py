"""Rectification undoes a transform."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.geometry import WHOLE, Affine, Box
from lookalike.domain.picture import Pixels
from lookalike.verification.affine import compose
from lookalike.verification.rectify import RECTIFIED_SIDE, covered_region, warp_region
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
    ("transform", "region"),
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
def test_the_region_of_the_candidate_is_shown(transform: Affine, region: Box, size: tuple[int, int]) -> None:
    shown = warp_region(Image.fromarray(ramp(*size)), transform, region, 1.5)
    height, width = shown.shape[:2]
    for x, y in ((0.3, 0.3), (0.5, 0.5), (0.3, 0.7), (0.7, 0.5)):
        red, green = shown[int(y * height), int(x * width), :2] / 255
        there = compose((1, 0, float(red), 0, 1, float(green)), transform)  # moves (0, 0) to where that pixel belongs
        expected = region.left + x * (region.right - region.left), region.top + y * (region.bottom - region.top)
        assert (there[2], there[5]) == pytest.approx(expected, abs=0.05)


def test_where_the_query_shows_nothing_it_is_black() -> None:
    shown = warp_region(Image.new("RGB", (50, 50), "white"), (0.5, 0, 0, 0, 0.5, 0), WHOLE, 1)
    assert shown[RECTIFIED_SIDE // 4, RECTIFIED_SIDE // 4].tolist() == [255, 255, 255]
    assert shown[3 * RECTIFIED_SIDE // 4, 3 * RECTIFIED_SIDE // 4].tolist() == [0, 0, 0]


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 3)])
@pytest.mark.parametrize("aspect_ratio", [0.001, 1, 5000])
def test_pictures_and_aspect_ratios_of_any_size(size: tuple[int, int], aspect_ratio: float) -> None:
    shown = warp_region(Image.new("RGB", size), IDENTITY, WHOLE, aspect_ratio)
    assert RECTIFIED_SIDE / 2 <= min(shown.shape[:2]) <= max(shown.shape[:2]) <= RECTIFIED_SIDE * 2


@given(AFFINES)
def test_the_covered_region_lies_in_the_picture_and_can_be_warped(transform: Affine) -> None:
    region = covered_region(transform)
    if region is None:
        return
    assert 0 <= region.left < region.right <= 1
    assert 0 <= region.top < region.bottom <= 1
    image = Image.fromarray(ramp(20, 30))
    shown = warp_region(image, transform, region, 1.3)
    assert np.array_equal(shown, warp_region(image, transform, region, 1.3))


@pytest.mark.parametrize(
    ("transform", "region"),
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
def test_the_covered_region(transform: Affine, region: Box | None) -> None:
    found = covered_region(transform)
    assert (found is None) == (region is None)
    if found is not None and region is not None:
        sides = (found.left, found.top, found.right, found.bottom)
        assert sides == pytest.approx((region.left, region.top, region.right, region.bottom), abs=0.04)


def test_a_singular_transform_is_refused() -> None:
    with pytest.raises(ValueError, match="inverted"):
        warp_region(Image.fromarray(ramp(9, 9)), (0, 0, 0, 0, 0, 0), WHOLE, 1)


def test_a_turned_photograph_is_upright_again() -> None:
    picture = photograph("astronaut.png", 300)
    turned = picture.rotate(90, expand=True)
    upright = warp_region(turned, (0, -1, 1, 1, 0, 0), WHOLE, picture.width / picture.height)
    small = [
        np.asarray(picture.resize((40, 40)), np.float64),
        np.asarray(Image.fromarray(upright).resize((40, 40)), np.float64),
    ]
    assert np.abs(small[0] - small[1]).mean() < 8
