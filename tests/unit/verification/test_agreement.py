"""What of two pictures agrees: copies do, other contents of one layout do not, and what differs is named."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from lookalike.domain.geometry import (
    IDENTITY,
    MAX_BLOCK_DIFFERENCE,
    MAX_BLOCK_DIFFERENCE_IN_NOISE,
    MAX_CLEAN_NOISE,
    MAX_COLOUR_DIFFERENCE,
    MAX_HUE_TURNED,
    MIN_NOISE,
    MIN_PROVING_BLOCKS,
    MIN_SHARE,
    MIN_SHARE_IN_CLEAN,
    MIN_SHARE_IN_NOISE,
    MIN_WEAKEST,
    MIN_WEAKEST_IN_CLEAN,
    WHOLE,
    Affine,
    Agreement,
    Box,
    GeometricMatch,
)
from lookalike.domain.picture import Pixels
from lookalike.service.ranking import MAX_DIFFERING_SCORE, verified_score
from lookalike.verification.agreement import measure_agreement
from lookalike.verification.match_score import NEVER_MATCHES
from lookalike.verification.overlay import Picture
from lookalike.verification.regions import MAX_REGIONS, Grid, boxes_of
from lookalike.verification.verifier import FeatureMapVerifier
from tests.quality.close_pairs import CLOSE
from tests.support.photographs import jpeg, photograph

SIZE = (480, 360)


def measured(query: Image.Image, original: Image.Image, transform: Affine = IDENTITY) -> Agreement:
    first, second = (Picture.of(np.asarray(image.convert("RGB"))) for image in (query, original))
    agreement = measure_agreement(first, second, transform)
    assert agreement is not None
    return agreement


def page(seed: int, lines: int = 12) -> Image.Image:
    """A letter of one layout: head, frame and button are common, words are not."""
    chance = np.random.default_rng(seed)
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 10, 470, 70), fill=(20, 60, 120))
    draw.rectangle((10, 10, 470, 350), outline="black", width=3)
    draw.rounded_rectangle((170, 305, 310, 340), 8, fill=(220, 120, 20))
    for line in range(lines):
        x = 30.0
        while x < 430:
            word = float(chance.uniform(6, 50))
            draw.rectangle((x, 90 + 17 * line, min(x + word, 450), 99 + 17 * line), fill=(40, 40, 40))
            x += word + float(chance.uniform(4, 12))
    return image


def poor_jpeg(image: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(jpeg(image, 25))).convert("RGB")


def noisy(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 12, (image.height, image.width, 1))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


LIGHT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "poor JPEG": poor_jpeg,
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "larger": lambda image: image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC),
    "grey": lambda image: ImageOps.grayscale(image).convert("RGB"),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "tinted": lambda image: Image.fromarray((np.asarray(image) * np.array([1, 0.85, 0.6])).astype(np.uint8)),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "noisy": noisy,
}


@pytest.mark.parametrize("change", LIGHT)
@pytest.mark.parametrize("picture", ["chelsea.png", "coffee.png", "rocket.jpg", "page"])
def test_a_copy_agrees(picture: str, change: str) -> None:
    original = page(1) if picture == "page" else photograph(picture, 480)
    agreement = measured(LIGHT[change](original), original)
    assert agreement.agrees, agreement
    assert agreement.share > 0.85


def test_the_identical_picture_agrees_in_everything() -> None:
    agreement = measured(page(1), page(1))
    assert agreement == Agreement(1.0, 1.0, recoloured=0.0, hue_turned=0.0, blocks=agreement.blocks)
    assert agreement.proves


@pytest.mark.parametrize("seed", range(2, 8))
def test_another_content_of_one_layout_does_not_agree(seed: int) -> None:
    agreement = measured(page(seed), page(1))
    assert not agreement.structure_agrees
    assert agreement.share < 0.7
    assert agreement.regions


def test_one_field_of_a_form_is_found_to_differ() -> None:
    other = page(1)
    ImageDraw.Draw(other).rectangle((60, 190, 200, 240), fill="white")
    agreement = measured(other, page(1))
    assert not agreement.structure_agrees
    assert 0.5 < agreement.share < 0.99
    (region, *_) = agreement.regions
    assert region.left < 130 / 480 < region.right
    assert region.top < 215 / 360 < region.bottom


def card(suit: str) -> Image.Image:
    """A playing card: frame, rank and figure are common to all suits of one colour."""
    image = Image.new("RGB", (400, 560), "white")
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((6, 6, 394, 554), 26, outline=(150, 150, 150), width=3)
    draw.rectangle((90, 110, 310, 450), outline="black", width=4)
    draw.polygon([(200, 190), (285, 250), (250, 360), (150, 360), (115, 250)], fill="black")
    for x, y in ((47, 96), (353, 464)):
        if suit == "diamond":
            draw.polygon([(x, y - 18), (x + 14, y), (x, y + 18), (x - 14, y)], fill="black")
        else:
            draw.ellipse((x - 15, y - 15, x + 15, y + 15), fill="black")
    return image


def test_of_clean_pictures_a_pip_tells() -> None:
    agreement = measured(card("disc"), card("diamond"))
    assert agreement.noise < MAX_CLEAN_NOISE
    assert MIN_SHARE < agreement.share < MIN_SHARE_IN_CLEAN
    assert not agreement.structure_agrees
    assert measured(poor_jpeg(card("disc")), card("disc")).agrees


@pytest.mark.parametrize(
    ("share", "weakest", "noise", "agrees"),
    [
        (MIN_SHARE_IN_CLEAN, MIN_WEAKEST_IN_CLEAN, 0.0, True),
        (MIN_SHARE_IN_CLEAN - 0.01, 1.0, 0.0, False),
        (1.0, MIN_WEAKEST_IN_CLEAN - 0.01, 0.0, False),
        (MIN_SHARE, MIN_WEAKEST, MAX_CLEAN_NOISE, True),
        (MIN_SHARE - 0.01, 1.0, MAX_CLEAN_NOISE, False),
        (MIN_SHARE_IN_NOISE, MIN_WEAKEST, MIN_NOISE, True),
        (MIN_SHARE_IN_NOISE - 0.01, 1.0, MIN_NOISE, False),
    ],
)
def test_the_noisier_the_less_must_agree(share: float, weakest: float, noise: float, agrees: bool) -> None:
    assert Agreement(share, weakest, recoloured=0.0, hue_turned=0.0, noise=noise).structure_agrees == agrees


def test_a_place_is_proved_by_enough_blocks_in_the_same_colours_without_noise() -> None:
    proving = Agreement(
        1.0, 1.0, 0.0, 0.0, noise=0.2, blocks=MIN_PROVING_BLOCKS, colour_difference=MAX_COLOUR_DIFFERENCE
    )
    assert proving.proves
    assert not replace(proving, blocks=MIN_PROVING_BLOCKS - 1).proves
    assert not replace(proving, colour_difference=MAX_COLOUR_DIFFERENCE + 0.01).proves
    assert not replace(proving, noise=MIN_NOISE).proves
    assert not replace(proving, share=0.5).proves


def flag(*colours: tuple[int, int, int]) -> Image.Image:
    """Three fields beside each other."""
    return Image.fromarray(np.repeat(np.array(colours, np.uint8)[None], 320, axis=0).repeat(160, axis=1))


def test_fields_of_a_flag_need_more_than_any_map_of_colours() -> None:
    first = flag((200, 20, 40), (255, 255, 255), (30, 60, 150))
    other = measured(flag((20, 120, 60), (250, 210, 30), (20, 20, 20)), first)
    assert other.structure_agrees
    assert not other.colours_agree
    assert other.colour_difference > MAX_COLOUR_DIFFERENCE
    for change in LIGHT.values():
        assert measured(change(first), first).agrees
    assert measured(poor_jpeg(first), first).colour_difference < MAX_COLOUR_DIFFERENCE


def test_long_edges_do_not_shear_a_picture_of_few() -> None:
    image = Image.new("RGB", SIZE, (110, 110, 110))
    draw = ImageDraw.Draw(image)
    draw.polygon([(480, 180), (480, 360), (150, 360)], fill=(60, 60, 60))
    draw.ellipse((300, 30, 400, 130), fill=(220, 220, 220))
    draw.rectangle((150, 170, 260, 210), fill="white")
    crop, off = image.crop((96, 0, 480, 288)), 0.012
    agreement = measured(crop, image, (0.8 + off, 0.0, 0.2 - off, 0.0, 0.8 + off, 0.0))
    assert agreement.share > 0.99
    assert agreement.weakest > 0.95


def test_a_part_of_another_colour_is_recoloured() -> None:
    other = page(1)
    ImageDraw.Draw(other).rounded_rectangle((170, 305, 310, 340), 8, fill=(40, 160, 60))
    agreement = measured(other, page(1))
    assert agreement.structure_agrees
    assert not agreement.colours_agree
    (region,) = agreement.recoloured_regions
    assert region.left == pytest.approx(170 / 480, abs=0.03)
    assert region.bottom == pytest.approx(340 / 360, abs=0.03)


def test_turned_hues_are_told_though_one_map_explains_them() -> None:
    agreement = measured(Image.fromarray(np.asarray(page(1))[..., [2, 0, 1]]), page(1))
    assert agreement.structure_agrees
    assert agreement.hue_turned == pytest.approx(0.2, abs=0.08)


def branded(colour: str | tuple[int, int, int], side: int = 150) -> Image.Image:
    """Black words and one mark on white."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((30, 30, 30 + side, 30 + side), side // 8, fill=colour)
    for line in range(3):
        draw.text((30, 230 + 36 * line), "Brand studio and sons", font=ImageFont.load_default(30), fill="black")
    return image


BRANDS = {"red": (200, 30, 40), "green": (30, 150, 60), "blue": (30, 60, 200), "violet": (150, 50, 180)}


@pytest.mark.parametrize("side", [58, 150])
@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(BRANDS, 2)))
def test_a_brand_in_another_hue_is_recoloured_though_black_and_white_stay(first: str, second: str, side: int) -> None:
    if {first, second} == {"blue", "violet"}:
        return  # neighbours, less than 45 degrees from each other
    agreement = measured(poor_jpeg(branded(BRANDS[second], side)), branded(BRANDS[first], side))
    assert agreement.structure_agrees
    assert not agreement.colours_agree
    assert agreement.recoloured < 4 * (side / 480) * (side / 360)
    assert agreement.recoloured_regions[0].right < 0.55


@pytest.mark.parametrize("change", LIGHT)
@pytest.mark.parametrize("colour", BRANDS)
def test_a_filter_recolours_no_brand(colour: str, change: str) -> None:
    assert measured(LIGHT[change](branded(BRANDS[colour])), branded(BRANDS[colour])).agrees


def test_without_white_or_grey_a_vivid_hue_is_not_told() -> None:
    first = Image.new("RGB", SIZE, (200, 30, 40))
    ImageDraw.Draw(first).rectangle((50, 50, 90, 90), fill=(250, 210, 30))
    agreement = measured(Image.fromarray(np.asarray(first)[..., [2, 0, 1]]), first)
    assert agreement.vividly_turned == 0
    assert agreement.hue_turned > MAX_HUE_TURNED


@pytest.mark.parametrize(
    ("difference", "noise", "agrees"),
    [
        (MAX_BLOCK_DIFFERENCE, 0.2, True),
        (MAX_BLOCK_DIFFERENCE + 1, 0.2, False),
        (MAX_BLOCK_DIFFERENCE_IN_NOISE, MIN_NOISE, True),
        (MAX_BLOCK_DIFFERENCE_IN_NOISE + 1, 0.6, False),
    ],
)
def test_no_block_differs_by_more_than_noise_does(difference: float, noise: float, agrees: bool) -> None:
    assert Agreement(1.0, 1.0, 0.0, 0.0, noise=noise, block_difference=difference).structure_agrees == agrees


@pytest.mark.parametrize("size", [1.0, 2.0, 0.75])
def test_pips_of_another_suit_are_no_noise_however_many_they_are(size: float) -> None:
    pair = CLOSE["deck"](Random("13 deck 2"))
    sides = round(size * pair.other.width), round(size * pair.other.height)
    other = measured(pair.other.resize(sides, Image.Resampling.BILINEAR), pair.picture)
    assert other.noise > MAX_CLEAN_NOISE
    assert other.block_difference > MAX_BLOCK_DIFFERENCE
    assert not other.structure_agrees
    assert measured(pair.picture.resize(sides, Image.Resampling.BILINEAR), pair.picture).agrees


@pytest.mark.parametrize("number", range(4, 7))
def test_nor_are_they_at_half_the_size(number: int) -> None:
    pair = CLOSE["deck"](Random(f"19 deck {number}"))
    sides = pair.other.width // 2, pair.other.height // 2
    assert not measured(pair.other.resize(sides, Image.Resampling.BILINEAR), pair.picture).structure_agrees
    assert measured(pair.picture.resize(sides, Image.Resampling.BILINEAR), pair.picture).agrees


def test_what_of_a_clean_copy_falls_short_is_shown() -> None:
    pair = CLOSE["plate"](Random("41 plate 0"))
    agreement = measured(pair.other, pair.picture)
    assert agreement.weakest == 1
    assert not agreement.structure_agrees
    assert agreement.regions


PAIRS: dict[str, Callable[[], tuple[Image.Image, Image.Image]]] = {
    "another page": lambda: (page(2), page(1)),
    "another suit": lambda: (card("disc"), card("diamond")),
    "another brand": lambda: (branded("green"), branded("red")),
    "other hues": lambda: (Image.fromarray(np.asarray(page(1))[..., [2, 0, 1]]), page(1)),
    "another flag": lambda: (flag((20, 120, 60), (250, 210, 30)), flag((200, 20, 40), (30, 60, 150))),
    "a poor photograph": lambda: (poor_jpeg(photograph("chelsea.png", 300)), photograph("chelsea.png", 300)),
    "a noisy photograph": lambda: (noisy(photograph("coffee.png", 300)), photograph("coffee.png", 300)),
    "a small page": lambda: (page(1).resize((160, 120)), page(1)),
    "less contrast": lambda: (ImageEnhance.Contrast(page(1)).enhance(0.3), page(1)),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_exactly_what_lowers_the_score_is_shown(pair: str) -> None:
    assert_consistent(measured(*PAIRS[pair]()))


def assert_consistent(agreement: Agreement) -> None:
    """Whether regions are shown, in structure and in colour, exactly where something lowers the score."""
    assert agreement.structure_agrees == (not agreement.regions)
    assert agreement.colours_agree == (not agreement.recoloured_regions)
    if not agreement.colours_agree:
        assert agreement.recoloured > 0
    score = verified_score(GeometricMatch(0.99, 20, 0.9, IDENTITY, WHOLE, agreement))
    assert (score > MAX_DIFFERING_SCORE) == (not agreement.regions and not agreement.recoloured_regions)


@pytest.mark.parametrize(
    "crop", [(48, 36, 432, 324), (0, 0, 300, 300), (100, 60, 220, 150)], ids=["80 %", "corner", "a tenth"]
)
@pytest.mark.parametrize("off", [0.0, 0.025])
def test_a_crop_agrees_though_its_transform_is_only_good_to_a_cell(crop: tuple[int, int, int, int], off: float) -> None:
    original = photograph("astronaut.png", 480).crop((0, 0, 480, 360))
    left, top, right, bottom = crop
    across, down = (right - left) / 480, (bottom - top) / 360
    proved: Affine = (across * (1 + off), off * down, left / 480 + off, -off * across, down, top / 360 - off / 2)
    assert measured(original.crop(crop), original, proved).agrees


def test_a_negative_agrees_once_it_is_turned_back() -> None:
    original = photograph("chelsea.png", 400)
    query = FeatureMapVerifier(NEVER_MATCHES).query(np.asarray(ImageOps.invert(original)), [])
    match = GeometricMatch(0.99, 20, 0.9, IDENTITY, WHOLE)
    agreement = query.agreement(replace(match, inverted=True), np.asarray(original))
    assert agreement == Agreement(1.0, 1.0, 0.0, 0.0, blocks=agreement.blocks if agreement else 0)
    found = query.agreement(match, np.asarray(original))
    assert found is not None
    assert not found.agrees


def test_a_turned_and_mirrored_copy_agrees() -> None:
    original = photograph("coffee.png", 400)
    turned = ImageOps.mirror(original).rotate(-90, expand=True)
    assert measured(turned, original, (0.0, -1.0, 1.0, -1.0, 0.0, 1.0)).agrees
    assert not measured(turned, original, (0.0, 1.0, 0.0, 1.0, 0.0, 0.0)).agrees


def test_what_a_sticker_covers_disagrees_and_the_rest_does_not() -> None:
    original = photograph("chelsea.png", 450)
    covered = original.copy()
    covered.paste(photograph("coffee.png", 200).resize((150, 150)), (40, 60))
    agreement = measured(covered, original)
    assert not agreement.structure_agrees
    assert 0.5 < agreement.share < 0.95
    assert agreement.regions[0].left < 0.2


@pytest.mark.parametrize("transform", [(0.0,) * 6, (1, 0, 5, 0, 1, 0), (1e-9, 0, 0, 0, 1e-9, 0), (1, 1, 0, 1, 1, 0)])
def test_nothing_is_measured_off_the_picture(transform: Affine) -> None:
    picture = Picture.of(np.asarray(photograph("chelsea.png", 200)))
    assert measure_agreement(picture, picture, transform) is None


@st.composite
def poor_pictures(draw: st.DrawFn) -> Pixels:
    """Flat, gradient, two-colour and noise pictures of all sizes and shapes."""
    height, width = draw(st.sampled_from([(1, 1), (1, 300), (300, 2), (7, 9), (50, 400), (64, 64)]))
    chance = np.random.default_rng(draw(st.integers(0, 9)))
    kind = draw(st.sampled_from(["flat", "gradient", "two colours", "noise"]))
    if kind == "flat":
        return np.full((height, width, 3), draw(st.integers(0, 255)), np.uint8)
    if kind == "gradient":
        return np.broadcast_to(np.linspace(0, 255, width)[None, :, None], (height, width, 3)).astype(np.uint8)
    levels = 2 if kind == "two colours" else 256
    return (chance.integers(0, levels, (height, width, 3)) * (255 // (levels - 1))).astype(np.uint8)


@given(
    poor_pictures(), poor_pictures(), st.sampled_from([IDENTITY, (0.5, 0.1, 0.2, -0.1, 0.5, 0.3), (3, 0, -1, 0, 3, -1)])
)
def test_poor_pictures_give_finite_shares_and_the_same_again(query: Pixels, original: Pixels, by: Affine) -> None:
    first = measure_agreement(Picture.of(query), Picture.of(original), by)
    assert first == measure_agreement(Picture.of(query), Picture.of(original), by)
    if first is not None:
        for share in (first.share, first.weakest, first.recoloured, first.hue_turned, first.vividly_turned):
            assert -1e-6 <= share <= 1 + 1e-6
        assert_consistent(first)


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 13)), max_size=60))
def test_regions_hold_what_disagrees(set_: set[tuple[int, int]]) -> None:
    cells = np.zeros((10, 14), bool)
    for at in set_:
        cells[at] = True
    regions = boxes_of(cells, Grid(WHOLE, width=140, height=100, stride=10, side=10))
    assert len(regions) <= MAX_REGIONS
    assert bool(regions) == bool(set_)
    if len(regions) < MAX_REGIONS:
        assert all(any(holds(region, row, column) for region in regions) for row, column in set_)


def holds(region: Box, row: int, column: int) -> bool:
    x, y = (column + 0.5) / 14, (row + 0.5) / 10
    return region.left <= x <= region.right and region.top <= y <= region.bottom
