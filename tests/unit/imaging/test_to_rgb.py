"""Renderings of pictures whose ordinary rendering is a single colour."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.picture import Decoded
from lookalike.errors import EmptyPicture, NotAPicture, PictureSizeError
from lookalike.imaging.animation import Frame
from lookalike.imaging.decode import FORMATS, Bounds, decode, digest_of
from lookalike.imaging.picture_file import PictureFile
from lookalike.imaging.rendition import rendition
from tests.support.examples import spread
from tests.unit.imaging.pictures.blank import (
    BLACK,
    CLEAR,
    DRAWN,
    HEIGHT,
    INKS,
    OTHERS,
    SIZE,
    WIDTH,
    animation,
    apng,
    drawn,
    gif_of_frames,
    ink,
    wide,
)
from tests.unit.imaging.pictures.files import ORIENTATIONS, chunk, cuts, encode, exif, png_with

BOUNDS = Bounds(max_bytes=4 << 20, min_side=15, max_side=4096, max_pixels=4096 * 4096, formats=FORMATS)
WHITE, DARK = (255, 255, 255), (21, 23, 26)

Maker = Callable[[int], bytes]


def read(file: bytes) -> Decoded:
    return decode(file, BOUNDS)


def on(image: Image.Image, background: tuple[int, int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    laid = Image.new("RGB", image.size, background)
    laid.paste(image, mask=image)
    return np.asarray(laid)


def flat(colour: tuple[int, int, int], width: int = WIDTH, height: int = HEIGHT) -> str:
    return digest_of(np.full((height, width, 3), colour, np.uint8))


@pytest.mark.parametrize("maker", [*INKS.values(), *DRAWN.values(), *OTHERS.values()], ids=[*INKS, *DRAWN, *OTHERS])
def test_pictures_that_look_different_are_not_one(maker: Maker) -> None:
    first, second = read(maker(1)), read(maker(2))
    assert first.digest != second.digest
    assert first.digest == digest_of(first.pixels) == read(maker(1)).digest
    for decoded in (first, second):
        assert (decoded.pixels != decoded.pixels[0, 0]).any()
        assert not decoded.pixels.flags.writeable


@pytest.mark.parametrize("maker", INKS.values(), ids=INKS)
def test_white_ink_is_shown_on_a_dark_ground(maker: Maker) -> None:
    np.testing.assert_array_equal(read(maker(1)).pixels, on(ink(1), DARK))


def test_a_drawing_on_black_is_not_white_ink_on_nothing() -> None:
    assert read(encode(ink(1), "PNG")).digest != read(encode(on(ink(1), (0, 0, 0)), "PNG")).digest


@pytest.mark.parametrize("maker", DRAWN.values(), ids=DRAWN)
def test_what_is_shown_is_what_a_person_sees(maker: Maker) -> None:
    np.testing.assert_array_equal(read(maker(1)).pixels, np.asarray(drawn(1)))


def test_grey_samples_are_shown_by_their_low_byte() -> None:
    grey = np.asarray(drawn(1))[..., [0, 0, 0]]
    for name in ("16 bits, grey.png", "16 bits, grey, opaque.png"):
        np.testing.assert_array_equal(read(OTHERS[name](1)).pixels, grey)


def test_ink_is_laid_on_the_sheet_before_it() -> None:
    for form, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})):
        np.testing.assert_array_equal(read(animation(form, BLACK, ink(1), **options)).pixels, on(ink(1), (0, 0, 0)))


@pytest.mark.parametrize("maker", [*INKS.values(), *DRAWN.values(), *OTHERS.values()], ids=[*INKS, *DRAWN, *OTHERS])
def test_a_glance_sees_what_was_decoded(maker: Maker) -> None:
    file = maker(1)
    seen = rendition(file, max(SIZE))
    assert seen is not None
    np.testing.assert_array_equal(seen, read(file).pixels)


@pytest.mark.parametrize("turn", ORIENTATIONS)
def test_it_is_turned_as_exif_says(turn: int) -> None:
    for maker, expected in ((INKS["RGBA.png"], on(ink(1), DARK)), (DRAWN["after black.png"], np.asarray(drawn(1)))):
        turned = png_with(maker(1), chunk(b"eXIf", exif(turn)))
        np.testing.assert_array_equal(read(turned).pixels, ORIENTATIONS[turn](expected))


# What stays as it was


@pytest.mark.parametrize("form", sorted(FORMATS))
@pytest.mark.parametrize("colour", [WHITE, (0, 0, 0), (128, 128, 128)], ids=str)
def test_a_sheet_is_a_sheet(form: str, colour: tuple[int, int, int]) -> None:
    assert read(encode(Image.new("RGB", SIZE, colour), form)).digest == flat(colour)


def test_what_shows_nothing_is_white() -> None:
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("GIF", {})):
        assert read(encode(CLEAR, form, **options)).digest == flat(WHITE)
        assert read(animation(form, CLEAR, CLEAR, **options)).digest == flat(WHITE)


def test_what_shows_anything_on_white_is_laid_on_white() -> None:
    """White ink beside other ink, later frames behind a first that shows something, low bytes below high ones."""
    logo = ink(1)
    logo.alpha_composite(ink(3, (10, 20, 200)))
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        assert read(encode(logo, form, **options)).digest == digest_of(on(logo, WHITE))
        then = animation(form, logo, drawn(2).convert("RGBA"), **options)
        assert read(then).digest == digest_of(on(logo, WHITE))
    samples = np.asarray(drawn(1)).astype(np.uint16)
    samples[5, 5] = 256
    pixels = read(wide(samples, 2)).pixels
    assert (pixels[5, 5] == 1).all()
    assert pixels.sum() == 3


# What it may cost


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_frames_are_looked_at_until_one_shows_something(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    file = animation(form, BLACK, drawn(1).convert("RGBA"), 20, **options)
    assert (read(file).pixels != 0).any()


def test_of_many_frames_only_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[tuple[int, int]] = []

    def laid(file: PictureFile, frame: Frame, image: Image.Image, background: object) -> Image.Image:
        looked.append(image.size)
        return CLEAR

    monkeypatch.setattr("lookalike.imaging.to_rgb._on_canvas", laid)
    for side, expected in ((16, 256), (600, 46), (2048, 4), (2049, 0)):
        looked.clear()
        assert read(gif_of_frames(300, side)).digest == flat(WHITE, side, side)
        assert len(looked) == 2 * expected  # on the sheet, and on a dark ground
        assert set(looked) <= {(side, side)}


@pytest.mark.parametrize(
    "place",
    [(65, 1, 0, 0), (1, 1, 64, 0), (1, 1, 0, 64), (2**31 - 1, 2**31 - 1, 0, 0), (1, 1, 2**32 - 1, 0), (0, 0, 0, 0)],
    ids=str,
)
def test_a_frame_beside_the_picture_is_refused_unless_one_before_it_shows_something(
    place: tuple[int, int, int, int],
) -> None:
    red = (b"\0" + b"\xff\0\0\xff" * 8) * 8
    with pytest.raises(NotAPicture):
        read(apng((*place, red), (8, 8, 0, 0, red)))
    assert read(apng((8, 8, 56, 56, red), (*place, red))).digest != flat(WHITE, 64, 64)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_an_animation_that_is_cut_before_it_shows_anything_is_refused(form: str) -> None:
    """Or it would be the sheet that it begins with."""
    options = {"lossless": True} if form == "WEBP" else {}
    file = animation(form, BLACK, ink(1), 3, **options)
    whole, taken = read(file).digest, 0
    lengths = cuts(file)
    for length in (*spread(lengths[:-40], 40), *lengths[-40:]):
        with suppress(NotAPicture, EmptyPicture):
            assert read(file[:length]).digest == whole
            taken += 1
    assert taken == {"GIF": 1, "PNG": 12, "WEBP": 0}[form]  # the trailer, IEND


def test_a_gif_cannot_grow_with_a_later_frame() -> None:
    file = gif_of_frames(2, 64)
    second = file.rindex(b",")
    for sides in (struct.pack("<HHHH", 0, 0, 65535, 65535), struct.pack("<HHHH", 65535, 65535, 1, 1)):
        with pytest.raises(NotAPicture):
            read(file[: second + 1] + sides + file[second + 9 :])
    with pytest.raises(PictureSizeError):
        decode(file, replace(BOUNDS, max_side=63))
