"""Digests of content that RGB pixels do not show."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.picture import Decoded
from lookalike.imaging.decode import FORMATS, Bounds, decode, hidden_digest_of_file
from tests.unit.imaging.pictures.blank import DRAWN, INKS, OTHERS, WIDTH, drawn, hidden, opaque, wide
from tests.unit.imaging.pictures.draw import FOLDER
from tests.unit.imaging.pictures.files import ORIENTATIONS, chunk, encode, exif, png_with
from tests.unit.imaging.pictures.twins import TWINS, shadow, stamp, wide_samples

BOUNDS = Bounds(max_bytes=4 << 20, min_side=1, max_side=4096, max_pixels=4096 * 4096, formats=FORMATS)


def read(file: bytes) -> Decoded:
    return decode(file, BOUNDS)


@pytest.mark.parametrize("twins", TWINS.values(), ids=TWINS)
def test_pictures_of_the_same_pixels_are_told_apart(twins: Sequence[bytes]) -> None:
    decoded = [read(file) for file in twins]
    assert len({one.digest for one in decoded}) == 1
    assert len({one.full_digest for one in decoded}) == len(twins)
    assert [hidden_digest_of_file(file) for file in twins] == [one.hidden for one in decoded]


@pytest.mark.parametrize("twins", TWINS.values(), ids=TWINS)
def test_the_same_picture_is_the_same_in_another_file(twins: Sequence[bytes]) -> None:
    for file in twins:
        again = read(png_with(file, chunk(b"tEXt", b"Comment\0again")))
        assert again.full_digest == read(file).full_digest
        assert again.file_digest != read(file).file_digest


@pytest.mark.parametrize("name", [path.name for path in sorted(FOLDER.iterdir()) if path.suffix == ".jpg"])
def test_a_jpeg_hides_nothing(name: str) -> None:
    assert read((FOLDER / name).read_bytes()).hidden is None


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_what_is_opaque_hides_nothing(form: str) -> None:
    assert read(encode(drawn(1), form)).hidden is None
    if form != "JPEG":
        assert read(encode(drawn(1).convert("RGBA"), form)).hidden is None


@pytest.mark.parametrize("maker", [*INKS.values(), *DRAWN.values(), *OTHERS.values()])
def test_blank_pictures_are_one_with_themselves_alone(maker: object) -> None:
    assert callable(maker)
    assert read(maker(1)).full_digest == read(maker(1)).full_digest != read(maker(2)).full_digest


def test_alpha_that_says_nothing_hides_nothing() -> None:
    assert read(encode(hidden(1), "PNG")).full_digest == read(encode(drawn(1), "PNG")).full_digest


def test_the_colour_of_what_is_transparent_does_not_count() -> None:
    pixels = np.array(stamp(1))
    pixels[pixels[..., 3] == 0] = (1, 2, 3, 0)
    assert read(encode(pixels, "PNG")).full_digest == read(encode(stamp(1), "PNG")).full_digest


def test_nothing_is_not_a_white_sheet() -> None:
    nothing, sheet = (
        Image.new("RGBA", (20, 20), (255, 255, 255, 0)),
        Image.new("RGB", (20, 20), (255, 255, 255)),
    )
    assert read(encode(nothing, "PNG")).full_digest != read(encode(sheet, "PNG")).full_digest


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_picture_is_one_in_whatever_lossless_file(form: str) -> None:
    for image in (stamp(1), shadow(130)):
        expected = read(encode(image, "PNG")).full_digest
        assert read(encode(image, form, lossless=True, exact=True)).full_digest == expected


@pytest.mark.parametrize("turn", ORIENTATIONS)
def test_it_is_turned_as_exif_says(turn: int) -> None:
    upright = ORIENTATIONS[turn](np.array(stamp(1)))
    turned = read(png_with(encode(stamp(1), "PNG"), chunk(b"eXIf", exif(turn))))
    assert turned.full_digest == read(encode(np.ascontiguousarray(upright), "PNG")).full_digest
    samples = np.asarray(drawn(1)).astype(np.uint16)
    turned = read(png_with(wide(samples, 2), chunk(b"eXIf", exif(turn))))
    assert turned.hidden == read(wide(ORIENTATIONS[turn](samples), 2)).hidden is not None


@pytest.mark.parametrize("colour", [0, 2], ids=["grey", "RGB"])
def test_low_bytes_that_nobody_sees_hide_nothing(colour: int) -> None:
    files = [wide(wide_samples(seed) if colour else wide_samples(seed)[..., 0], colour) for seed in (1, 2)]
    in_8_bits = drawn(1) if colour else drawn(1).getchannel("R")
    assert len({read(file).full_digest for file in (*files, encode(in_8_bits, "PNG"))}) == 1


def test_high_bytes_count_where_low_bytes_are_the_picture() -> None:
    low = np.asarray(drawn(1)).astype(np.uint16)
    one, other = read(wide(low + 256, 2)), read(wide(low + 512, 2))
    assert one.digest == other.digest
    assert one.full_digest != other.full_digest


def test_the_digests_are_of_what_they_are_said_to_be_of() -> None:
    """Libraries keep pictures by them."""
    pixels = np.random.default_rng(1).integers(0, 256, (150, 3, 4), np.uint8)
    pixels[140] = (9, 9, 9, 0)
    decoded = read(encode(pixels, "PNG"))
    pixels[140] = 0
    assert decoded.hidden == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert decoded.full_digest == hashlib.sha256(bytes.fromhex(decoded.digest + decoded.hidden)).hexdigest()
    samples = np.random.default_rng(2).integers(256, 512, (150, 3, 3), np.uint16)
    high, low = (opaque(samples) >> 8).astype(np.uint8), opaque(samples).astype(np.uint8)
    decoded = read(wide(samples, 2))
    assert decoded.hidden == hashlib.sha256(np.dstack([high, low]).tobytes()).hexdigest()
    plain = read(encode(drawn(1), "PNG"))
    assert plain.full_digest == hashlib.sha256(bytes.fromhex(plain.digest)).hexdigest()


COLOURS = st.sampled_from([0, 1, 100, 253, 254, 255])
PIXEL = st.tuples(COLOURS, COLOURS, COLOURS, st.sampled_from([0, 2, 128, 254, 255]))
PICTURE = st.lists(PIXEL, min_size=3, max_size=3).map(lambda pixels: np.array([pixels], np.uint8))


def grounds(pixels: NDArray[np.uint8]) -> list[bytes]:
    """Return the picture on every background; a channel depends on its own background alone, so greys suffice."""
    image = Image.fromarray(pixels)
    laid = [Image.new("RGB", image.size, (grey, grey, grey)) for grey in range(256)]
    for background in laid:
        background.paste(image, mask=image)
    return [background.tobytes() for background in laid]


@given(PICTURE, st.data())
def test_two_pictures_are_one_where_they_are_the_same_on_every_ground(
    first: NDArray[np.uint8], data: st.DataObject
) -> None:
    second = first.copy()
    for place in data.draw(st.sets(st.integers(0, 2))):
        # Often what looks the same on white: that is what has to be told apart.
        alpha = int(first[0, place, 3])
        on_white = [255 - (255 - int(c)) * alpha // 255 for c in first[0, place, :3]]
        second[0, place] = data.draw(st.one_of(PIXEL, st.just((*on_white, 255))))
    for pixels in (first, second):  # alpha that is zero everywhere is ignored, and colours are shown
        assume(pixels[..., 3].any())
    one, other = read(encode(first, "PNG")), read(encode(second, "PNG"))
    assert (one.full_digest == other.full_digest) == (grounds(first) == grounds(second))
    assert (one.digest, one.hidden) == (other.digest, other.hidden) or one.full_digest != other.full_digest


def test_an_opaque_twin_has_a_full_digest_of_its_own() -> None:
    clear, solid = (read(file) for file in TWINS["a shadow and its opaque copy"])
    assert clear.digest == solid.digest
    assert clear.hidden is not None
    assert solid.hidden is None
    assert clear.full_digest != solid.full_digest
    assert solid.full_digest != solid.digest
    assert clear.pixels.shape[1] == WIDTH
