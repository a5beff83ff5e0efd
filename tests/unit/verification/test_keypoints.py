"""Keypoints give the transform from a changed copy to its original."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageOps

from lookalike.domain.geometry import Affine
from lookalike.verification.keypoints import LONGER_SIDE, KeypointMatch, Keypoints, match_keypoints, resized_grey
from tests.support.photographs import photograph

NAMES = ("astronaut.png", "chelsea.png", "china.jpg", "coffee.png", "motorcycle_left.png")


def keypoints_of(picture: Image.Image) -> Keypoints:
    return Keypoints.detect_and_describe(resized_grey(np.asarray(picture)))


@cache
def keypoints_of_photograph(name: str) -> Keypoints:
    """Return those of an unchanged photograph, which many tests compare others with."""
    return keypoints_of(photograph(name, 640))


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
def test_a_changed_copy_matches_its_original(name: str, change: str) -> None:
    picture = photograph(name, 640)
    make, back = CHANGES[change]
    match = match_keypoints(keypoints_of(make(picture)), keypoints_of_photograph(name))
    assert match is not None
    assert match.inliers >= 20
    for x, y in ((0.2, 0.2), (0.8, 0.3), (0.5, 0.8)):
        assert moved(match.transform, x, y) == pytest.approx(moved(back, x, y), abs=0.02)
    assert 0 <= match.region.left < match.region.right <= 1
    assert 0 <= match.region.top < match.region.bottom <= 1


@pytest.mark.parametrize("name", NAMES)
def test_other_pictures_hardly_match(name: str) -> None:
    others = [keypoints_of_photograph(other) for other in NAMES if other != name]
    matches = [match_keypoints(keypoints_of_photograph(name), other) for other in others]
    assert all(match is None or match.inliers < 9 for match in matches)


def test_matching_is_deterministic() -> None:
    picture, other = photograph("chelsea.png", 500), photograph("chelsea.png", 300).rotate(20)

    def once() -> KeypointMatch | None:
        return match_keypoints(keypoints_of(other), keypoints_of(picture))

    assert once() is not None
    assert once() == once()


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (30, 30), (400, 20), (37, 400), (300, 300)], ids=str)
def test_pictures_without_keypoints(size: tuple[int, int]) -> None:
    flat = Keypoints.detect_and_describe(resized_grey(np.full((*size, 3), 90, np.uint8)))
    assert len(flat.xy) == len(flat.descriptors) == len(flat.orientation_scale) == 0
    full = keypoints_of(photograph("chelsea.png", 300))
    assert match_keypoints(flat, full) is None
    assert match_keypoints(full, flat) is None
    assert match_keypoints(flat, flat) is None


@pytest.mark.parametrize("size", [(20, 3000), (3000, 20), (60, 60), (200, 900)], ids=str)
def test_noise_of_any_shape_has_keypoints_inside_of_it(size: tuple[int, int]) -> None:
    grey = resized_grey(np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8))
    assert max(grey.shape) == LONGER_SIDE
    found = Keypoints.detect_and_describe(grey)
    assert ((found.xy > 0) & (found.xy < 1)).all()
    assert found.descriptors.shape == found.mirrored_descriptors.shape == (len(found.xy), 256)
    assert np.isfinite(found.orientation_scale).all()
