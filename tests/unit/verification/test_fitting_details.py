"""Details of a crop fit where it was cut, and those of other pictures nowhere; whatever is shown, there is an answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import WHOLE, Affine, GeometricMatch
from lookalike.verification.fitting_details import details_fit
from tests.support.photographs import photograph

BOXES = ((0.3, 0.1, 0.63, 0.4), (0.35, 0.3, 0.85, 0.7), (0.1, 0.05, 0.9, 0.85))


def placed(transform: Affine) -> GeometricMatch:
    return GeometricMatch(0.0, 0, 0.8, transform, WHOLE)


def transform_of(left: float, top: float, right: float, bottom: float) -> Affine:
    return (right - left, 0.0, left, 0.0, bottom - top, top)


def grey(name: str) -> Image.Image:
    return photograph(name).convert("L")


def crop(name: str, box: tuple[float, float, float, float]) -> Image.Image:
    image = grey(name)
    return image.crop(tuple(round(of * side) for of, side in zip(box, image.size * 2, strict=True)))  # type: ignore[arg-type]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "coffee.png"])
@pytest.mark.parametrize("off", [0.0, 0.02, -0.02])
def test_a_crop_fits_where_it_was_cut_or_nearly(name: str, box: tuple[float, float, float, float], off: float) -> None:
    left, top, right, bottom = box
    near = transform_of(left + off, top - off, right + off, bottom - off)
    assert details_fit(placed(near), crop(name, box), grey(name))


@pytest.mark.parametrize("box", BOXES)
def test_a_crop_of_another_picture_does_not_fit(box: tuple[float, float, float, float]) -> None:
    assert not details_fit(placed(transform_of(*box)), crop("chelsea.png", box), grey("coffee.png"))


def test_a_crop_of_another_place_does_not_fit() -> None:
    assert not details_fit(placed(transform_of(*BOXES[1])), crop("astronaut.png", BOXES[0]), grey("astronaut.png"))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_fits_nowhere(level: int) -> None:
    blank = Image.new("L", (200, 150), level)
    assert not details_fit(placed(transform_of(*BOXES[0])), blank, blank)


pictures = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=70), elements=st.sampled_from([0, 1, 128, 255])
)


@given(
    query=pictures,
    original=pictures,
    left=st.floats(0, 0.9),
    top=st.floats(0, 0.9),
    across=st.floats(0.1, 1),
    down=st.floats(0.1, 1),
)
def test_any_pictures_fit_or_do_not_and_always_the_same(
    query: NDArray[np.uint8], original: NDArray[np.uint8], left: float, top: float, across: float, down: float
) -> None:
    place = placed((min(across, 1 - left), 0.0, left, 0.0, min(down, 1 - top), top))
    images = Image.fromarray(query), Image.fromarray(original)
    assert details_fit(place, *images) == details_fit(place, *images)
