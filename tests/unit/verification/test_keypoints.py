"""Matching keypoints gives the transform from a changed copy to its original."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.domain.geometry import Affine
from lookalike.domain.keypoints import DESCRIPTOR_CHANNELS, DESCRIPTOR_SCALE, Keypoints
from lookalike.verification.keypoints import QUERY_SIDE, TURNED_SIDE, KeypointViews, match_keypoints
from lookalike.verification.overlay import Picture
from tests.support.examples import examples
from tests.support.keypoints import described, made_up

SQUARE = (400, 400)


def moved(transform: Affine, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c, d, e, f = transform
    xy_moved: NDArray[np.float64] = xy @ np.array([[a, d], [b, e]]) + np.array([c, f])
    return xy_moved


def turned(degrees: float) -> Affine:
    """About the middle of a square."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return c, -s, (1 - c + s) / 2, s, c, (1 - s - c) / 2


#: How the points of a copy move back to the picture.
WAYS: dict[str, Affine] = {
    "nothing": (1, 0, 0, 0, 1, 0),
    "a tenth": (0.32, 0, 0.4, 0, 0.32, 0.3),
    "surrounded": (2, 0, -0.5, 0, 2, -0.6),
    "stretched": (1, 0, 0, 0, 0.7, 0.1),
    "sheared": (0.9, 0.2, 0, 0, 0.8, 0.1),
    "turned by 30 degrees": turned(30),
    "turned back by 45 degrees": turned(-45),
}


@pytest.mark.parametrize("strangers", [0, 300])
@pytest.mark.parametrize("way", WAYS)
def test_a_changed_copy_matches_its_picture(way: str, strangers: int) -> None:
    picture = made_up(300, SQUARE, 1)
    inverse = np.linalg.inv(np.array([*WAYS[way], 0, 0, 1]).reshape(3, 3))
    a, b, c, d, e, f = inverse[:2].ravel().tolist()
    xy = moved((a, b, c, d, e, f), picture.xy)
    kept = ((xy > 0) & (xy < 1)).all(axis=1)
    copy = described(xy[kept], picture.descriptors[kept], SQUARE, noise=0.6)
    other = made_up(strangers, SQUARE, 2)
    query = Keypoints(
        copy.relative_size,
        np.concatenate([other.xy, copy.xy]),
        np.concatenate([other.descriptors, copy.descriptors]),
    )
    match = match_keypoints(query, picture)
    assert match is not None
    assert match.inliers >= 0.6 * int(np.count_nonzero(kept))
    points = np.array([[0.2, 0.2], [0.8, 0.3], [0.5, 0.8]])
    assert moved(match.transform, points) == pytest.approx(moved(WAYS[way], points), abs=0.02)
    assert 0 <= match.region.left < match.region.right <= 1
    assert 0 <= match.region.top < match.region.bottom <= 1


def test_a_copy_turned_further_than_descriptors_bear_does_not_match() -> None:
    picture = made_up(300, SQUARE, 1)
    match = match_keypoints(described(moved(turned(90), picture.xy), picture.descriptors, SQUARE), picture)
    assert match is None or match.inliers < 9


def test_strangers_hardly_match() -> None:
    found = [match_keypoints(made_up(768, SQUARE, seed), made_up(768, SQUARE, seed + 100)) for seed in range(6)]
    assert all(match is None or match.inliers < 9 for match in found)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_keypoints_do_not_match(count: int) -> None:
    few, many = made_up(count, SQUARE, 1), made_up(300, SQUARE, 1)
    assert match_keypoints(few, many) is None
    assert match_keypoints(many, few) is None
    assert match_keypoints(few, few) is None


def test_keypoints_in_one_place_or_on_one_line_do_not_match() -> None:
    descriptors = made_up(60, SQUARE, 1).descriptors
    on_a_line = np.column_stack([np.linspace(0, 1, 60), np.full(60, 0.5)])
    for xy in (np.full((60, 2), 0.5), on_a_line):
        same = described(xy, descriptors, SQUARE)
        assert match_keypoints(same, same) is None


def test_equal_descriptors_are_no_match() -> None:
    """Of a pattern, every part looks like every other: only one of them is a neighbour in turn."""
    same = described(made_up(90, SQUARE, 1).xy, np.repeat(made_up(1, SQUARE, 2).descriptors, 90, axis=0), SQUARE)
    assert match_keypoints(same, same) is None


@settings(max_examples=examples(40))
@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.tuples(st.integers(1, 3000), st.integers(1, 3000)))
def test_matching_is_deterministic_and_finite(seed: int, count: int, size: tuple[int, int]) -> None:
    picture = made_up(count, size, seed)
    query = described(picture.xy * 0.5 + 0.2, picture.descriptors, (100, 200), noise=seed % 3 / 2)
    match = match_keypoints(query, picture)
    assert match == match_keypoints(query, picture)
    if match is not None:
        assert all(map(math.isfinite, match.transform))
        assert 4 <= match.inliers <= count


def test_a_query_is_viewed_in_six_orientations() -> None:
    corners = np.zeros((300, 400, 3), np.uint8)
    corners[:150, :200], corners[:150, 200:], corners[150:, :200] = 50, 100, 150
    made = KeypointViews(Picture.of(corners))
    views = [view for number in range(9) if (view := made.view(number)) is not None]
    assert np.array_equal(views[0].pixels, corners)
    assert {max(view.pixels.shape) for view in views[1:]} == {TURNED_SIDE}
    assert len({view.pixels.tobytes() for view in views}) == 6
    centres = np.array([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
    for view in views:
        height, width = view.pixels.shape[:2]
        seen = [view.pixels[int(y * height), int(x * width), 0] for x, y in moved(view.from_query, centres).tolist()]
        assert seen == [50, 100, 150, 0]


@pytest.mark.parametrize(
    ("longer", "expected"),
    [(300, 300), (2 * QUERY_SIDE - 1, 2 * QUERY_SIDE - 1), (2 * QUERY_SIDE, QUERY_SIDE), (4000, 667)],
)
def test_a_large_query_is_reduced_once(longer: int, expected: int) -> None:
    query = Picture.of(np.full((longer // 2, longer, 3), 50, np.uint8))
    made = KeypointViews(query)
    assert made.picture.grey.size == made.picture.colour.size
    assert made.picture.grey.width == expected
    assert (made.picture is query) == (expected == longer)
    view = made.view(0)
    assert view is not None
    assert view.pixels.shape[1] == expected


def test_descriptors_of_the_tests_are_unit_vectors() -> None:
    lengths = np.linalg.norm(made_up(50, SQUARE, 3).descriptors.astype(float), axis=1)
    assert made_up(50, SQUARE, 3).descriptors.shape == (50, DESCRIPTOR_CHANNELS)
    assert np.allclose(lengths, DESCRIPTOR_SCALE, rtol=0.02)
