"""Thumbnails that are alike pixel by pixel, and nothing else, count as one picture without texture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.embedding.feature_map import THUMBNAIL_SIDE, thumbnail
from lookalike.embedding.preprocess import square
from lookalike.verification import blocks
from lookalike.verification.same_pixels import MAX_PIXEL_DIFFERENCE, pixel_correlations
from tests.support.examples import examples


def gradient(slope: float, seed: int = 0) -> Image.Image:
    """A field that grows lighter to the lower right, with a soft spot."""
    y, x = np.mgrid[:480, :640] / 640
    place = np.random.default_rng(seed).uniform(0.3, 0.7, 2)
    spot = 60 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 0.02)
    return Image.fromarray((40 + slope * (x + y) + spot).clip(0, 255).astype(np.uint8)).convert("RGB")


def recompressed(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


def small(picture: Image.Image) -> blocks.Image:
    return thumbnail(square(np.asarray(picture), 224)).astype(np.float32)[None]


@pytest.mark.parametrize("quality", [40, 60, 85])
def test_a_gradient_that_was_compressed_once_more_is_the_same(quality: int) -> None:
    picture = gradient(80)
    assert pixel_correlations(small(recompressed(picture, quality)), small(picture))[0] > 0.99


@pytest.mark.parametrize(
    "other",
    [gradient(80, seed=1), gradient(70), gradient(-80), gradient(80).rotate(180)],
    ids=["another place", "another slope", "darker", "turned"],
)
def test_another_gradient_is_not(other: Image.Image) -> None:
    assert pixel_correlations(small(other), small(gradient(80))).tolist() == [0]


def test_blank_pictures_and_plain_gradients_are_not_the_same() -> None:
    for picture in (Image.new("RGB", (300, 200), "white"), Image.linear_gradient("L").convert("RGB")):
        assert pixel_correlations(small(picture), small(picture)).tolist() == [0]


def test_a_small_thing_on_one_of_both_makes_them_different() -> None:
    theirs = small(gradient(80))
    ours = theirs.copy()
    ours[0, 20, 20] += MAX_PIXEL_DIFFERENCE + 1
    assert pixel_correlations(ours, theirs).tolist() == [0]


@settings(max_examples=examples(60))
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([0, 1, 2, 30]))
def test_correlations_are_bounded_symmetric_and_each_pairs_own(seed: int, count: int, noise: int) -> None:
    chance = np.random.default_rng(seed)
    ours = chance.integers(0, 256, (count, THUMBNAIL_SIDE, THUMBNAIL_SIDE)).astype(np.float32)
    theirs = ours + chance.integers(-noise, noise + 1, ours.shape).astype(np.float32)
    found = pixel_correlations(ours, theirs)
    assert ((found >= 0) & (found <= 1 + 1e-5)).all()
    assert found == pytest.approx(pixel_correlations(theirs, ours), abs=1e-5)
    assert found.tolist() == [
        float(pixel_correlations(one, other)[0]) for one, other in zip(ours[:, None], theirs[:, None], strict=True)
    ]
