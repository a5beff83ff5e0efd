"""Pixelated pictures are smoothed, others are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.verification.pixelation import smoothed_if_pixelated
from tests.support.photographs import photograph

NAMES = ("astronaut.png", "chelsea.png", "coffee.png")


@pytest.mark.parametrize("squares", [28, 48])
@pytest.mark.parametrize("name", NAMES)
def test_squares_are_smoothed_away(name: str, squares: int) -> None:
    picture = photograph(name).convert("RGB").resize((960, 720))
    small = picture.resize((squares, squares * 3 // 4), Image.Resampling.BOX)
    smoothed = smoothed_if_pixelated(np.asarray(small.resize(picture.size, Image.Resampling.NEAREST)))
    assert smoothed is not None
    assert smoothed.shape == (240, 320, 3)
    wanted = np.asarray(small.resize((320, 240), Image.Resampling.BICUBIC), np.float32)
    assert np.abs(smoothed - wanted).mean() < 12


@pytest.mark.parametrize("name", NAMES)
def test_photographs_are_not_pixelated(name: str) -> None:
    assert smoothed_if_pixelated(np.asarray(photograph(name).convert("RGB"))) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (300, 300)])
def test_flat_pictures_are_not_pixelated(size: tuple[int, int]) -> None:
    assert smoothed_if_pixelated(np.full((*size, 3), 200, np.uint8)) is None


@given(height=st.integers(1, 40), width=st.integers(1, 40), scale=st.integers(1, 30), seed=st.integers(0, 9))
def test_any_picture_stays_a_picture(height: int, width: int, scale: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    smoothed = smoothed_if_pixelated(pixels.repeat(scale, axis=0).repeat(scale, axis=1))
    assert smoothed is None or (smoothed.dtype == np.uint8 and smoothed.shape[2] == 3 and smoothed.size > 0)
