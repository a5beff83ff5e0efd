"""Local maps come back as they were stored, and nothing else is one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.embedding.feature_map import CELLS_SHAPE, THUMBNAIL_SIDE, FeatureMap, thumbnail, unpack

CHANCE = np.random.default_rng(1)
CELLS_OF_ONE = CHANCE.integers(-128, 128, CELLS_SHAPE, np.int8)
GREYS_OF_ONE = CHANCE.integers(0, 256, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8)


def made(width: int = 640, height: int = 480) -> FeatureMap:
    return FeatureMap(width, height, CELLS_OF_ONE, GREYS_OF_ONE)


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_it_comes_back(width: int, height: int) -> None:
    back = unpack(made(width, height).pack())
    assert back is not None
    assert (back.width, back.height) == (min(width, 65535), min(height, 65535))
    assert np.array_equal(back.cells, CELLS_OF_ONE)
    assert np.array_equal(back.thumbnail, GREYS_OF_ONE)


@pytest.mark.parametrize("data", [b"", b"x", made().pack()[:-1], made().pack() + b"x", CELLS_OF_ONE.tobytes()])
def test_other_bytes_are_none(data: bytes) -> None:
    assert unpack(data) is None


@pytest.mark.parametrize(
    ("width", "height", "sqrt_aspect_ratio"),
    [(100, 100, 1), (400, 100, 2), (100, 225, 1 / 1.5), (5000, 1, 2), (1, 5000, 0.5)],
)
def test_the_stretch_gives_the_square_its_proportions_again_within_bounds(
    width: int, height: int, sqrt_aspect_ratio: float
) -> None:
    assert made(width, height).sqrt_aspect_ratio == pytest.approx(sqrt_aspect_ratio)


def test_the_thumbnail_is_the_square_in_grey() -> None:
    square = np.zeros((224, 224, 3), np.uint8)
    square[:112] = 255
    grey = thumbnail(square)
    assert grey.shape == (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    assert (grey[: THUMBNAIL_SIDE // 2] == 255).all()
    assert (grey[THUMBNAIL_SIDE // 2 :] == 0).all()
