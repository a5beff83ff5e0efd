"""Nearly flat pictures are told by their edges and fields; what says nothing is no layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lookalike.embedding.feature_map import THUMBNAIL_SIDE
from lookalike.verification.blocks import Image
from lookalike.verification.layout import same_layout

SHAPE = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
ROWS, COLUMNS = np.mgrid[:THUMBNAIL_SIDE, :THUMBNAIL_SIDE].astype(np.float32)


def flag(*greys: float) -> Image:
    """Fields beside each other, all of one width."""
    return np.asarray(np.array(greys, np.float32)[(COLUMNS * len(greys) // THUMBNAIL_SIDE).astype(int)], np.float32)


def page(line: int) -> Image:
    """A white page with two lines of text."""
    written = (np.abs(ROWS - line) < 1) & (COLUMNS > 6) & (40 + line > COLUMNS)
    return np.where(written, np.float32(190), np.float32(252))


def noisy(pixels: Image, deviation: float = 0.7) -> Image:
    noise = np.random.default_rng(1).normal(0, deviation, SHAPE)
    return np.asarray((pixels + noise).round().clip(0, 255), np.float32)


def alike(one: Image, other: Image) -> bool:
    (found,) = same_layout(one[None], other[None]).tolist()
    return bool(found)


@pytest.mark.parametrize("picture", [flag(40, 220, 120), flag(120, 30, 120), page(12)], ids=["one", "two", "page"])
def test_a_copy_has_the_same_layout(picture: Image) -> None:
    assert alike(picture, picture)
    assert alike(noisy(picture), picture)
    assert alike(noisy(0.9 * picture + 20), picture)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (flag(40, 220, 120), flag(40, 120, 220)),
        (flag(40, 220, 120), flag(40, 220, 120).T),
        (flag(40, 220, 120), flag(40, 220, 40)),
        (flag(40, 220, 120), flag(40, 220)),
        (flag(40, 220, 120), flag(70, 200, 123)),
        (page(12), page(13)),
        (page(12), page(30)),
    ],
)
def test_other_fields_and_other_lines_are_another_layout(one: Image, other: Image) -> None:
    assert not alike(one, other)
    assert not alike(other, one)


NOTHING = {
    "flat": np.full(SHAPE, 90, np.float32),
    "gradient": 4 * COLUMNS,
    "bars": 255 * (COLUMNS // 3 % 2),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_has_no_edge_or_too_many_has_no_layout(name: str) -> None:
    assert not alike(NOTHING[name], NOTHING[name])


@given(arrays(np.uint8, (2, *SHAPE)))
def test_no_pair_depends_on_another(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    one, other = pixels.astype(np.float32)
    flags = flag(40, 220, 120)
    together = same_layout(np.stack([one, flags, other]), np.stack([other, flags, one])).tolist()
    assert together == [alike(one, other), True, alike(other, one)]


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_flags_of_any_greys_are_finite_and_like_themselves(left: int, middle: int, right: int) -> None:
    picture = flag(left, middle, right)
    edges = min(abs(left - middle), abs(middle - right))
    if edges > 10:
        assert alike(picture, picture)
    if left == middle == right:
        assert not alike(picture, picture)
