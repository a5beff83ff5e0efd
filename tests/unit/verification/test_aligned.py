"""A query correlates with the region of an original that it shows, and with nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from lookalike.domain.geometry import IDENTITY, WHOLE, Affine, Box
from lookalike.verification.aligned import AlignedCorrelation, correlate_aligned
from lookalike.verification.rectify import covered_region
from tests.support.examples import examples
from tests.support.photographs import photograph


def grey(picture: Image.Image) -> Image.Image:
    return picture.convert("L")


CAT = photograph("chelsea.png", 600)


def compared(query: Image.Image, transform: Affine) -> AlignedCorrelation:
    region = covered_region(transform)
    assert region is not None
    return correlate_aligned(grey(query), grey(CAT), transform, region)


def cut(left: int, top: int, right: int, bottom: int) -> tuple[Image.Image, Affine]:
    width, height = CAT.size
    box = (width * left // 100, height * top // 100, width * right // 100, height * bottom // 100)
    return CAT.crop(box), ((right - left) / 100, 0, left / 100, 0, (bottom - top) / 100, top / 100)


@pytest.mark.parametrize("part", [(0, 0, 100, 100), (20, 10, 60, 70), (40, 35, 72, 67)], ids=str)
def test_a_part_correlates_where_it_lies(part: tuple[int, int, int, int]) -> None:
    found = compared(*cut(*part))
    assert found.correlation > 0.8
    assert found.textured_correlation > 0.8
    assert found.detail_correlation > 0.7
    assert found.textured_blocks >= 20


def test_a_turned_part_is_compared_where_it_covers_the_picture() -> None:
    """Black corners of the warped query are no blocks."""
    side = min(CAT.size)
    square = CAT.crop((0, 0, side, side))
    turned = square.rotate(30, Image.Resampling.BICUBIC).crop((side // 5, side // 5, side * 4 // 5, side * 4 // 5))
    c, s = 0.6 * math.cos(math.radians(30)), 0.6 * math.sin(math.radians(30))
    transform = (c, -s, 0.5 - (c - s) / 2, s, c, 0.5 - (s + c) / 2)
    region = covered_region(transform)
    assert region is not None
    assert correlate_aligned(grey(turned), grey(square), transform, region).correlation > 0.8


def test_a_negative_correlates_negatively() -> None:
    assert compared(ImageOps.invert(CAT), IDENTITY).correlation < -0.9


@pytest.mark.parametrize("other", ["china.jpg", "coffee.png", "astronaut.png"])
def test_other_pictures_hardly_correlate(other: str) -> None:
    found = compared(photograph(other, 600), IDENTITY)
    assert abs(found.correlation) < 0.3
    assert abs(found.textured_correlation) < 0.3


def test_a_wrong_place_hardly_correlates() -> None:
    part, transform = cut(20, 20, 60, 60)
    assert abs(compared(part, (*transform[:2], 0.45, *transform[3:])).correlation) < 0.3


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (40, 40)], ids=str)
def test_flat_pictures_have_no_blocks(size: tuple[int, int]) -> None:
    flat = Image.fromarray(np.full(size, 90, np.uint8))
    assert correlate_aligned(flat, flat, IDENTITY, WHOLE) == AlignedCorrelation(0, 0.0, 0.0, 0, 0.0, 0.0)
    assert correlate_aligned(flat, grey(CAT), IDENTITY, WHOLE).correlation == pytest.approx(0, abs=0.01)


def test_a_singular_transform_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be inverted"):
        correlate_aligned(grey(CAT), grey(CAT), (0, 0, 0, 0, 0, 0), WHOLE)


@settings(max_examples=examples(60))
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 600)),
    st.tuples(st.integers(1, 600), st.integers(1, 60)),
    st.floats(0.16, 3),
    st.floats(-3, 3),
    st.integers(0, 99),
)
def test_correlations_are_finite_and_bounded(
    size: tuple[int, int], other: tuple[int, int], scale: float, angle: float, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    query, original = (Image.fromarray(chance.integers(0, 256, of, np.uint8)) for of in (size, other))
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    found = correlate_aligned(query, original, (c, -s, 0.3, s, c, 0.2), Box(0.1, 0.0, 0.9, 0.6))
    assert -1 <= found.correlation <= 1
    assert -1 <= found.textured_correlation <= 1
    assert -1 <= found.detail_correlation <= 1
    assert -1 <= found.residual_correlation <= 1
    assert 0 <= found.textured_blocks <= found.blocks
