"""Previews are small, upright, and nothing but pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.picture import Pixels
from lookalike.imaging.pixel_budget import allocate
from lookalike.imaging.preview import PreviewFormat, preview
from tests.support.photographs import jpeg, photograph
from tests.unit.imaging.test_rendition import file


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("form", PreviewFormat)
@pytest.mark.parametrize("stored", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
@pytest.mark.parametrize("side", [100, 320, 1600])
def test_what_is_seen_is_the_picture(form: PreviewFormat, stored: str, side: int) -> None:
    picture = photograph("astronaut.png", 500).crop((0, 0, 500, 300))
    seen = opened(preview(file(picture, stored), side, form))
    assert seen.format == form
    assert seen.mode == "RGB"
    assert max(seen.size) == min(side, 500)
    assert seen.width / seen.height == pytest.approx(500 / 300, rel=0.02)
    small, expected = (np.asarray(one.resize((25, 15), Image.Resampling.BOX), np.float64) for one in (seen, picture))
    assert np.abs(small - expected).mean() < 5


@pytest.mark.parametrize("form", PreviewFormat)
def test_exif_turns_the_picture_and_is_left_out(form: PreviewFormat) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "where I live"
    data = preview(file(photograph("chelsea.png", 300), "JPEG", exif=exif, comment=b"a comment"), 100, form)
    seen = opened(data)
    assert seen.height > seen.width
    assert not seen.getexif()
    assert b"where I live" not in (data or b"")
    assert b"a comment" not in (data or b"")


@pytest.mark.parametrize("form", PreviewFormat)
@pytest.mark.parametrize("size", [(1, 1), (4000, 1), (1, 4000), (3000, 7)])
def test_however_thin_a_picture_is_something_is_left(form: PreviewFormat, size: tuple[int, int]) -> None:
    seen = opened(preview(file(Image.new("RGB", size, "red"), "PNG"), 320, form))
    seen.load()
    assert max(seen.size) == min(320, *(max(size),))
    assert min(seen.size) >= 1


def test_room_is_asked_for_the_whole_picture() -> None:
    asked = []

    def counted(height: int, width: int) -> Pixels:
        asked.append((height, width))
        return allocate(height, width)

    assert preview(jpeg(photograph("chelsea.png", 300)), 50, PreviewFormat.WEBP, counted) is not None
    assert asked == [(200, 300)]


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_what_is_no_picture_has_none(data: bytes, length: int) -> None:
    assert preview(data, 100, PreviewFormat.WEBP) is None
    assert preview(jpeg(photograph("coffee.png", 100))[:length], 100, PreviewFormat.JPEG) is None
