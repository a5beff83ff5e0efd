"""Crops of a query, and its corners."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.geometry import Box
from lookalike.domain.picture import Pixels
from lookalike.embedding.query_crops import CORNER_BOXES, crop

SIDES = st.integers(1, 60)


def numbered(height: int, width: int) -> Pixels:
    """A picture in which every pixel says where it is."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows * 0], axis=2).astype(np.uint8)


@given(SIDES, SIDES)
def test_the_corners_are_three_fifths_of_each_side(height: int, width: int) -> None:
    corners = [crop(numbered(height, width), box) for box in CORNER_BOXES]
    assert {corner.shape for corner in corners} == {(-(-height * 60 // 100), -(-width * 60 // 100), 3)}
    outermost = [
        tuple(corner[y, x, :2]) for corner, (y, x) in zip(corners, [(0, 0), (0, -1), (-1, 0), (-1, -1)], strict=True)
    ]
    assert outermost == [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)]


@given(SIDES, SIDES)
def test_the_corners_together_show_every_pixel(height: int, width: int) -> None:
    seen = {(int(y), int(x)) for box in CORNER_BOXES for y, x, _ in crop(numbered(height, width), box).reshape(-1, 3)}
    assert len(seen) == height * width


@given(SIDES, SIDES, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_a_crop_has_a_pixel_at_least(height: int, width: int, sides: list[float]) -> None:
    left, right, top, bottom = *sorted(sides[:2]), *sorted(sides[2:])
    part = crop(numbered(height, width), Box(left, top, right, bottom))
    assert part.shape[0] >= 1
    assert part.shape[1] >= 1
