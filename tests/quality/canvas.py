"""Words, colours and pens of drawings. A drawing depends on its ``Random`` and on the font that Pillow bundles, alone."""

from __future__ import annotations

import colorsys
from random import Random

from PIL import Image, ImageDraw, ImageFont

Picture = Image.Image
Pen = ImageDraw.ImageDraw
Colour = tuple[int, int, int]

WORDS = (
    *("amber", "anchor", "autumn", "basket", "bridge", "candle", "canvas", "cedar", "circle", "cotton", "copper"),
    *("delta", "dinner", "ember", "engine", "fabric", "falcon", "garden", "gentle", "glass", "harbour", "hollow"),
    *("island", "jacket", "kettle", "ladder", "lantern", "linen", "marble", "meadow", "mirror", "needle", "north"),
    *("oak", "orchard", "paper", "pepper", "pillow", "quarry", "quiet", "ribbon", "river", "saddle", "silver"),
    *("spring", "stone", "summer", "table", "timber", "travel", "valley", "velvet", "violet", "walnut", "window"),
    *("winter", "wonder", "yellow", "zenith"),
)
NAMES = (
    "Abel",
    "Berg",
    "Chen",
    "Diaz",
    "Evans",
    "Fischer",
    "Garcia",
    "Hill",
    "Ito",
    "Jansen",
    "Kumar",
    "Lopez",
    "Meyer",
)
INK: Colour = (34, 34, 38)
GREY: Colour = (140, 142, 148)


def sheet(width: int, height: int, colour: Colour = (255, 255, 255)) -> tuple[Picture, Pen]:
    """An empty RGB picture and a pen for it."""
    picture = Image.new("RGB", (width, height), colour)
    return picture, ImageDraw.Draw(picture)


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, in pixels."""
    return ImageFont.load_default(size)


def words(random: Random, count: int) -> str:
    """``count`` words as a sentence without a full stop."""
    return " ".join(random.choice(WORDS) for _ in range(count)).capitalize()


def name(random: Random) -> str:
    """An initial and a family name."""
    return f"{random.choice('ABCDEFGHJKLMNPRST')}. {random.choice(NAMES)}"


def price(random: Random) -> str:
    """An amount between 1 and 999, with cents."""
    return f"{random.randint(1, 999)}.{random.randint(0, 99):02}"


def date(random: Random) -> str:
    """A day of the years 2015 to 2026."""
    return f"{random.randint(1, 28):02}.{random.randint(1, 12):02}.{random.randint(2015, 2026)}"


def digits(random: Random, count: int) -> str:
    """``count`` digits."""
    return "".join(random.choice("0123456789") for _ in range(count))


def paragraph(pen: Pen, at: tuple[int, int], random: Random, lines: int, per_line: int = 9, size: int = 15) -> None:
    """Lines of words, left-aligned, the last one short."""
    for line in range(lines):
        count = per_line if line < lines - 1 else max(2, per_line // 2)
        pen.text((at[0], at[1] + line * size * 1.5), words(random, count), font=font(size), fill=INK)


def vivid(random: Random, value: float = 0.8) -> Colour:
    """A saturated colour of any hue."""
    return hue(random.random(), 0.75, value)


def pale(random: Random) -> Colour:
    """A light tint of any hue."""
    return hue(random.random(), 0.12, 0.97)


def hue(angle: float, saturation: float, value: float) -> Colour:
    """The colour of a hue from 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(angle % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def fitted(text: str, width: float, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of that size, or a smaller one in which the text is no wider."""
    chosen = font(size)
    wide = chosen.getlength(text)
    return chosen if wide <= width else font(size * width / wide)
