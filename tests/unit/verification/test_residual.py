"""What an original leaves of a query: a copy's is spread over all edges, another letter's lies in one place."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFilter

from lookalike.domain.geometry import IDENTITY, MAX_CONCENTRATION, Agreement
from lookalike.verification.agreement import measure_agreement
from lookalike.verification.block_search import match_blocks
from lookalike.verification.overlay import Overlay, Picture
from lookalike.verification.residual import find_residual, may_concentrate
from tests.quality.close_pairs import CLOSE
from tests.support.photographs import photograph

SMALLER: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS),
    "a third": lambda image: image.resize((image.width // 3, image.height // 3), Image.Resampling.LANCZOS),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
}


def measured(query: Image.Image, original: Image.Image) -> Agreement:
    first, second = (Picture.of(np.asarray(one)) for one in (query, original))
    agreement = measure_agreement(first, second, IDENTITY, exact=True)
    assert agreement is not None
    return agreement


@pytest.mark.parametrize("change", SMALLER)
@pytest.mark.parametrize("kind", ["name", "plate", "seat", "suit", "pip", "deck", "sign"])
def test_a_sister_that_differs_in_one_thing_does_not_agree_though_it_is_asked_smaller(kind: str, change: str) -> None:
    pair = CLOSE[kind](Random(f"13 {kind} 0"))
    other = measured(SMALLER[change](pair.other), pair.picture)
    assert not other.structure_agrees
    assert other.regions


@pytest.mark.parametrize("change", ["half", "a third"])
@pytest.mark.parametrize("kind", CLOSE)
def test_a_copy_of_theirs_agrees(kind: str, change: str) -> None:
    picture = CLOSE[kind](Random(f"13 {kind} 0")).picture
    assert measured(SMALLER[change](picture), picture).agrees


@pytest.mark.parametrize("change", SMALLER)
@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg"])
def test_what_a_photograph_loses_is_spread(name: str, change: str) -> None:
    original = photograph(name, 480)
    assert measured(SMALLER[change](original), original).concentration < MAX_CONCENTRATION / 2


def test_what_lies_in_one_place_is_found_there() -> None:
    pixels = np.asarray(photograph("chelsea.png", 320).convert("L"), np.float32)
    query = pixels.copy()
    query[64:76, 128:140] = 255 - query[64:76, 128:140]
    residual = find_residual(Overlay(pixels, query, np.ones(pixels.shape, bool)))
    row, column = divmod(int(np.argmax(residual.ratios)), residual.ratios.shape[1])
    assert residual.concentration > MAX_CONCENTRATION
    assert 64 <= 4 * row + 4 <= 76
    assert 128 <= 4 * column + 4 <= 140


def test_a_map_of_contrast_and_a_blur_are_explained() -> None:
    image = photograph("coffee.png", 320).convert("L")
    pixels = np.asarray(image, np.float32)
    query = np.asarray(image.filter(ImageFilter.GaussianBlur(0.5)), np.float32) * 0.6 + 40
    assert find_residual(Overlay(pixels, query, np.ones(pixels.shape, bool))).concentration < 1


def test_a_picture_explains_itself() -> None:
    pixels = np.asarray(photograph("coffee.png", 200).convert("L"), np.float32)
    overlay = Overlay(pixels, pixels, np.ones(pixels.shape, bool))
    assert find_residual(overlay).concentration == 0
    assert not may_concentrate(match_blocks(overlay, 16, 1))


sides = st.sampled_from([(56, 56), (57, 130), (312, 56)])


@given(
    sides.flatmap(lambda shape: st.tuples(*2 * [arrays(np.uint8, shape, elements=st.sampled_from([0, 90, 255]))])),
    st.integers(0, 60),
)
def test_any_two_pictures_give_a_finite_residual_and_the_same_again(
    pictures: tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], ...], hidden: int
) -> None:
    original, query = (one.astype(np.float32) for one in pictures)
    covered = np.ones(original.shape, bool)
    covered[:, :hidden] = False
    overlay = Overlay(original, query, covered)
    first, again = find_residual(overlay), find_residual(overlay)
    assert np.isfinite(first.ratios).all()
    assert first.concentration == again.concentration >= 0
    assert not first.ratios[:, : max(0, hidden // 4 - 1)].any()
