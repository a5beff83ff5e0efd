"""Windows: pages and collages are divided into their pictures, photographs are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from lookalike.domain.geometry import Box
from lookalike.domain.picture import Pixels
from lookalike.verification.windows import MAX_WINDOWS, detect_windows
from tests.support.photographs import photograph

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "china.jpg")


def shown(name: str, width: int, height: int) -> Image.Image:
    return ImageOps.fit(photograph(name).convert("RGB"), (width, height))


def windows(picture: Image.Image) -> list[Box]:
    return detect_windows(np.asarray(picture))


def lies_at(box: Box, left: int, top: int, right: int, bottom: int, picture: Image.Image) -> bool:
    """Whether a box is that of these pixels, to a hundredth."""
    width, height = picture.size
    wanted = left / width, top / height, right / width, bottom / height
    return bool(np.allclose((box.left, box.top, box.right, box.bottom), wanted, atol=0.01))


@pytest.mark.parametrize("gap", [0, 8])
def test_a_collage_is_divided_at_gaps_and_at_seams(gap: int) -> None:
    side = 300
    collage = Image.new("RGB", (2 * side + gap, 2 * side + gap), "white")
    places = [(column * (side + gap), row * (side + gap)) for row in (0, 1) for column in (0, 1)]
    for name, place in zip(NAMES, places, strict=True):
        collage.paste(shown(name, side, side), place)
    found = windows(collage)
    for left, top in places:
        assert any(lies_at(box, left, top, left + side, top + side, collage) for box in found)


def test_a_page_shows_its_pictures_and_not_its_text() -> None:
    page = Image.new("RGB", (1200, 900), "white")
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, 1200, 60), fill=(40, 60, 120))
    for line in range(24):
        pen.text((60, 120 + 30 * line), "the quick brown fox jumps over the lazy dog", fill="black", font_size=18)
    page.paste(shown("astronaut.png", 240, 180), (600, 150))
    page.paste(shown("coffee.png", 180, 240), (900, 500))
    first, second = windows(page)
    assert {lies_at(first, 600, 150, 840, 330, page), lies_at(first, 900, 500, 1080, 740, page)} == {True, False}
    assert {lies_at(second, 600, 150, 840, 330, page), lies_at(second, 900, 500, 1080, 740, page)} == {True, False}


def page_of_text() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A heading and 24 lines of words."""
    page = Image.new("RGB", (1280, 900), "white")
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, 1280, 64), fill=(40, 60, 120))
    pen.text((30, 14), "Circle canvas", fill="white", font_size=30)
    pen.text((40, 90), "Marble amber fabric paper garden stone", fill="black", font_size=34)
    for line in range(24):
        pen.text((40, 160 + 28 * line), "the quick brown fox jumps over the lazy dog", fill="black", font_size=15)
    return page, pen


def test_text_alone_shows_no_picture() -> None:
    assert windows(page_of_text()[0]) == []


def test_a_wide_picture_at_a_tenth_of_a_page_is_found() -> None:
    page, _ = page_of_text()
    page.paste(shown("coffee.png", 128, 68), (700, 400))
    (box,) = windows(page)
    assert lies_at(box, 700, 400, 828, 468, page)


def test_a_thing_cut_out_on_plain_ground_is_found() -> None:
    page, _ = page_of_text()
    ground, mask = Image.new("RGB", (200, 160), "white"), Image.new("L", (200, 160))
    ImageDraw.Draw(mask).polygon([(100, 10), (190, 150), (160, 150), (100, 50), (40, 150), (10, 150)], fill=255)
    page.paste(Image.composite(shown("chelsea.png", 200, 160), ground, mask), (700, 400))
    (box,) = windows(page)
    assert lies_at(box, 710, 410, 891, 551, page)


def test_an_outline_and_a_button_are_no_things_cut_out() -> None:
    page, pen = page_of_text()
    pen.ellipse((700, 200, 900, 400), outline="black", width=6)
    pen.rounded_rectangle((700, 500, 900, 580), 20, fill=(200, 40, 40))
    assert windows(page) == []


def test_an_edge_across_a_small_picture_does_not_divide_it() -> None:
    page, _ = page_of_text()
    picture = shown("astronaut.png", 160, 120)
    picture.paste(shown("coffee.png", 80, 120), (80, 0))
    page.paste(picture, (700, 400))
    (box,) = windows(page)
    assert lies_at(box, 700, 400, 860, 520, page)


def test_a_plain_border_is_left_out() -> None:
    picture = ImageOps.expand(shown("chelsea.png", 500, 400), 80, (230, 220, 210))
    (box,) = windows(picture)
    assert lies_at(box, 80, 80, 580, 480, picture)


@pytest.mark.parametrize("name", NAMES[:3])
def test_a_photograph_is_one_whole(name: str) -> None:
    assert windows(photograph(name).convert("RGB")) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 2), (40, 40), (5, 700)])
@pytest.mark.parametrize("grey", [0, 255])
def test_flat_and_tiny_pictures_have_none(size: tuple[int, int], grey: int) -> None:
    assert detect_windows(np.full((*size, 3), grey, np.uint8)) == []


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    colours=st.integers(1, 256),
    scale=st.integers(1, 8),
    seed=st.integers(0, 9),
)
def test_any_picture_has_few_windows_within_it(height: int, width: int, colours: int, scale: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    pixels: Pixels = chance.integers(0, colours, (height, width, 3)).astype(np.uint8)
    pixels = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    found = detect_windows(pixels)
    assert len(found) <= MAX_WINDOWS
    assert found == detect_windows(pixels)
    for box in found:
        assert 0 <= box.left < box.right <= 1
        assert 0 <= box.top < box.bottom <= 1
    areas = [(box.right - box.left) * (box.bottom - box.top) for box in found]
    assert areas == pytest.approx(sorted(areas, reverse=True))
