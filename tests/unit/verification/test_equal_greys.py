"""Pictures whose colours have about the same grey."""

from __future__ import annotations

import io
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from lookalike.domain.geometry import IDENTITY
from lookalike.embedding.feature_map import CELLS_SHAPE, FeatureMap, thumbnail
from lookalike.verification.agreement import measure_agreement
from lookalike.verification.equal_greys import MAX_PLACED, place_whole, telling_axis
from lookalike.verification.matching import ViewFeatures
from lookalike.verification.overlay import Picture

#: Colours of a grey of 110.
RED, GREEN, BLUE = (235, 63, 28), (20, 162, 80), (60, 97, 240)


def shapes(seed: int, size: tuple[int, int] = (480, 360)) -> Image.Image:
    """Discs and bars in three colours of one grey."""
    chance = Random(seed)
    picture = Image.new("RGB", size, GREEN)
    pen = ImageDraw.Draw(picture)
    for number in range(14):
        x, y, side = chance.randint(0, size[0]), chance.randint(0, size[1]), chance.randint(20, 70)
        draw = pen.ellipse if number % 2 else pen.rectangle
        draw((x - side, y - side, x + side, y + side // 2), fill=(RED, BLUE)[number % 2])
    return picture


def saved(picture: Image.Image, quality: int) -> Picture:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Picture.in_colour(Image.open(file).convert("RGB"))


def feature_map(picture: Image.Image) -> FeatureMap:
    squared = np.asarray(picture.resize((224, 224), Image.Resampling.BOX))
    return FeatureMap(*picture.size, np.zeros(CELLS_SHAPE, np.int8), thumbnail(squared))


def view(picture: Image.Image) -> ViewFeatures:
    return ViewFeatures.of(IDENTITY, True, feature_map(picture))


def test_colours_of_one_grey_tell_along_their_principal_axis() -> None:
    picture = Picture.in_colour(shapes(1))
    assert np.asarray(picture.grey).std() < 4
    assert np.asarray(picture.along(telling_axis(picture)).grey).std() > 30


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_a_copy_agrees_along_it_and_another_does_not(quality: int) -> None:
    original = Picture.in_colour(shapes(1))
    axis = telling_axis(original)
    copy, other = (saved(shapes(seed), quality).along(axis) for seed in (1, 2))
    agreed, disagreed = (measure_agreement(one, original.along(axis), IDENTITY, exact=True) for one in (copy, other))
    assert agreed is not None
    assert agreed.proves
    assert disagreed is None or not disagreed.proves


def test_what_shows_in_grey_keeps_its_greys() -> None:
    ramp = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[:, None, None], 3, axis=2).repeat(60, axis=1)
    picture = Picture.of(ramp)
    assert telling_axis(picture) is None
    assert picture.along(None) is picture


@given(st.tuples(*[st.integers(0, 255)] * 3), st.integers(1, 40), st.integers(1, 40))
def test_a_plain_picture_has_no_axis(colour: tuple[int, int, int], width: int, height: int) -> None:
    assert telling_axis(Picture.in_colour(Image.new("RGB", (width, height), colour))) is None


def test_the_whole_query_is_laid_on_what_is_as_flat_and_as_bright() -> None:
    asked = view(shapes(1))
    bright = Image.new("RGB", (480, 360), "white")
    textured = Image.fromarray(np.random.default_rng(1).integers(0, 255, (360, 480, 3), np.uint8).repeat(1, axis=0))
    textured = textured.resize((48, 36), Image.Resampling.NEAREST).resize((480, 360), Image.Resampling.NEAREST)
    tall = shapes(1, (360, 480))
    candidates = [bright, textured, tall, shapes(2), shapes(1)]
    placed = place_whole([asked], [feature_map(one) for one in candidates])
    assert {number: match.transform for number, match in placed.items()} == {3: IDENTITY, 4: IDENTITY}
    assert all(match.probability == 0 for match in placed.values())


def test_a_few_of_the_nearest_are_looked_at() -> None:
    placed = place_whole([view(shapes(1))], [feature_map(shapes(seed)) for seed in range(8)])
    assert list(placed) == list(range(MAX_PLACED))


def test_no_query_is_placed_that_shows_something() -> None:
    photograph = Image.linear_gradient("L").convert("RGB")
    assert place_whole([view(photograph)], [feature_map(photograph)]) == {}


@pytest.mark.parametrize(("width", "height"), list(product((1, 2, 300), (1, 2, 300))))
def test_tiny_and_narrow_pictures_are_taken(width: int, height: int) -> None:
    noise = np.random.default_rng(2).integers(0, 255, (height, width, 3), np.uint8)
    axis = telling_axis(Picture.of(noise))
    assert axis is None or np.isfinite(axis).all()
