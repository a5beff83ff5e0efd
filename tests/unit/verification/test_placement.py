"""Where a query lies within candidates: crops of pages are placed to the pixel, and whatever is shown, nothing breaks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lookalike.domain.geometry import IDENTITY, QueryView
from lookalike.embedding.feature_map import CELLS_SHAPE, THUMBNAIL_SIDE, FeatureMap, thumbnail
from lookalike.verification.match_score import NEVER_MATCHES
from lookalike.verification.matching import ViewFeatures
from lookalike.verification.placement import (
    MAX_BEHIND,
    MAX_PLACED,
    MIN_CORRELATION,
    Placement,
    best_places,
    likeliest,
    place,
)
from lookalike.verification.verifier import MIN_PLACED_COSINE, FeatureMapVerifier

SIDE = 224


def page(seed: int) -> Image.Image:
    """A letter of one layout: head and frame are common, lines of words are not."""
    chance = np.random.default_rng(seed)
    image = Image.new("RGB", (480, 640), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 20, 460, 90), fill=(20, 60, 120))
    for line in range(24):
        width = float(chance.uniform(60, 420))
        draw.rectangle((30, 110 + 21 * line, 30 + width, 121 + 21 * line), fill=(40, 40, 40))
    return image


def map_of(image: Image.Image) -> FeatureMap:
    """A feature map without features."""
    squared = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))
    return FeatureMap(*image.size, np.zeros(CELLS_SHAPE, np.int8), thumbnail(squared))


def view_of(image: Image.Image) -> ViewFeatures:
    return ViewFeatures.of(IDENTITY, True, map_of(image))


@pytest.mark.parametrize(("left", "top"), [(0, 0), (96, 128), (40, 70)])
@pytest.mark.parametrize("share", [0.8, 0.6])
def test_a_crop_is_placed_where_it_was_cut(share: float, left: int, top: int) -> None:
    width, height = round(480 * share), round(640 * share)
    crop = page(1).crop((left, top, left + width, top + height))
    placements = best_places(view_of(crop), [map_of(page(seed)) for seed in range(5)])
    assert likeliest(placements)[0] == 1
    found = placements[1]
    assert found is not None
    assert found.transform == pytest.approx((share, 0, left / 480, 0, share, top / 640), abs=2 / THUMBNAIL_SIDE)


def test_a_wide_crop_of_a_high_page_keeps_its_proportions() -> None:
    crop = page(2).crop((0, 300, 480, 600))
    (found,) = best_places(view_of(crop), [map_of(page(2))])
    assert found is not None
    across, down = found.transform[0], found.transform[4]
    assert across * 480 / (down * 640) == pytest.approx(480 / 300, rel=0.1)


def test_full_views_are_placed_the_likeliest_candidate_first() -> None:
    crop, pages = page(1).crop((40, 70, 424, 582)), [map_of(page(seed)) for seed in range(5)]
    piece = ViewFeatures.of(IDENTITY, False, map_of(crop))
    assert place([piece], pages) == {}
    found = place([piece, view_of(crop)], pages)
    assert next(iter(found)) == 1
    assert found[1].probability == 0
    assert found[1].transform[0] == pytest.approx(0.8, abs=2 / THUMBNAIL_SIDE)


def test_a_query_is_placed_on_near_candidates_alone() -> None:
    crop, packed = page(1).crop((40, 70, 424, 582)), map_of(page(1)).pack()
    query = FeatureMapVerifier(NEVER_MATCHES).query(np.asarray(crop), [QueryView(IDENTITY, map_of(crop).pack(), True)])
    found = query.place([(MIN_PLACED_COSINE - 0.01, packed), (0.9, b"no map"), (MIN_PLACED_COSINE, packed)])
    assert list(found) == [2]
    assert query.place([]) == {}


def test_what_has_too_different_proportions_is_nowhere() -> None:
    strip, column = Image.new("RGB", (640, 160)), Image.new("RGB", (160, 640))
    assert best_places(view_of(strip), [map_of(column), map_of(strip)])[0] is None
    assert best_places(view_of(strip), []) == []


thumbnails = arrays(np.uint8, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), elements=st.sampled_from([0, 1, 128, 255]))


@given(query=thumbnails, candidate=thumbnails, width=st.integers(1, 2000), height=st.integers(1, 2000))
def test_any_pictures_have_a_finite_place_within_the_candidate(
    query: NDArray[np.uint8], candidate: NDArray[np.uint8], width: int, height: int
) -> None:
    cells = np.zeros(CELLS_SHAPE, np.int8)
    view = ViewFeatures.of(IDENTITY, True, FeatureMap(width, height, cells, query))
    pictures = [FeatureMap(400, 300, cells, candidate), FeatureMap(300, 400, cells, query)]
    placements = best_places(view, pictures)
    assert placements == best_places(view, pictures)
    for found in placements:
        if found is not None:
            assert math.isfinite(found.correlation)
            assert -1.001 <= found.correlation <= 1.001
            a, b, c, d, e, f = found.transform
            assert b == d == 0
            assert 0 <= c <= c + a <= 1 + 1e-9
            assert 0 <= f <= f + e <= 1 + 1e-9


correlations = st.lists(st.none() | st.floats(-1, 1), max_size=12)


@given(correlations)
def test_few_are_likely_and_the_best_comes_first(some: list[float | None]) -> None:
    placements = [None if one is None else Placement(one, IDENTITY) for one in some]
    numbers = likeliest(placements)
    found = [one for number in numbers if (one := some[number]) is not None]
    assert len(found) == len(numbers) <= MAX_PLACED
    assert found == sorted(found, reverse=True)
    assert all(one >= max(MIN_CORRELATION, found[0] - MAX_BEHIND) for one in found)
    best = max((one for one in some if one is not None), default=-1.0)
    assert (best >= MIN_CORRELATION) == bool(found)
    assert not found or found[0] == best
