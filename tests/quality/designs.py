"""Marks, cards, flags, faces, and cut-out objects: few shapes, and the difference is in a small part or in a colour.

As in tests/quality/documents.py, ``layout`` is common to a kind and ``content`` sets one picture apart. Where every
picture has a ``layout`` of its own, two pictures of one layout are one design in other colours.
"""

from __future__ import annotations

import math
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tests.quality.canvas import INK, Colour, Pen, Picture, fitted, font, hue, pale, sheet, vivid, words

RANKS = ("A", "2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K")

FLAG_COLOURS: tuple[Colour, ...] = (
    (206, 17, 38),
    (0, 85, 164),
    (0, 146, 70),
    (255, 255, 255),
    (255, 206, 0),
    (20, 20, 20),
    (255, 121, 0),
    (102, 186, 230),
)


def logo(layout: Random, content: Random) -> Picture:
    """A round mark of a few shapes, and a word below it."""
    picture, pen = sheet(480, 480)
    ground = vivid(layout)
    pen.ellipse((90, 40, 390, 340), fill=ground)
    _glyph(pen, (240, 190), 105, content, "white")
    word = content.choice(words(content, 4).split()).upper()
    pen.text((240, 400), word, font=fitted(word, 420, 60), fill=ground, anchor="mm")
    return picture


def icon(layout: Random, content: Random) -> Picture:
    """A white glyph on a rounded square, as applications have."""
    picture, pen = sheet(256, 256)
    pen.rounded_rectangle((16, 16, 240, 240), 48, fill=vivid(layout))
    _glyph(pen, (128, 128), 80, content, "white")
    return picture


def _glyph(pen: Pen, centre: tuple[int, int], radius: float, content: Random, fill: str | Colour) -> None:
    """A star, polygon, ring, cross or moon, with a second small shape on it."""
    x, y = centre
    shape = content.randrange(5)
    if shape == 0:
        _polygon(pen, centre, radius, content.randint(5, 9), fill, inner=content.uniform(0.35, 0.7))
    elif shape == 1:
        _polygon(pen, centre, radius, content.randint(3, 7), fill, turn=content.random())
    elif shape == 2:
        width = int(radius * content.uniform(0.2, 0.6))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=fill, width=width)
    elif shape == 3:
        arm = radius * content.uniform(0.15, 0.45)
        pen.rectangle((x - radius, y - arm, x + radius, y + arm), fill=fill)
        pen.rectangle((x - arm, y - radius, x + arm, y + radius), fill=fill)
    else:
        begin = content.randrange(360)
        pen.pieslice(
            (x - radius, y - radius, x + radius, y + radius), begin, begin + content.randint(120, 300), fill=fill
        )
    small, angle = radius * content.uniform(0.12, 0.3), content.uniform(0, 2 * math.pi)
    u, v = x + 0.6 * radius * math.cos(angle), y + 0.6 * radius * math.sin(angle)
    pen.ellipse((u - small, v - small, u + small, v + small), fill=INK)


def _polygon(
    pen: Pen,
    centre: tuple[int, int],
    radius: float,
    corners: int,
    fill: str | Colour,
    *,
    turn: float = 0.0,
    inner: float | None = None,
) -> None:
    """Regular, or with ``inner`` a star whose inner corners are at that share of the radius."""
    count = corners if inner is None else 2 * corners
    points = []
    for i in range(count):
        length = radius if inner is None or i % 2 == 0 else inner * radius
        angle = 2 * math.pi * (i / count + turn) - math.pi / 2
        points.append((centre[0] + length * math.cos(angle), centre[1] + length * math.sin(angle)))
    pen.polygon(points, fill=fill)


def playing_card(layout: Random, content: Random) -> Picture:
    """Rank and suit in two corners, and as many pips as the rank says; figures have a frame with a glyph."""
    picture, pen = sheet(400, 560)
    pen.rounded_rectangle((6, 6, 394, 554), 26, outline=(150, 150, 150), width=3)
    rank, suit = content.randrange(13), content.randrange(4)
    colour = (196, 20, 40) if suit in (1, 2) else (20, 20, 20)
    corner = Image.new("RGB", (54, 104), "white")
    brush = ImageDraw.Draw(corner)
    brush.text((27, 26), RANKS[rank], font=font(44), fill=colour, anchor="mm")
    draw_suit(brush, (27, 76), 18, suit, colour)
    picture.paste(corner, (20, 20))
    picture.paste(corner.rotate(180), (326, 436))
    if rank > 9:
        pen.rectangle((90, 110, 310, 450), outline=colour, width=4)
        _glyph(pen, (200, 280), 85, Random(f"figure {rank}"), colour)
    else:
        for x, y in pips(rank + 1):
            draw_suit(pen, (x, y), 30, suit, colour)
    return picture


def pips(count: int) -> list[tuple[int, int]]:
    """Centres of a card's pips: two columns, and an odd one in the middle."""
    rows = count // 2
    if count <= 3:
        return [(200, 140 + 280 * i // max(1, count - 1)) for i in range(count)] if count > 1 else [(200, 280)]
    pips = [(x, 130 + 300 * i // (rows - 1)) for x in (140, 260) for i in range(rows)]
    return pips + ([(200, 205)] if count % 2 else [])


def draw_suit(pen: Pen, centre: tuple[int, int], size: int, suit: int, colour: Colour) -> None:
    """Draw ♠, ♥, ♦ or ♣ (0 to 3) from discs and polygons; the bundled font has none of them."""
    x, y = centre
    if suit == 2:
        pen.polygon(((x, y - size), (x + 0.75 * size, y), (x, y + size), (x - 0.75 * size, y)), fill=colour)
        return
    half = size / 2
    down = -1 if suit == 1 else 1  # a heart is a spade upside down, without its foot
    lobes = [(-half, 0.25 * size * down), (half, 0.25 * size * down)] + ([(0, -half)] if suit == 3 else [])
    for u, v in lobes:
        pen.ellipse((x + u - half, y + v - half, x + u + half, y + v + half), fill=colour)
    if suit != 3:
        points = (
            (x - 0.95 * size, y + 0.4 * size * down),
            (x + 0.95 * size, y + 0.4 * size * down),
            (x, y - size * down),
        )
        pen.polygon(points, fill=colour)
    if suit != 1:
        pen.polygon(((x, y), (x + 0.4 * size, y + size), (x - 0.4 * size, y + size)), fill=colour)


def flag(layout: Random, content: Random) -> Picture:
    """Three fields beside or above each other, a cross, or a disc, in colours of a few."""
    picture, pen = sheet(480, 320)
    first, second, third = content.sample(FLAG_COLOURS, 3)
    kind = content.choice(("beside", "beside", "above", "above", "cross", "disc"))
    if kind == "beside":
        for i, colour in enumerate((first, second, third)):
            pen.rectangle((160 * i, 0, 160 * i + 159, 319), fill=colour)
    elif kind == "above":
        for i, colour in enumerate((first, second, third)):
            pen.rectangle((0, 107 * i, 479, 107 * i + 106), fill=colour)
    elif kind == "cross":
        pen.rectangle((0, 0, 479, 319), fill=first)
        pen.rectangle((140, 0, 200, 319), fill=second)
        pen.rectangle((0, 130, 479, 190), fill=second)
    else:
        pen.rectangle((0, 0, 479, 319), fill=first)
        pen.ellipse((150, 70, 330, 250), fill=second)
    return picture


def face(layout: Random, content: Random) -> Picture:
    """A round yellow face as messages have: eyes, mouth, brows, cheeks."""
    picture, pen = sheet(256, 256)
    pen.ellipse((16, 16, 240, 240), fill=(255, 204, 77), outline=(240, 176, 40), width=3)
    eyes, mouth = content.randrange(5), content.randrange(7)
    for x in (88, 168):
        _eye(pen, x, eyes)
    _mouth(pen, mouth)
    if content.random() < 0.4:
        tilt = content.choice((-14, 0, 14))
        pen.line((66, 66 + tilt, 108, 66), fill=(102, 69, 0), width=7)
        pen.line((148, 66, 190, 66 + tilt), fill=(102, 69, 0), width=7)
    if content.random() < 0.3:
        for x in (44, 180):
            pen.ellipse((x, 140, x + 32, 166), fill=(255, 120, 112))
    if content.random() < 0.25:
        pen.polygon(((64, 130), (54, 172), (74, 172)), fill=(93, 173, 236))
    return picture


def _eye(pen: Pen, x: int, kind: int) -> None:
    brown = (102, 69, 0)
    if kind == 0:
        pen.ellipse((x - 14, 82, x + 14, 122), fill=brown)
    elif kind == 1:
        pen.arc((x - 22, 88, x + 22, 128), 200, 340, fill=brown, width=8)
    elif kind == 2:
        pen.line((x - 20, 104, x + 20, 104), fill=brown, width=8)
    elif kind == 3:
        pen.ellipse((x - 24, 80, x + 24, 128), fill="white")
        pen.ellipse((x - 9, 96, x + 9, 114), fill=brown)
    else:
        for dx in (-1, 1):
            pen.line((x - 18 * dx, 88, x + 18 * dx, 120), fill=brown, width=8)


def _mouth(pen: Pen, kind: int) -> None:
    brown = (102, 69, 0)
    if kind == 0:
        pen.arc((76, 110, 180, 206), 20, 160, fill=brown, width=8)
    elif kind == 1:
        pen.arc((84, 166, 172, 236), 200, 340, fill=brown, width=8)
    elif kind == 2:
        pen.line((92, 186, 164, 186), fill=brown, width=8)
    elif kind == 3:
        pen.chord((76, 120, 180, 216), 10, 170, fill=brown)
    elif kind == 4:
        pen.ellipse((106, 156, 150, 212), fill=brown)
    elif kind == 5:
        pen.chord((76, 120, 180, 216), 10, 170, fill=brown)
        pen.ellipse((108, 180, 150, 226), fill=(235, 80, 96))
    else:
        pen.line([(90 + 14 * i, 180 + 12 * (i % 2)) for i in range(6)], fill=brown, width=7)


def recoloured_part(layout: Random, content: Random) -> Picture:
    """A design of six shapes; ``content`` chooses the colour of one of them."""
    return _badge(layout, content, whole=False)


def recoloured_whole(layout: Random, content: Random) -> Picture:
    """A design of six shapes; ``content`` turns all hues."""
    return _badge(layout, content, whole=True)


def _badge(layout: Random, content: Random, *, whole: bool) -> Picture:
    step = content.randrange(6) / 6
    turn = step if whole else 0.0
    picture, pen = sheet(480, 480, hue(layout.random() + turn, 0.2, 0.95))
    special = layout.randrange(3, 6)
    for part in range(6):
        angle = layout.random() + turn + (step if part == special and not whole else 0.0)
        colour = hue(angle, layout.uniform(0.5, 0.9), layout.uniform(0.5, 0.95))
        x, y, size = layout.randint(110, 370), layout.randint(110, 370), 130 - 15 * part
        if layout.random() < 0.5:
            _polygon(pen, (x, y), size, layout.randint(3, 7), colour, turn=layout.random())
        else:
            pen.ellipse((x - size, y - size * 0.7, x + size, y + size * 0.7), fill=colour)
    return picture


def cut_out(layout: Random, content: Random) -> Picture:
    """A lumpy, softly lit object of one colour on plain ground, with its shadow."""
    side = 480
    picture, _ = sheet(side, side, (248, 248, 248) if layout.random() < 0.5 else (8, 8, 8))
    waves = [(n, content.uniform(0, 0.16 / n), content.uniform(0, 2 * math.pi)) for n in range(2, 7)]
    outline = []
    for i in range(180):
        angle = math.pi * i / 90
        radius = 150 * (1 + sum(size * math.cos(n * angle + phase) for n, size, phase in waves))
        outline.append((240 + 1.15 * radius * math.cos(angle), 240 + 0.9 * radius * math.sin(angle)))
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).polygon(outline, fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(1))
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    light = 0.75 - 0.7 * (x * math.cos(0.8) + y * math.sin(0.8)) - 0.9 * (x**2 + y**2)
    mottle = np.random.default_rng(content.getrandbits(48)).normal(0, 1, (24, 24)).astype(np.float32)
    spots = np.asarray(Image.fromarray(mottle).resize((side, side), Image.Resampling.BICUBIC))
    colour = np.array(hue(0.09 + content.uniform(-0.02, 0.02), 0.45, 0.85), np.float32)
    lit = (colour * (light + 0.04 * spots)[..., None]).clip(0, 255).astype(np.uint8)
    picture.paste(Image.fromarray(lit), (0, 0), mask)
    return picture


def pattern(layout: Random, content: Random) -> Picture:
    """A repeating print of two motifs, as wallpaper and wrapping have."""
    picture, pen = sheet(480, 480, pale(layout))
    first, second = vivid(content, 0.7), vivid(content, 0.5)
    motif, other = content.getrandbits(32), content.getrandbits(32)
    for row in range(6):
        for column in range(6):
            which, colour = (motif, first) if (row + column) % 2 == 0 else (other, second)
            _glyph(pen, (40 + 80 * column, 40 + 80 * row), 28, Random(which), colour)
    return picture
