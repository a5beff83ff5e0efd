"""Decoding picture files to pixels and digests."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import EmptyPicture, NotAPicture, PictureError, PictureSizeError
from lookalike.imaging.decode import Bounds, decode, digest_of
from lookalike.imaging.file_headers import open_picture_file
from tests.support.examples import examples, spread
from tests.unit.imaging.pictures import blank
from tests.unit.imaging.pictures.blank import apng, gif_of_frames
from tests.unit.imaging.pictures.draw import FOLDER, scene
from tests.unit.imaging.pictures.files import (
    ORIENTATIONS,
    PNG_SIGNATURE,
    chunk,
    cuts,
    encode,
    exif,
    gif_split,
    last_scan,
    png,
    png_header,
    png_with,
    rle_bmp,
)

FORMATS = frozenset({"JPEG", "PNG", "BMP", "GIF", "WEBP"})
BOUNDS = Bounds(max_bytes=4 << 20, min_side=15, max_side=4096, max_pixels=4096 * 4096, formats=FORMATS)
WHITE, DARK = (255, 255, 255), (21, 23, 26)
TINY = replace(BOUNDS, min_side=1)

# Digests of the files in pictures/, for ever. A change here would give every picture of that kind, in every library,
# another identity.
GOLDEN = {
    "420.jpg": "d5a86b771d3e1ecce7b361255fce24b0be4187cc5aa642f843d856627cc21141",
    "444.jpg": "3e33096febf9e48d011874293d5c2cbdf63adcbc8bea0ccf7082b424826cc06f",
    "cmyk.jpg": "f2ea20424e16dc18a21d9544559640c0377dcfd18d59d094f7d53ce5a34d1422",
    "grey.jpg": "6ac962c24f4594b130bc8a13be5a8a37dc9da1f9a1498383335aa6e6406be67b",
    "lossy.webp": "5154b89c39a712db4b5d6e582779da145224c2a06818f1857ff60c845642031b",
    "palette.gif": "cc5a39cc2f12de755b2b90d7bf56be83eb2cb761965f4ed78625a04fa26aa9a3",
    "progressive.jpg": "d5a86b771d3e1ecce7b361255fce24b0be4187cc5aa642f843d856627cc21141",
    "rgb.png": "a7d0a52071fb17b1eea11bf22e2e9385f05b6bf741e51956b652827764a61221",
    "rgba.png": "38bdf2120ae7fda6af724046441fb9a294f4f89c7f7df7a3791f957a9b7da689",
    "ycck.jpg": "511d4d0ed818cd25969a3cb5a6321885ef5e399c09a2aa811afd275df637dc98",
    # An ordinary decoder shows a single colour for these.
    "hidden.png": "ea2b2c02376f300bb5ce0bf2249de80e3fd1acb08583ad12057219e7796be977",
    "ink.gif": "9a6a53e0e7443b636a049eedca0f9dfac35b0e9a565a3cc679c18b9c45b4687c",
    "ink.png": "9a6a53e0e7443b636a049eedca0f9dfac35b0e9a565a3cc679c18b9c45b4687c",
    "later.gif": "8c20f5d9b62c56b329c57b227ff0ce1680c3e97cf7047ec4fa81f4a4800a523e",
    "later.png": "ea2b2c02376f300bb5ce0bf2249de80e3fd1acb08583ad12057219e7796be977",
    "later.webp": "b19a51d0dd9e15a52f617aeb99aed2295063c368cccb6f4454082aedcae5bfa4",
    "low.png": "ea2b2c02376f300bb5ce0bf2249de80e3fd1acb08583ad12057219e7796be977",
}


def noise(width: int = 23, height: int = 17, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def on_white(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.float64]:
    share = alpha[..., None] / 255
    return rgb * share + 255 * (1 - share)


@cache
def samples() -> dict[str, bytes]:
    """Return one file per format and way of coding."""
    picture = scene(41, 31)
    grey16 = (np.asarray(picture)[:, :, 0].astype(np.uint16) << 8) + 77
    translucent = picture.copy()
    translucent.putalpha(picture.getchannel("R"))
    return {
        "baseline.jpg": encode(picture, "JPEG"),
        "progressive.jpg": encode(picture, "JPEG", progressive=True, exif=b"Exif\0\0" + exif(6)),
        "grey.jpg": encode(picture.convert("L"), "JPEG"),
        "cmyk.jpg": encode(picture.convert("CMYK"), "JPEG"),
        "restarts.jpg": encode(picture, "JPEG", restart_marker_blocks=2),
        "rgb.png": encode(picture, "PNG"),
        "rgba.png": encode(translucent, "PNG"),
        "grey-alpha.png": encode(translucent.convert("LA"), "PNG"),
        "grey16.png": encode(grey16, "PNG"),
        "palette.png": encode(picture.quantize(16), "PNG", transparency=bytes(range(0, 256, 16))),
        "bits.png": encode(picture.convert("1"), "PNG", transparency=1),
        "rgb.bmp": encode(picture, "BMP"),
        "palette.bmp": encode(picture.quantize(16), "BMP"),
        "rle.bmp": rle_bmp(41, 31, bytes((41, 7, 0, 0)) * 30 + bytes((0, 41, *range(41), 0, 0, 1))),
        "palette.gif": encode(picture.quantize(16), "GIF", transparency=3, comment=b"hello"),
        "interlaced.gif": encode(picture.quantize(16), "GIF", interlace=1),
        "lossy.webp": encode(picture, "WEBP"),
        "lossless.webp": encode(picture, "WEBP", lossless=True),
        "alpha.webp": encode(translucent, "WEBP", exif=b"Exif\0\0" + exif(3)),
    }


# Identity


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_pictures_keep_their_digests(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    decoded = decode(data, BOUNDS)
    assert decoded.digest == GOLDEN[name]
    assert decoded.file_digest == hashlib.sha256(data).hexdigest()


def test_every_golden_file_has_its_digest() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.suffix in {".jpg", ".png", ".gif", ".webp"}} == set(GOLDEN)


def test_the_digest_is_of_the_size_and_the_pixels() -> None:
    pixels = noise(width=23, height=17)
    expected = hashlib.sha256(bytes([0, 0, 0, 23, 0, 0, 0, 17]) + pixels.tobytes()).hexdigest()
    assert digest_of(pixels) == expected
    assert digest_of(np.asfortranarray(pixels)) == expected
    assert decode(encode(pixels, "PNG"), BOUNDS).digest == expected
    assert digest_of(pixels.reshape(23, 17, 3)) != expected


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=examples(60))
def test_a_picture_is_the_same_in_whatever_lossless_file(width: int, height: int, seed: int) -> None:
    pixels = noise(width, height, seed=seed)
    opaque = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
    files = [
        encode(pixels, "PNG"),
        encode(pixels, "PNG", compress_level=0),
        encode(pixels, "BMP"),
        encode(pixels, "WEBP", lossless=True),
        encode(opaque, "PNG"),
        encode(opaque, "WEBP", lossless=True),
    ]
    for file in files:
        decoded = decode(file, TINY)
        np.testing.assert_array_equal(decoded.pixels, pixels)
        assert decoded.digest == digest_of(pixels)


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from(sorted(ORIENTATIONS)), st.sampled_from("<>"))
@settings(max_examples=examples(60))
def test_a_picture_is_the_same_however_the_camera_was_held(width: int, height: int, turn: int, order: str) -> None:
    stored = noise(width, height)
    upright = ORIENTATIONS[turn](stored)
    block = exif(turn, order=order)
    for file in (
        png_with(encode(stored, "PNG"), chunk(b"eXIf", block)),
        encode(stored, "WEBP", lossless=True, exif=block),
        # The encoder takes one such head off; cameras leave it in.
        encode(stored, "WEBP", lossless=True, exif=b"Exif\0\0Exif\0\0" + block),
    ):
        decoded = decode(file, TINY)
        np.testing.assert_array_equal(decoded.pixels, upright)
        assert decoded.digest == digest_of(np.ascontiguousarray(upright))


@pytest.mark.parametrize("turn", ORIENTATIONS)
def test_a_jpeg_is_turned_as_its_camera_says(turn: int) -> None:
    file = encode(scene(), "JPEG")
    turned = encode(scene(), "JPEG", exif=b"Exif\0\0" + exif(turn))
    expected = ORIENTATIONS[turn](decode(file, BOUNDS).pixels)
    np.testing.assert_array_equal(decode(turned, BOUNDS).pixels, expected)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II",
        b"II*\0",
        b"XX*\0\x08\0\0\0",
        exif(0),
        exif(9),
        exif(65535),
        exif(6, kind=2),
        exif(6)[:-9],
        exif(6)[:12],
        b"II*\0\xff\xff\xff\xff" + exif(6),
        b"II*\0\x08\0\0\0\xff\xff" + b"\1" * 40,
    ],
)
def test_a_corrupt_exif_block_is_as_good_as_none(block: bytes) -> None:
    pixels = noise()
    for file in (
        png_with(encode(pixels, "PNG"), chunk(b"eXIf", block)),
        encode(pixels, "WEBP", lossless=True, exif=block or b"x"),
    ):
        np.testing.assert_array_equal(decode(file, BOUNDS).pixels, pixels)
    plain = encode(pixels, "JPEG")
    marked = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + plain[2:]
    assert decode(marked, BOUNDS).digest == decode(plain, BOUNDS).digest


def test_what_is_not_pixels_does_not_count() -> None:
    picture = scene()
    profile = zlib.compress(b"x" * 70_000)
    extra = {"comment": b"c" * 1000, "icc_profile": profile, "xmp": b"<x:xmpmeta/>", "dpi": (300, 300)}
    plain = {form: decode(encode(picture, form), BOUNDS) for form in ("JPEG", "PNG", "WEBP")}
    for form, options in (("JPEG", extra), ("PNG", extra), ("WEBP", {"icc_profile": profile, "xmp": b"<x/>"})):
        file = encode(picture, form, **options)
        assert decode(file, BOUNDS).digest == plain[form].digest
        assert decode(file, BOUNDS).file_digest != plain[form].file_digest


@pytest.mark.parametrize("name", sorted(GOLDEN.keys() - blank.GOLDEN.keys() - {"rgba.png"}))
def test_what_is_cut_out_of_a_file_changes_no_pixel(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(decode(data, BOUNDS).pixels, np.asarray(image.convert("RGB")))


def test_the_answer_is_of_one_shape_and_cannot_be_changed() -> None:
    for name, file in samples().items():
        decoded = decode(file, BOUNDS)
        assert decoded.format == {"jpg": "JPEG"}.get(name[-3:], name.rpartition(".")[2].upper())
        assert decoded.pixels.dtype == np.uint8
        assert decoded.pixels.shape == ((41, 31, 3) if name == "progressive.jpg" else (31, 41, 3))
        assert not decoded.pixels.flags.writeable


def test_threads_decode_the_same() -> None:
    expected = {name: decode(file, BOUNDS).digest for name, file in samples().items()}
    found: list[dict[str, str]] = []

    def work() -> None:
        found.append({name: decode(file, BOUNDS).digest for _ in range(5) for name, file in samples().items()})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


# Colours


def test_alpha_is_laid_on_white() -> None:
    pixels = noise(channels=4)
    expected = on_white(pixels[..., :3], pixels[..., 3])
    for file in (encode(pixels, "PNG"), encode(pixels, "WEBP", lossless=True, exact=True)):
        assert np.abs(decode(file, BOUNDS).pixels - expected).max() < 1
    grey = pixels[..., [0, 3]]
    file = encode(Image.fromarray(grey, "LA"), "PNG")
    assert np.abs(decode(file, BOUNDS).pixels - on_white(grey[..., [0, 0, 0]], grey[..., 1])).max() < 1


def test_a_palette_may_be_translucent() -> None:
    indexes = np.arange(16, dtype=np.uint8)[None].repeat(16, 0)
    palette = noise(16, 1, seed=3)[0]
    alpha = np.linspace(0, 255, 16).astype(np.uint8)
    image = Image.fromarray(indexes, "P")
    image.putpalette(palette.tobytes())
    for key, alphas in ((alpha.tobytes(), alpha), (5, np.where(np.arange(16) == 5, 0, 255).astype(np.uint8))):
        expected = on_white(palette[None].repeat(16, 0), alphas[None].repeat(16, 0))
        assert np.abs(decode(encode(image, "PNG", transparency=key), BOUNDS).pixels - expected).max() < 1
    np.testing.assert_array_equal(
        decode(encode(image, "GIF", transparency=5), BOUNDS).pixels[:, 5], np.full((16, 3), 255)
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_colour_key_is_on_the_scale_of_its_samples(depth: int) -> None:
    levels = 2**depth
    samples = np.arange(16) % levels
    bits = np.unpackbits(samples.astype(np.uint8)[:, None], axis=1)[:, -depth:]
    key = levels - 2  # black at depth 1
    file = png([np.packbits(bits.reshape(-1)).tobytes()] * 16, 16, depth, 0, chunk(b"tRNS", struct.pack(">H", key)))
    background = DARK if depth == 1 else WHITE  # of one bit, what is not transparent is white
    expected = np.where((samples == key)[:, None], background, (samples * 255 // (levels - 1))[:, None])
    np.testing.assert_array_equal(decode(file, BOUNDS).pixels, expected[None].repeat(16, 0))


def test_a_colour_key_of_three_samples() -> None:
    pixels = noise()
    pixels[3:6, 4:9] = (1, 2, 3)
    file = encode(pixels, "PNG", transparency=(1, 2, 3))
    np.testing.assert_array_equal(
        decode(file, BOUNDS).pixels, np.where((pixels == (1, 2, 3)).all(-1, keepdims=True), 255, pixels)
    )


def test_of_16_bits_the_high_byte_is_kept() -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (17, 23, 4), dtype=np.uint16)
    high = (wide >> 8).astype(np.uint8)

    def rows(samples: NDArray[np.uint16]) -> list[bytes]:
        return [row.astype(">u2").tobytes() for row in samples]

    grey = decode(png(rows(wide[..., 0]), 23, 16, 0), BOUNDS).pixels
    np.testing.assert_array_equal(grey, high[..., [0, 0, 0]])
    colour = decode(png(rows(wide[..., :3]), 23, 16, 2), BOUNDS).pixels
    np.testing.assert_array_equal(colour, high[..., :3])
    translucent = decode(png(rows(wide), 23, 16, 6), BOUNDS).pixels
    assert np.abs(translucent - on_white(high[..., :3], high[..., 3])).max() < 1
    translucent = decode(png(rows(wide[..., [0, 3]]), 23, 16, 4), BOUNDS).pixels
    assert np.abs(translucent - on_white(high[..., [0, 0, 0]], high[..., 3])).max() < 1
    for file in (
        png(rows(wide[..., 0]), 23, 16, 0, chunk(b"tRNS", b"\x12\x34")),
        png(rows(wide[..., :3]), 23, 16, 2, chunk(b"tRNS", b"\x12\x34" * 3)),
    ):
        plain = grey if file[25] == 0 else colour
        np.testing.assert_array_equal(decode(file, BOUNDS).pixels, plain)


@pytest.mark.parametrize("colour", [(250, 20, 30), (20, 200, 40), (10, 30, 220), (255, 255, 255), (0, 0, 0)])
def test_the_inks_of_a_cmyk_jpeg_are_the_right_way_round(colour: tuple[int, int, int]) -> None:
    file = encode(Image.new("RGB", (32, 32), colour).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(decode(file, BOUNDS).pixels.astype(int) - colour).max() <= 4


def test_a_jpeg_that_says_jfif_is_not_rgb_whatever_its_components_are_called() -> None:
    file = encode(scene(), "JPEG", subsampling="4:4:4")
    frame, scan = file.index(b"\xff\xc0"), file.index(b"\xff\xda")
    renamed = bytearray(file)
    renamed[frame + 10 : frame + 19 : 3] = b"RGB"
    renamed[scan + 5 : scan + 11 : 2] = b"RGB"
    assert decode(bytes(renamed), BOUNDS).digest == decode(file, BOUNDS).digest


def test_rows_may_go_from_top_to_bottom() -> None:
    pixels = noise(20, 16)
    file = encode(pixels, "BMP")
    downwards = file[:22] + struct.pack("<i", -16) + file[26:]
    np.testing.assert_array_equal(decode(downwards, BOUNDS).pixels, pixels[::-1])


def test_one_bit_is_black_and_white() -> None:
    bits = noise(channels=1)[..., 0] > 127
    for form in ("PNG", "BMP"):
        np.testing.assert_array_equal(
            decode(encode(bits, form), BOUNDS).pixels, np.where(bits, 255, 0)[..., None].repeat(3, 2)
        )


# Frames


def test_of_several_frames_the_first_counts() -> None:
    frames = [Image.fromarray(noise(seed=seed)) for seed in range(3)]
    first = decode(encode(frames[0], "PNG"), BOUNDS).digest
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        file = encode(frames[0], form, save_all=True, append_images=frames[1:], **options)
        assert decode(file, BOUNDS).digest == first
    default = encode(frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=True)
    assert decode(default, BOUNDS).digest == first
    phone = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert decode(phone, BOUNDS).format == "JPEG"
    assert decode(phone, BOUNDS).digest == decode(encode(frames[0], "JPEG"), BOUNDS).digest
    drawn = [frame.quantize(16) for frame in frames]
    animation = encode(drawn[0], "GIF", save_all=True, append_images=drawn[1:])
    assert decode(animation, BOUNDS).digest == decode(encode(drawn[0], "GIF"), BOUNDS).digest


def test_a_broken_animation_is_still_a_picture() -> None:
    pixels = noise()
    for count in (0, 2**32 - 1):
        file = png_with(encode(pixels, "PNG"), chunk(b"acTL", struct.pack(">II", count, 0)), chunk(b"fcTL", b"short"))
        np.testing.assert_array_equal(decode(file, BOUNDS).pixels, pixels)


def test_a_gif_grows_with_its_first_frame_within_the_bounds() -> None:
    file = encode(scene(40, 30).quantize(16), "GIF")
    head, rest = gif_split(file)
    shrunk = head[:6] + struct.pack("<HH", 5, 5) + head[10:]
    np.testing.assert_array_equal(decode(shrunk + rest, BOUNDS).pixels, decode(file, BOUNDS).pixels)
    image = rest.index(b",")
    moved = rest[: image + 1] + struct.pack("<HH", 60_000, 0) + rest[image + 5 :]
    with pytest.raises(PictureSizeError):
        decode(head + moved, BOUNDS)


# What is refused


def test_no_bytes_are_an_empty_picture() -> None:
    with pytest.raises(EmptyPicture):
        decode(b"", BOUNDS)


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_sides_pixels_and_bytes_are_bounded_inclusively(form: str) -> None:
    file = encode(scene(40, 30), form)
    fits = Bounds(max_bytes=len(file), min_side=30, max_side=40, max_pixels=1200, formats=FORMATS)
    assert decode(file, fits).pixels.shape == (30, 40, 3)
    for tighter in (
        replace(fits, max_bytes=len(file) - 1),
        replace(fits, min_side=31),
        replace(fits, max_side=39),
        replace(fits, max_pixels=1199),
    ):
        with pytest.raises(PictureSizeError):
            decode(file, tighter)


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_only_the_formats_asked_for_are_pictures(form: str) -> None:
    file = encode(scene(), form)
    assert decode(file, replace(BOUNDS, formats=frozenset({form}))).format == form
    with pytest.raises(NotAPicture):
        decode(file, replace(BOUNDS, formats=FORMATS - {form}))


@pytest.mark.parametrize(
    "data",
    [
        encode(scene(), "TIFF"),
        encode(scene(), "ICO"),
        encode(scene(), "PPM"),
        encode(scene(), "JPEG2000"),
        encode(scene(), "PDF"),
        b'<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"/>',
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n",
        b"<html><body>404</body></html>",
        b"BM",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        b"GIF89a",
        b"GIF89a\x20\0\x20\0\0\0\0;",
        b"GIF89a\x20\0\x20\0\0\0\0x",
        PNG_SIGNATURE,
        PNG_SIGNATURE + chunk(b"IEND"),
        PNG_SIGNATURE + png_header(20, 20) + chunk(b"IEND"),
        PNG_SIGNATURE + chunk(b"IHDR", b"short") + chunk(b"IEND"),
        png([bytes(20)] * 20, 20, 3, 0, chunk(b"tRNS", b"\0\0")),
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"\0" * 1000,
    ],
    ids=lambda data: repr(data[:16]),
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(NotAPicture):
        decode(data, BOUNDS)


def test_pixels_that_do_not_match_their_checksum_are_refused() -> None:
    pixels = noise()
    file = bytearray(encode(pixels, "PNG"))
    file[-13] ^= 1  # IEND is 12 bytes, the checksum of the pixels stands before it
    with pytest.raises(NotAPicture):
        decode(bytes(file), BOUNDS)
    broken_text = chunk(b"tEXt", b"k\0text")[:-1] + b"?"
    np.testing.assert_array_equal(decode(png_with(encode(pixels, "PNG"), broken_text), BOUNDS).pixels, pixels)


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_a_decoder_that_sees_another_size_than_was_judged_is_stopped(form: str) -> None:
    file = open_picture_file(encode(scene(40, 30), form), FORMATS)
    assert file.image().size == (40, 30)
    with pytest.raises(NotAPicture):
        replace(file, width=39).image()


@pytest.mark.parametrize("name", samples())
def test_a_truncated_picture_is_refused_or_complete(name: str) -> None:
    """Complete: only what stands behind the last coded pixel is missing."""
    file = samples()[name]
    whole = decode(file, BOUNDS)
    for length in spread(range(1, len(file)), 60):
        try:
            decoded = decode(file[:length], BOUNDS)
        except NotAPicture:
            continue
        assert length >= len(file) - 24  # of a PNG: the end of the coded rows, two checksums, IEND
        assert decoded.digest == whole.digest


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_picture_that_is_cut_is_refused_or_itself(name: str) -> None:
    file = (FOLDER / name).read_bytes()
    for length in spread(cuts(file), 60):
        with suppress(NotAPicture):
            assert decode(file[:length], BOUNDS).digest == GOLDEN[name]


def with_text(file: bytes) -> bytes:
    """Return a PNG with a text chunk after its rows."""
    return file[:-12] + chunk(b"tEXt", b"k\0" + b"text " * 9) + file[-12:]


def riff_length(file: bytes, length: int) -> bytes:
    """Return a WebP whose header states another length."""
    return file[:4] + struct.pack("<I", length) + file[8:]


#: Files that may lose bytes after the last pixel: the whole file, and the number of bytes.
ENDS: dict[str, tuple[Callable[[], bytes], range]] = {
    "JPEG": (lambda: samples()["baseline.jpg"], range(1, 3)),
    "JPEG, grey": (lambda: samples()["grey.jpg"], range(1, 3)),
    "JPEG, CMYK": (lambda: samples()["cmyk.jpg"], range(1, 3)),
    "JPEG with restarts": (lambda: samples()["restarts.jpg"], range(1, 3)),
    "PNG": (lambda: samples()["rgb.png"], range(1, 17)),
    "PNG of a palette": (lambda: samples()["palette.png"], range(1, 17)),
    "PNG with a text": (lambda: with_text(samples()["rgba.png"]), range(1, 12 + 12 + 47 + 4)),
    "GIF": (lambda: samples()["palette.gif"], range(1, 3)),
    "WebP with a text": (lambda: encode(scene(), "WEBP", xmp=b"<x/>" * 9), range(1, 36 + 9)),
    "animated WebP": (
        lambda: encode(scene(40, 40), "WEBP", save_all=True, append_images=[scene(40, 40).rotate(90)]),
        range(1, 200, 9),
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_lacks_only_its_end_is_whole(name: str) -> None:
    make, lost = ENDS[name]
    file = make()
    whole = decode(file, BOUNDS)
    for count in lost:
        assert decode(file[:-count], BOUNDS).digest == whole.digest, count


def test_a_file_may_be_wrong_about_its_length() -> None:
    webp, bmp = encode(scene(), "WEBP"), encode(scene(), "BMP")
    for length in (0, 1, 30, len(webp) - 9, len(webp), len(webp) + 100, 2**31, 2**32 - 1):
        assert decode(riff_length(webp, length), BOUNDS).digest == decode(webp, BOUNDS).digest
        assert decode(bmp[:2] + struct.pack("<I", length) + bmp[6:], BOUNDS).digest == decode(bmp, BOUNDS).digest


def test_a_jpeg_without_an_end_is_refused_unless_nothing_else_can_be_missing() -> None:
    picture = Image.fromarray(noise(160, 120))
    sequential, progressive = encode(picture, "JPEG"), encode(picture, "JPEG", progressive=True)
    assert decode(sequential[:-2], BOUNDS).digest == decode(sequential, BOUNDS).digest
    with pytest.raises(NotAPicture):
        decode(progressive[:-2], BOUNDS)
    restarts = encode(picture, "JPEG", restart_marker_blocks=10)
    last = [restarts.rindex(bytes((0xFF, marker))) for marker in range(0xD0, 0xD8) if bytes((0xFF, marker)) in restarts]
    for cut in (max(last), max(last) + 2):
        with pytest.raises(NotAPicture):
            decode(restarts[:cut], BOUNDS)


def test_what_is_lost_with_the_end_is_not_guessed() -> None:
    """An EXIF block behind the pixels says which way up they are."""
    stored = noise()
    png_file = encode(stored, "PNG")
    turned = png_file[:-12] + chunk(b"eXIf", exif(6)) + png_file[-12:]
    assert decode(turned, BOUNDS).pixels.shape == (23, 17, 3)
    assert decode(turned[:-12], BOUNDS).pixels.shape == (23, 17, 3)
    webp = encode(stored, "WEBP", lossless=True, exif=exif(6))
    for file, end in ((turned, 12), (webp, 0)):
        for count in range(end + 1, end + 40):
            with pytest.raises(NotAPicture):
                decode(file[:-count], BOUNDS)


@given(st.data())
@settings(max_examples=examples(2000))
def test_broken_files_raise_nothing_but_our_errors(data: st.DataObject) -> None:
    file = bytearray(samples()[data.draw(st.sampled_from(sorted(samples())))])
    # Headers matter most, so half of the damage is done there.
    place = st.integers(0, len(file) - 1) | st.integers(0, min(80, len(file) - 1))
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=4)):
        file[at] = value
    cut = data.draw(st.none() | place)
    gap = data.draw(st.none() | st.tuples(place, st.binary(max_size=8)))
    if gap is not None:
        file[gap[0] : gap[0] + len(gap[1]) // 2] = gap[1]
    with suppress(PictureError):
        assert decode(bytes(file[:cut]), BOUNDS).pixels.shape[2] == 3


@given(
    st.sampled_from([b"\xff\xd8\xff", PNG_SIGNATURE, b"GIF89a", b"BM", b"RIFF    WEBPVP8X"]), st.binary(max_size=200)
)
@settings(max_examples=examples(1000))
def test_a_signature_alone_makes_no_picture(signature: bytes, rest: bytes) -> None:
    with pytest.raises(PictureError):
        decode(signature + rest, BOUNDS)


# What a hostile file may cost

Hostile = Callable[[], bytes]


def _many_scans(count: int, side: int = 2000) -> bytes:
    """Return a progressive JPEG with further scans after its ten."""
    file = encode(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    return file[:-2] + last_scan(file) * count + b"\xff\xd9"


def _without_data(side: int) -> bytes:
    """Return a JPEG of 700 bytes whose header states this size."""
    file = encode(Image.new("RGB", (side, side)), "JPEG")
    return file[: file.index(b"\xff\xda") + 80] + b"\xff\xd9"


def _gif(comment: bytes) -> bytes:
    head, rest = gif_split(encode(scene(64, 64).quantize(16), "GIF"))
    return head + comment + rest


def _png(*extra: bytes) -> bytes:
    return png_with(encode(scene(64, 64), "PNG"), *extra)


#: Files that make a naive decoder allocate hundreds of megabytes or more, and their outcome here.
BOMBS: dict[str, tuple[Hostile, str]] = {
    "PNG of 2³¹ by 2³¹": (
        lambda: PNG_SIGNATURE + png_header(2**31 - 1, 2**31 - 1) + chunk(b"IDAT", b"x") + chunk(b"IEND"),
        "PictureSizeError",
    ),
    "PNG one pixel too wide": (
        lambda: png([bytes(3 * 4097)] * 4000, 4097, 8, 2),
        "PictureSizeError",
    ),
    "PNG with half a gigabyte behind its rows": (
        lambda: (
            PNG_SIGNATURE + png_header(64, 64) + chunk(b"IDAT", zlib.compress(bytes(512 << 20), 1)) + chunk(b"IEND")
        ),
        "decoded",
    ),
    "PNG with a thousand texts of a megabyte": (
        lambda: _png(*[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20)))] * 1000),
        "decoded",
    ),
    "PNG with international texts": (
        lambda: _png(*[chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(b"a" * (1 << 20)))] * 1000),
        "decoded",
    ),
    "PNG with a huge profile": (
        lambda: _png(chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(256 << 20), 1))),
        "decoded",
    ),
    "PNG of empty chunks": (lambda: _png(*[chunk(b"IDAT")] * 250_000), "decoded"),
    "JPEG of 65535 by 65535": (
        lambda: encode(scene(), "JPEG").replace(struct.pack(">HH", 61, 83), b"\xff\xff\xff\xff"),
        "PictureSizeError",
    ),
    "JPEG of a thousand scans": (lambda: _many_scans(1000), "NotAPicture"),
    "JPEG of 63 scans of the largest size": (lambda: _many_scans(53, 4096), "NotAPicture"),
    "JPEG of 63 scans, too large": (lambda: _many_scans(53, 4112), "PictureSizeError"),
    "JPEG of the largest size without data": (lambda: _without_data(4096), "NotAPicture"),
    "JPEG too large and without data": (lambda: _without_data(4112), "PictureSizeError"),
    "JPEG without an end": (lambda: encode(Image.new("L", (2880, 2880)), "JPEG")[:-2], "decoded"),
    "GIF of 300 empty frames": (lambda: gif_of_frames(300, 512), "decoded"),
    "GIF whose second frame is 65535 by 65535": (
        lambda: gif_of_frames(1, 64)[:-1] + b"," + struct.pack("<HHHH", 0, 0, 65535, 65535) + b"\0\2\2\x4c\1\0;",
        "NotAPicture",
    ),
    "APNG whose frame is 2³¹ by 2³¹": (lambda: apng((2**31 - 1, 2**31 - 1, 0, 0, b"x")), "NotAPicture"),
    "APNG with half a gigabyte behind a frame's rows": (lambda: apng((64, 64, 0, 0, bytes(512 << 20))), "decoded"),
    "JPEG of a million segments": (
        lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000 + encode(scene(), "JPEG")[2:],
        "NotAPicture",
    ),
    "GIF of 65535 by 65535": (
        lambda: b"GIF89a\xff\xff\xff\xff" + _gif(b"")[10:],
        "PictureSizeError",
    ),
    "GIF of 200,000 frames": (lambda: _gif(b"")[:-1] + b",\0\0\0\0\1\0\1\0\0\2\2\x4c\1\0" * 200_000 + b";", "decoded"),
    "GIF with comments byte by byte": (lambda: _gif(b"!\xfe" + b"\1a" * 1_500_000 + b"\0"), "decoded"),
    "GIF with frame controls byte by byte": (lambda: _gif(b"!\xf9" + b"\1a" * 1_500_000 + b"\0"), "decoded"),
    "BMP of 2³¹ by 1": (lambda: rle_bmp(2**31 - 1, 1, b"\0\1"), "PictureSizeError"),
    "BMP of 2³¹ by -2³¹": (lambda: rle_bmp(2**31 - 1, -(2**31), b"\0\1"), "PictureSizeError"),
    "BMP of one run after the other": (lambda: rle_bmp(64, 64, b"\1\5" * 1_000_000), "NotAPicture"),
    "BMP of leaps": (lambda: rle_bmp(64, 64, b"\0\2\xff\xff" * 500_000), "decoded"),
    "BMP of a header without end": (
        lambda: b"BM" + bytes(8) + struct.pack("<IIii", 54, 2**32 - 1, 64, 64) + bytes(64),
        "NotAPicture",
    ),
    "WebP canvas of 2²⁴ by 2²⁴": (
        lambda: b"RIFF\0\1\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6 + encode(scene(), "WEBP")[12:],
        "PictureSizeError",
    ),
}

_CHILD = """
import json, resource, sys
from pathlib import Path
from lookalike.errors import LookalikeError
from lookalike.imaging.file_headers import open_picture_file
from lookalike.imaging.decode import Bounds, decode

bounds = Bounds(4 << 20, 15, 4096, 4096 * 4096, frozenset({"JPEG", "PNG", "BMP", "GIF", "WEBP"}))

def outcome(path):
    try:
        decode(path.read_bytes(), bounds)
    except LookalikeError as error:
        return type(error).__name__
    return "decoded"

def peak():  # kilobytes
    status = Path("/proc/self/status")  # of this program alone; Linux's ru_maxrss counts the one before exec too
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))

harmless, folder = map(Path, sys.argv[1:])
for path in harmless.iterdir():
    outcome(path)
before = peak()
outcomes = {path.name: outcome(path) for path in sorted(folder.iterdir())}
print(json.dumps([outcomes, peak() - before]))
"""


@pytest.mark.slow
def test_bombs_cost_no_memory_to_speak_of(tmp_path: Path) -> None:
    """All of them, one after the other, in a process of their own: its peak grows by what some of the files weigh."""
    harmless, folder = tmp_path / "harmless", tmp_path / "bombs"
    harmless.mkdir()
    folder.mkdir()
    for name, file in samples().items():
        (harmless / name).write_bytes(file)
    for name, (make, _) in BOMBS.items():
        file = make()
        assert len(file) <= BOUNDS.max_bytes, name
        (folder / name).write_bytes(file)
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(harmless), str(folder)], check=True, capture_output=True, text=True
    )
    outcomes, growth = json.loads(child.stdout)
    print("GROWTH", growth)
    assert outcomes == {name: end for name, (_, end) in BOMBS.items()}
    assert growth < 48 * 1024  # kilobytes


@pytest.mark.slow
def test_a_progressive_jpeg_may_have_as_many_scans_as_encoders_make() -> None:
    assert decode(_many_scans(40), BOUNDS).pixels.shape == (2000, 2000, 3)
    assert decode(_many_scans(10, 4096), BOUNDS).pixels.shape == (4096, 4096, 3)
    with pytest.raises(NotAPicture):
        decode(_many_scans(11, 4096), BOUNDS)
    own = replace(BOUNDS, max_side=30_000, max_pixels=200_000_000)
    assert decode(encode(Image.new("L", (4200, 4200)), "JPEG", progressive=True), own).format == "JPEG"


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    st.sampled_from(["L", "RGB", "CMYK"]),
    st.booleans(),
    st.sampled_from([0, 128, 255]),
)
@settings(max_examples=examples(150), deadline=None)
def test_no_jpeg_is_too_small_for_a_flat_sheet(
    width: int, height: int, subsampling: str, mode: str, progressive: bool, value: int
) -> None:
    sheet = Image.new("RGB", (width, height), (value, value, value)).convert(mode)
    file = encode(sheet, "JPEG", subsampling=subsampling, progressive=progressive, optimize=True, quality=1)
    assert decode(file, TINY).pixels.shape == (height, width, 3)
