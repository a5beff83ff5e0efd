"""Quadrilaterals are detected where pictures were pasted, and rectified to what was pasted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from lookalike.domain.picture import Pixels
from lookalike.verification.quadrilaterals import MAX_QUADRILATERALS, Quadrilateral, detect_quadrilaterals
from tests.support.examples import examples
from tests.support.photographs import photograph

Corners = list[tuple[float, float]]

#: Where a picture of 4:3 is put into a scene of 640 × 480.
PLACES: dict[str, Corners] = {
    "beside": [(40, 90), (360, 90), (360, 330), (40, 330)],
    "small": [(380, 40), (600, 40), (600, 205), (380, 205)],
    "turned": [(180, 80), (480, 160), (424, 385), (124, 305)],
    "askew": [(150, 90), (500, 130), (470, 390), (170, 350)],
    "at the edge": [(0, 90), (360, 90), (360, 360), (0, 360)],
}


def laid(picture: Image.Image, scene: Image.Image, corners: Corners) -> Pixels:
    """The picture as it lies in the scene."""
    rows, wanted = [], []
    for (x, y), (u, v) in zip(corners, [(0, 0), (1, 0), (1, 1), (0, 1)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * picture.width * x, -u * picture.width * y]]
        rows += [[0, 0, 0, x, y, 1, -v * picture.height * x, -v * picture.height * y]]
        wanted += [u * picture.width, v * picture.height]
    coefficients = np.linalg.solve(np.array(rows), np.array(wanted)).tolist()
    moved = picture.transform(scene.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)
    mask = Image.new("L", scene.size)
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    return np.asarray(Image.composite(moved, scene, mask))


def correlation(one: Pixels, other: Image.Image) -> float:
    pictures = (Image.fromarray(one), other)
    ours, theirs = (np.asarray(image.convert("L").resize((48, 48)), np.float64).ravel() for image in pictures)
    return float(np.corrcoef(ours, theirs)[0, 1])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("names", [("chelsea.png", "flower.jpg"), ("astronaut.png", "flower.jpg")])
def test_a_pasted_picture_is_detected_and_rectified(place: str, names: tuple[str, str]) -> None:
    picture = photograph(names[0]).convert("RGB").resize((400, 300))
    scene = photograph(names[1]).convert("RGB").resize((640, 480))
    pixels = laid(picture, scene, PLACES[place])
    wanted = np.array(PLACES[place]) / (640, 480)
    found = detect_quadrilaterals(pixels)
    best = min(found, key=lambda quadrilateral: float(np.abs(quadrilateral.corners - wanted).max()))
    assert np.abs(best.corners - wanted).max() < 0.02
    assert correlation(best.rectified(pixels), picture) > 0.85
    assert best.rectified(pixels).shape[1] / best.rectified(pixels).shape[0] == pytest.approx(4 / 3, rel=0.2)


def test_the_affine_transform_moves_a_parallelogram_to_the_unit_square() -> None:
    corners = np.array([(0.2, 0.1), (0.7, 0.2), (0.6, 0.8), (0.1, 0.7)])
    a, b, c, d, e, f = Quadrilateral(corners).to_unit_square
    for (x, y), inside in zip(corners.tolist(), [(0, 0), (1, 0), (1, 1), (0, 1)], strict=True):
        assert (a * x + b * y + c, d * x + e * y + f) == pytest.approx(inside, abs=1e-9)


def test_the_affine_transform_approximates_a_homography() -> None:
    corners = np.array([(0.2, 0.1), (0.8, 0.15), (0.75, 0.9), (0.25, 0.8)])
    a, b, c, d, e, f = Quadrilateral(corners).to_unit_square
    for (x, y), inside in zip(corners.tolist(), [(0, 0), (1, 0), (1, 1), (0, 1)], strict=True):
        assert (a * x + b * y + c, d * x + e * y + f) == pytest.approx(inside, abs=0.1)


@pytest.mark.parametrize("name", ["chelsea.png", "hubble_deep_field.jpg"])
def test_a_photograph_without_straight_edges_has_no_quadrilateral(name: str) -> None:
    assert detect_quadrilaterals(np.asarray(photograph(name).convert("RGB"))) == []


def test_detection_is_deterministic() -> None:
    scene, picture = (photograph(name).convert("RGB").resize((640, 480)) for name in ("flower.jpg", "coffee.png"))
    pixels = laid(picture, scene, PLACES["turned"])
    assert [quadrilateral.corners.tolist() for quadrilateral in detect_quadrilaterals(pixels)] == [
        quadrilateral.corners.tolist() for quadrilateral in detect_quadrilaterals(pixels)
    ]


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 3), (14, 14), (300, 300)])
def test_a_flat_picture_has_none(size: tuple[int, int]) -> None:
    assert detect_quadrilaterals(np.full((*size, 3), 90, np.uint8)) == []


@settings(max_examples=examples(60))
@given(
    blocks=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
    height=st.integers(1, 500),
    width=st.integers(1, 500),
)
def test_whatever_is_detected_can_be_rectified(blocks: Pixels, height: int, width: int) -> None:
    """Blocks of any colours have more straight edges than anything a camera sees."""
    pixels = np.asarray(Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST))
    found = detect_quadrilaterals(pixels)
    assert len(found) <= MAX_QUADRILATERALS
    for quadrilateral in found:
        assert np.isfinite(quadrilateral.corners).all()
        assert np.isfinite(quadrilateral.to_unit_square).all()
        cut = quadrilateral.rectified(pixels)
        assert cut.dtype == np.uint8
        assert cut.shape[2] == 3
        assert min(cut.shape[:2]) >= 160
        assert max(cut.shape[:2]) <= 640
