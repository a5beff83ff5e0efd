"""Small pieces of pictures are found among other pictures, and nothing is found where no picture stands out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import IDENTITY, Box
from lookalike.embedding.feature_map import CELLS_SHAPE, THUMBNAIL_SIDE, FeatureMap, thumbnail
from lookalike.verification.affine import crop_transform
from lookalike.verification.matching import ViewFeatures
from lookalike.verification.pieces import find_piece
from tests.support.photographs import photograph

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "china.jpg", "flower.jpg")

#: Fractions of a picture that a place may lie off: a pixel of a small thumbnail.
NEAR = 0.05


def map_of(image: Image.Image) -> FeatureMap:
    """A feature map without features."""
    squared = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BOX))
    return FeatureMap(*image.size, np.zeros(CELLS_SHAPE, np.int8), thumbnail(squared))


def view_of(image: Image.Image, *, full: bool = True) -> ViewFeatures:
    return ViewFeatures.of(IDENTITY, full, map_of(image))


def piece(name: str, box: Box) -> Image.Image:
    image = photograph(name)
    width, height = image.size
    left, top, right, bottom = box.left * width, box.top * height, box.right * width, box.bottom * height
    return image.crop((round(left), round(top), round(right), round(bottom)))


LIBRARY = [map_of(photograph(name)) for name in NAMES]


@pytest.mark.parametrize("box", [Box(0.3, 0.1, 0.63, 0.4), Box(0.35, 0.3, 0.85, 0.7), Box(0.3, 0.2, 0.6, 0.6)])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_piece_of_a_tenth_or_a_fifth_is_found_where_it_was_cut(number: int, box: Box) -> None:
    found = find_piece([view_of(piece(NAMES[number], box))], LIBRARY)
    assert list(found) == [number]
    a, _, c, _, e, f = found[number].transform
    assert (c, f, a + c, e + f) == pytest.approx((box.left, box.top, box.right, box.bottom), abs=NEAR)
    assert found[number].probability == 0


def test_a_view_of_a_part_of_the_query_is_none() -> None:
    assert find_piece([view_of(piece(NAMES[0], Box(0.3, 0.1, 0.63, 0.4)), full=False)], LIBRARY) == {}


def test_the_place_is_the_whole_query_s() -> None:
    box = Box(0.3, 0.1, 0.63, 0.4)
    half = Box(0.0, 0.0, 0.5, 1.0)
    view = ViewFeatures.of(crop_transform(half), True, map_of(piece(NAMES[0], box)))
    (found,) = find_piece([view], LIBRARY).values()
    a, _, c, *_ = found.transform
    assert (c, a / 2 + c) == pytest.approx((box.left, box.right), abs=NEAR)


def test_nothing_stands_out_among_copies_or_where_the_picture_is_not() -> None:
    view = view_of(piece(NAMES[0], Box(0.3, 0.1, 0.63, 0.4)))
    assert find_piece([view], [*LIBRARY, LIBRARY[0]]) == {}
    assert find_piece([view], LIBRARY[1:]) == {}
    assert find_piece([view], []) == {}
    assert find_piece([], LIBRARY) == {}


THUMBNAILS = arrays(
    np.uint8, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), elements=st.sampled_from([0, 1, 127, 255]), fill=st.just(255)
)


@given(
    query=THUMBNAILS,
    others=st.lists(THUMBNAILS, max_size=3),
    size=st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
)
def test_any_pictures_give_one_finite_place_at_most(
    query: NDArray[np.uint8], others: list[NDArray[np.uint8]], size: tuple[int, int]
) -> None:
    cells = np.zeros(CELLS_SHAPE, np.int8)
    views = [ViewFeatures.of(IDENTITY, True, FeatureMap(*size, cells, query))]
    candidates = [FeatureMap(*size[::-1], cells, other) for other in others]
    found = find_piece(views, candidates)
    assert found == find_piece(views, candidates)
    assert len(found) <= 1
    for match in found.values():
        assert all(map(math.isfinite, (*match.transform, match.correlation)))
        a, _, c, _, e, f = match.transform
        assert -1e-9 <= c < a + c <= 1 + 1e-9
        assert -1e-9 <= f < e + f <= 1 + 1e-9


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_flat_queries_are_pieces_of_nothing(grey: int) -> None:
    assert find_piece([view_of(Image.new("RGB", (80, 60), (grey, grey, grey)))], LIBRARY) == {}
