"""In which orientations a query is looked at: those in which it may be a piece of a candidate, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import IDENTITY
from lookalike.embedding.feature_map import CELLS_SHAPE, THUMBNAIL_SIDE, FeatureMap, thumbnail
from lookalike.verification.keypoints import ORIENTATIONS, TURNED, KeypointViews
from lookalike.verification.matching import ViewFeatures
from lookalike.verification.overlay import Picture
from lookalike.verification.turned import promising_orientations
from tests.support.photographs import photograph

NAMES = ("astronaut.png", "chelsea.png", "coffee.png")


def map_of(image: Image.Image) -> FeatureMap:
    """A feature map without features."""
    squared = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BOX))
    return FeatureMap(*image.size, np.zeros(CELLS_SHAPE, np.int8), thumbnail(squared))


def view_of(image: Image.Image, *, full: bool = True) -> ViewFeatures:
    return ViewFeatures.of(IDENTITY, full, map_of(image))


def crop(name: str) -> Image.Image:
    image = photograph(name)
    width, height = image.size
    return image.crop((round(0.2 * width), round(0.3 * height), round(0.75 * width), round(0.85 * height)))


@pytest.mark.parametrize("number", TURNED)
@pytest.mark.parametrize("name", NAMES)
def test_a_turned_crop_is_looked_at_as_it_was_cut(name: str, number: int) -> None:
    """The view of that number shows the crop upright, if the query is the crop turned the other way."""
    mirrored, quarters = ORIENTATIONS[number - 1]
    upright = np.asarray(crop(name).convert("RGB"))
    turned = np.rot90(upright, -quarters)
    query = Image.fromarray(np.ascontiguousarray(turned[:, ::-1] if mirrored else turned))
    assert number in promising_orientations([view_of(query)], [map_of(photograph(one)) for one in NAMES])
    view = KeypointViews(Picture.of(np.asarray(query))).view(number)
    assert view is not None
    assert (view.pixels.shape[0] > view.pixels.shape[1]) == (upright.shape[0] > upright.shape[1])


def test_an_upright_crop_of_another_picture_is_looked_at_in_no_orientation() -> None:
    assert promising_orientations([view_of(crop("chelsea.png"))], [map_of(photograph("coffee.png"))]) == []


def test_where_no_view_shows_the_whole_query_all_orientations_are_looked_at() -> None:
    assert promising_orientations([view_of(crop(NAMES[0]), full=False)], []) == list(TURNED)
    assert promising_orientations([], [map_of(photograph(NAMES[0]))]) == list(TURNED)


def test_without_a_candidate_none_is_promising() -> None:
    assert promising_orientations([view_of(crop(NAMES[0]))], []) == []


thumbnails = arrays(np.uint8, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), elements=st.sampled_from([0, 1, 128, 255]))


@given(query=thumbnails, candidate=thumbnails, width=st.integers(1, 3000), height=st.integers(1, 3000))
def test_any_pictures_have_some_orientations_and_always_the_same(
    query: NDArray[np.uint8], candidate: NDArray[np.uint8], width: int, height: int
) -> None:
    cells = np.zeros(CELLS_SHAPE, np.int8)
    views = [ViewFeatures.of(IDENTITY, True, FeatureMap(width, height, cells, query))]
    pictures = [FeatureMap(400, 300, cells, candidate), FeatureMap(height, width, cells, query)]
    found = promising_orientations(views, pictures)
    assert found == promising_orientations(views, pictures)
    assert set(found) <= set(TURNED)
