"""What is too large, or of a format that no library keeps, becomes a picture that every library takes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.errors import NotAPicture, PictureSizeError
from lookalike.imaging import arriving
from lookalike.imaging.arriving import FITTED_SIDE, fitted, is_arriving
from lookalike.imaging.decode import FORMATS, Bounds, decode

BOUNDS = Bounds(1 << 22, 15, 4999, 4999 * 4999, FORMATS)


def noise(size: tuple[int, int], mode: str = "RGB", seed: int = 1) -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], bands), np.uint8)
    return Image.fromarray(values[..., 0] if bands == 1 else values, mode)


def file_of(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
def test_what_fits_stays_as_it_came(form: str) -> None:
    assert fitted(file_of(noise((60, 40)), form), BOUNDS) is None


@pytest.mark.parametrize(
    ("form", "options"),
    [("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "jpeg"}), ("AVIF", {"quality": 95})],
)
def test_formats_that_no_library_keeps(form: str, options: dict[str, object]) -> None:
    smooth = noise((8, 6)).resize((160, 120), Image.Resampling.BICUBIC)
    data = file_of(smooth, form, **options)
    assert is_arriving(data[:32])
    made = fitted(data, BOUNDS)
    assert made is not None
    assert made == fitted(data, BOUNDS)
    shown = decode(made, BOUNDS).pixels.astype(int)
    assert (
        np.abs(shown - np.asarray(smooth, int)).mean()
        < (0.5 if form == "TIFF" and not options.get("quality") else 4) * 4
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_tiff_of_every_mode(mode: str) -> None:
    grey = noise((40, 30), "L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey, np.uint16) * 257)
    elif mode in ("I", "F"):
        image = Image.fromarray(np.asarray(grey, np.int32 if mode == "I" else np.float32))
    else:
        image = noise((40, 30)).convert("L" if mode == "LA" else "RGB").convert(mode)
    made = fitted(file_of(image, "TIFF"), BOUNDS)
    assert made is not None
    assert decode(made, BOUNDS).pixels.shape == (30, 40, 3)


def test_a_large_picture_is_scaled_down_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (5200, 1000), "red")
    image.paste("blue", (0, 0, 600, 1000))
    made = fitted(file_of(image, "JPEG", exif=exif), BOUNDS)
    assert made is not None
    pixels = decode(made, BOUNDS).pixels
    assert pixels.shape == (FITTED_SIDE, round(1000 * FITTED_SIDE / 5200), 3)
    assert tuple(pixels[10, 300]) > (0, 0, 200)
    assert pixels[10, 300, 2] > 200
    assert pixels[4000, 300, 0] > 200


def test_too_many_bytes_become_fewer() -> None:
    data = file_of(noise((1500, 1200)), "PNG")
    assert len(data) > BOUNDS.max_bytes
    made = fitted(data, BOUNDS)
    assert made is not None
    assert len(made) <= BOUNDS.max_bytes
    with pytest.raises(PictureSizeError, match="once it is scaled down"):
        fitted(data, Bounds(1000, 1, 4999, 1 << 25, FORMATS))


def test_more_than_may_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    data = file_of(noise((300, 200)), "TIFF")
    monkeypatch.setattr(arriving, "MAX_ARRIVING_PIXELS", 50_000)
    with pytest.raises(PictureSizeError, match="300×200 pixels, more than 50000"):
        fitted(data, BOUNDS)
    monkeypatch.setattr(arriving, "MAX_ARRIVING_BYTES", 5000)
    with pytest.raises(PictureSizeError, match="bytes, more than 5000"):
        fitted(data, BOUNDS)


def test_heic_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "find_spec", lambda _: None)
    with pytest.raises(NotAPicture, match="HEIC is read where pillow-heif is installed"):
        fitted(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), BOUNDS)


def heic(size: tuple[int, int], orientation: int = 1) -> bytes:
    """A picture whose left half is red and whose right half is blue."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heic")
    picture = Image.new("RGB", size, (200, 30, 30))
    picture.paste((30, 30, 200), (size[0] // 2, 0, *size))
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    pillow_heif.from_pillow(picture).save(file, quality=90, exif=exif.tobytes())
    return file.getvalue()


@pytest.mark.parametrize(
    ("orientation", "left", "size"), [(1, "red", (96, 64)), (3, "blue", (96, 64)), (6, "red", (64, 96))]
)
def test_a_telephone_s_picture_is_read_upright(orientation: int, left: str, size: tuple[int, int]) -> None:
    data = heic((96, 64), orientation)
    assert arriving.arriving_format(data) == "HEIC"
    made = fitted(data, BOUNDS)
    assert made is not None
    picture = Image.open(io.BytesIO(made))
    assert (picture.format, picture.size) == ("JPEG", size)
    red, _, blue = np.asarray(picture.convert("RGB"))[8, 8].astype(int)
    assert (red > blue) == (left == "red")


def test_a_telephone_s_picture_that_is_too_large_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic((96, 64))
    monkeypatch.setattr(arriving, "MAX_ARRIVING_PIXELS", 5000)
    monkeypatch.setattr("pillow_heif.HeifFile.to_pillow", None)
    with pytest.raises(PictureSizeError, match=r"96×64 pixels, more than 5000"):
        fitted(data, BOUNDS)


@pytest.mark.parametrize("left", [30, 200, 400, -1000, -5])
def test_a_telephone_s_picture_cut_short_is_refused(left: int) -> None:
    with pytest.raises(NotAPicture):
        fitted(heic((960, 640))[:left], BOUNDS)


@given(st.sampled_from([b"II*\0", b"MM\0*", b"\0\0\0\x1cftypavif\0\0\0\0"]), st.binary(max_size=200))
def test_broken_files_are_refused_and_nothing_else_happens(beginning: bytes, rest: bytes) -> None:
    with pytest.raises((NotAPicture, PictureSizeError)):
        fitted(beginning + rest, BOUNDS)


@given(st.integers(0, 400))
def test_a_tiff_cut_short_is_refused_or_read(cut: int) -> None:
    data = file_of(noise((20, 16)), "TIFF", compression="tiff_lzw")
    try:
        made = fitted(data[: len(data) - cut], BOUNDS)
    except NotAPicture:
        return
    assert made is not None
