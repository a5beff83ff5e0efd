"""The crops of a query that are embedded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.geometry import Box
from lookalike.domain.library import Kind
from lookalike.domain.picture import Pixels
from lookalike.embedding.query_crops import CROP_BOXES, crop, query_crops

SIDES = st.integers(1, 60)


def numbered(height: int, width: int) -> Pixels:
    """A picture in which every pixel says where it is."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows * 0], axis=2).astype(np.uint8)


@pytest.mark.parametrize("kind", [Kind.SIMILAR, Kind.PRODUCT])
def test_other_kinds_look_at_the_whole_picture_alone(kind: Kind) -> None:
    (view,) = query_crops(kind, numbered(20, 30))
    assert np.array_equal(view, numbered(20, 30))


@given(SIDES, SIDES)
def test_same_looks_at_the_whole_and_at_its_four_corners(height: int, width: int) -> None:
    whole, *corners = query_crops(Kind.SAME, numbered(height, width))
    assert np.array_equal(whole, numbered(height, width))
    assert {view.shape for view in corners} == {(-(-height * 60 // 100), -(-width * 60 // 100), 3)}
    outermost = [
        tuple(corner[y, x, :2]) for corner, (y, x) in zip(corners, [(0, 0), (0, -1), (-1, 0), (-1, -1)], strict=True)
    ]
    assert outermost == [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)]


@given(SIDES, SIDES)
def test_the_corners_together_show_every_pixel(height: int, width: int) -> None:
    seen = {
        (int(y), int(x))
        for view in query_crops(Kind.SAME, numbered(height, width))[1:]
        for y, x, _ in view.reshape(-1, 3)
    }
    assert len(seen) == height * width


@given(SIDES, SIDES)
def test_corner_boxes_cut_what_the_corner_crops_show(height: int, width: int) -> None:
    pixels = numbered(height, width)
    for box, corner in zip(CROP_BOXES, query_crops(Kind.SAME, pixels), strict=True):
        assert np.array_equal(crop(pixels, box), corner)


@given(SIDES, SIDES, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_a_crop_has_a_pixel_at_least(height: int, width: int, sides: list[float]) -> None:
    left, right, top, bottom = *sorted(sides[:2]), *sorted(sides[2:])
    part = crop(numbered(height, width), Box(left, top, right, bottom))
    assert part.shape[0] >= 1
    assert part.shape[1] >= 1
