"""Renditions of originals are small and upright."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.picture import Pixels
from lookalike.imaging.pixel_budget import allocate
from lookalike.imaging.rendition import rendition
from tests.support.photographs import jpeg, photograph


def file(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
@pytest.mark.parametrize("side", [100, 300, 1000])
def test_what_is_seen_is_the_picture(form: str, side: int) -> None:
    picture = photograph("astronaut.png", 500).crop((0, 0, 500, 300))
    seen = rendition(file(picture, form), side)
    assert seen is not None
    assert seen.dtype == np.uint8
    assert min(side, 500) <= max(seen.shape) < 2 * side
    expected = np.asarray(picture.resize((25, 15), Image.Resampling.BOX), np.float64)
    small = np.asarray(Image.fromarray(seen).resize((25, 15), Image.Resampling.BOX), np.float64)
    assert np.abs(small - expected).mean() < 4


def test_transparency_is_white_and_exif_turns() -> None:
    clear = rendition(file(Image.new("RGBA", (40, 20), (0, 0, 0, 0)), "PNG"), 100)
    assert clear is not None
    assert clear.shape == (20, 40, 3)
    assert (clear == 255).all()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = rendition(file(photograph("chelsea.png", 300), "JPEG", exif=exif), 100)
    assert turned is not None
    assert turned.shape[0] > turned.shape[1]


def test_room_is_asked_for_the_whole_picture() -> None:
    asked = []

    def counted(height: int, width: int) -> Pixels:
        asked.append((height, width))
        return allocate(height, width)

    assert rendition(jpeg(photograph("chelsea.png", 300)), 50, counted) is not None
    assert asked == [(200, 300)]


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_what_is_no_picture_is_nothing_to_be_seen(data: bytes, length: int) -> None:
    assert rendition(data, 100) is None
    assert rendition(jpeg(photograph("coffee.png", 100))[:length], 100) is None
