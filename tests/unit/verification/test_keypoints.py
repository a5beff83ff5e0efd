"""Corners say how a query lies on a picture, whatever was done to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageOps

from lookalike.domain.geometry import Affine
from lookalike.verification.keypoints import SIDE, Alignment, Corners, lay, scaled
from tests.support.photographs import photograph

NAMES = ("astronaut.png", "chelsea.png", "china.jpg", "coffee.png", "motorcycle_left.png")


def corners(picture: Image.Image) -> Corners:
    return Corners.of(scaled(np.asarray(picture)))


@cache
def of_photograph(name: str) -> Corners:
    """Of a photograph as it is, which many tests compare others with."""
    return corners(photograph(name, 640))


def moved(transform: Affine, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = transform
    return a * x + b * y + c, d * x + e * y + f


def quarter_smaller(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((width // 4, height // 4, width * 3 // 4, height * 3 // 4)).resize((width // 3, height // 3))


def dim(picture: Image.Image) -> Image.Image:
    return picture.point([60 + value // 3 for value in range(256)] * 3)


#: What is done to a picture, and how its points move back.
CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], Affine]] = {
    "nothing": (lambda picture: picture, (1, 0, 0, 0, 1, 0)),
    "dim": (dim, (1, 0, 0, 0, 1, 0)),
    "mirrored": (ImageOps.mirror, (-1, 0, 1, 0, 1, 0)),
    "upside down": (ImageOps.flip, (1, 0, 0, 0, -1, 1)),
    "turned left": (lambda picture: picture.transpose(Image.Transpose.ROTATE_90), (0, -1, 1, 1, 0, 0)),
    "middle, smaller": (quarter_smaller, (0.5, 0, 0.25, 0, 0.5, 0.25)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_changed_copy_lies_on_its_original(name: str, change: str) -> None:
    picture = photograph(name, 640)
    make, back = CHANGES[change]
    laid = lay(corners(make(picture)), of_photograph(name))
    assert laid is not None
    assert laid.corners >= 20
    for x, y in ((0.2, 0.2), (0.8, 0.3), (0.5, 0.8)):
        assert moved(laid.transform, x, y) == pytest.approx(moved(back, x, y), abs=0.02)
    assert 0 <= laid.region.left < laid.region.right <= 1
    assert 0 <= laid.region.top < laid.region.bottom <= 1


@pytest.mark.parametrize("name", NAMES)
def test_other_pictures_hardly_lie_on_each_other(name: str) -> None:
    laid = [lay(of_photograph(name), of_photograph(other)) for other in NAMES if other != name]
    assert all(one is None or one.corners < 9 for one in laid)


def test_the_same_every_time() -> None:
    picture, other = photograph("chelsea.png", 500), photograph("chelsea.png", 300).rotate(20)

    def once() -> Alignment | None:
        return lay(corners(other), corners(picture))

    assert once() is not None
    assert once() == once()


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (30, 30), (400, 20), (37, 400), (300, 300)], ids=str)
def test_pictures_without_corners(size: tuple[int, int]) -> None:
    flat = Corners.of(scaled(np.full((*size, 3), 90, np.uint8)))
    assert len(flat.places) == len(flat.bits) == len(flat.poses) == 0
    full = corners(photograph("chelsea.png", 300))
    assert lay(flat, full) is None
    assert lay(full, flat) is None
    assert lay(flat, flat) is None


@pytest.mark.parametrize("size", [(20, 3000), (3000, 20), (60, 60), (200, 900)], ids=str)
def test_noise_of_any_shape_has_corners_inside_of_it(size: tuple[int, int]) -> None:
    grey = scaled(np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8))
    assert max(grey.shape) == SIDE
    found = Corners.of(grey)
    assert ((found.places > 0) & (found.places < 1)).all()
    assert found.bits.shape == found.mirrored.shape == (len(found.places), 256)
    assert np.isfinite(found.poses).all()
