"""The view that shows a picture is the one whose cells are most like the picture's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.geometry import IDENTITY, QueryView
from lookalike.embedding.feature_map import CELLS_SHAPE, THUMBNAIL_SIDE, FeatureMap
from lookalike.verification.nearest_view import nearest_view


def feature_map(seed: int, noise: int = 0) -> bytes:
    cells = np.random.default_rng(seed).integers(-40, 41, CELLS_SHAPE)
    cells += np.random.default_rng(99).integers(-noise, noise + 1, CELLS_SHAPE)
    return FeatureMap(80, 60, cells.astype(np.int8), np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8)).pack()


def view(data: bytes, *, full: bool = True) -> QueryView:
    return QueryView(IDENTITY, data, full)


@given(seeds=st.permutations(range(5)))
def test_the_view_most_like_the_picture_is_nearest(seeds: list[int]) -> None:
    assert nearest_view([view(feature_map(seed, noise=20)) for seed in seeds], feature_map(3)) == seeds.index(3)


def test_pieces_and_views_without_a_map_are_left_out() -> None:
    views = [view(feature_map(3), full=False), view(b""), view(feature_map(1))]
    assert nearest_view(views, feature_map(3)) == 2
    assert nearest_view(views[:2], feature_map(3)) is None


def test_a_picture_without_a_map_has_none() -> None:
    assert nearest_view([view(feature_map(1))], b"no map") is None
    assert nearest_view([], feature_map(1)) is None
