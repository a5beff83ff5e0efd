"""Hard copies: changes that leave little of a picture, or show it small among others.

They stand apart from tests/quality/families.py, whose figures are stored and gated. An attack depends on its pictures
and its ``Random`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from tests.quality import families
from tests.quality.canvas import GREY, INK, Picture, font, paragraph, sheet, vivid, words

Attack = Callable[[Picture, Sequence[Picture], Random], Picture]

#: The longer side of a query, in pixels: a web page on a desktop's screen is larger than what a phone sends.
LONGEST = 1280


def draw(attack: str, picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """The picture as that attack changes it; up to eight ``others`` may show beside it."""
    copy = ATTACKS[attack](picture, others, random).convert("RGB")
    copy.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return copy


def sticker_third(picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """A third of it hidden by one opaque label, a disc, or another picture."""
    picture = picture.copy()
    stretch = random.uniform(0.7, 1.4)
    width = min(picture.width, round(math.sqrt(picture.width * picture.height / 3 * stretch)))
    height = min(picture.height, round(picture.width * picture.height / 3 / width))
    left, top = random.randint(0, picture.width - width), random.randint(0, picture.height - height)
    if random.random() < 0.4:
        picture.paste(ImageOps.fit(others[0], (width, height)), (left, top))
        return picture
    pen = ImageDraw.Draw(picture)
    pen.rounded_rectangle((left, top, left + width, top + height), height // 8, fill=vivid(random))
    middle = left + width // 2, top + height // 2
    pen.text(middle, random.choice(families.CAPTIONS), font=font(max(10, width // 9)), fill="white", anchor="mm")
    return picture


def crop_20(picture: Picture, _: Sequence[Picture], random: Random) -> Picture:
    """A fifth of the area."""
    return _part(picture, 0.2, random)


def crop_10(picture: Picture, _: Sequence[Picture], random: Random) -> Picture:
    """A tenth of the area."""
    return _part(picture, 0.1, random)


def _part(picture: Picture, share: float, random: Random) -> Picture:
    across = math.sqrt(share) * random.uniform(0.85, 1.18)
    width, height = round(picture.width * across), round(picture.height * share / across)
    left, top = random.randint(0, picture.width - width), random.randint(0, picture.height - height)
    return picture.crop((left, top, left + width, top + height))


def turned_inside(picture: Picture, _: Sequence[Picture], random: Random) -> Picture:
    """Turned by 20 to 45 degrees, and the largest upright rectangle of its proportions cut out."""
    angle = math.radians(random.uniform(20, 45))
    turned = picture.rotate(math.degrees(angle) * random.choice((-1, 1)), Image.Resampling.BICUBIC, expand=True)
    sine, cosine = math.sin(angle), math.cos(angle)
    width, height = picture.size
    scale = min(width / (width * cosine + height * sine), height / (width * sine + height * cosine))
    x, y, across, down = turned.width / 2, turned.height / 2, width * scale / 2, height * scale / 2
    return turned.crop((math.ceil(x - across), math.ceil(y - down), int(x + across), int(y + down)))


def turned_far(picture: Picture, _: Sequence[Picture], random: Random) -> Picture:
    """Turned by 45 to 135 degrees, on plain ground."""
    angle = random.uniform(45, 135) * random.choice((-1, 1))
    return picture.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=vivid(random))


def mirrored_and_turned(picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """Mirrored, turned by 20 to 45 degrees, and cut so that no corner is left."""
    return turned_inside(ImageOps.mirror(picture), others, random)


def inverted(picture: Picture, _: Sequence[Picture], __: Random) -> Picture:
    """A negative."""
    return ImageOps.invert(picture)


def pixelated(picture: Picture, _: Sequence[Picture], random: Random) -> Picture:
    """Squares of one colour, 28 to 48 along the longer side."""
    scale = random.randint(28, 48) / max(picture.size)
    small = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BOX
    )
    return small.resize(picture.size, Image.Resampling.NEAREST)


def overlay(picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """Another picture shines through, or stripes lie over it."""
    if random.random() < 0.6:
        return Image.blend(picture, ImageOps.fit(others[0], picture.size), random.uniform(0.3, 0.45))
    lines = Image.new("RGBA", picture.size)
    pen = ImageDraw.Draw(lines)
    step, width = max(8, picture.width // 16), max(2, picture.width // 60)
    for x in range(-picture.height, picture.width, step):
        pen.line((x, 0, x + picture.height, picture.height), fill=(*vivid(random), 150), width=width)
    return Image.alpha_composite(picture.convert("RGBA"), lines).convert("RGB")


def strong(picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """Cut to half, turned a little, recoloured, with stickers, and saved as a poor JPEG."""
    picture = _part(picture, random.uniform(0.45, 0.6), random)
    picture = picture.rotate(random.uniform(-12, 12), Image.Resampling.BICUBIC, fillcolor=vivid(random))
    for change in (families.colour, families.sticker):
        picture = change(picture, others[0], random)
    return families.save_jpeg(picture, random.randint(20, 40))


def screenshot(picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """As in families.py."""
    return families.screenshot(picture, others[0], random)


def screen_mild(picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """A photograph of a screen from in front: faint grid, a cast, a little askew."""
    return _screen(picture, others[0], random, grid=0.12, lean=0.05)


def screen_strong(picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """A photograph of a screen from the side: moiré, glare, grain."""
    return _screen(picture, others[0], random, grid=0.35, lean=0.16)


def _screen(picture: Picture, other: Picture, random: Random, *, grid: float, lean: float) -> Picture:
    shown = ImageOps.contain(picture, (900, 900))
    y, x = np.mgrid[0 : shown.height, 0 : shown.width].astype(np.float32)
    samples = np.asarray(shown, np.float32)
    channels = np.stack([np.cos(2 * np.pi * (x + shift) / 3) for shift in (0, 1, 2)], axis=2)
    beat = np.cos(x * random.uniform(0.2, 0.5) + y * random.uniform(-0.3, 0.3))[..., None]
    lit = samples * (1 - grid / 2 + grid / 2 * channels) * (1 + 0.5 * grid * beat) + 12
    screen = Image.fromarray(lit.clip(0, 255).astype(np.uint8))
    screen = ImageOps.expand(screen, random.randint(12, 40), (14, 14, 16))
    size = (960, 720) if screen.width >= screen.height else (720, 960)
    room = ImageOps.fit(other, size).filter(ImageFilter.GaussianBlur(8)).point(lambda value: value // 2)
    scale = random.uniform(0.85, 1.0) * min(size[0] / screen.width, size[1] / screen.height)
    corners = []
    for across, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        u = across * screen.width * scale / 2 * (1 - random.uniform(0, lean))
        v = down * screen.height * scale / 2 * (1 - random.uniform(0, lean))
        corners.append((size[0] / 2 + u, size[1] / 2 + v))
    shot = families.lay(screen, np.array(corners), room)
    if grid > 0.2:
        shot = families.lit(shot, random)
    shot = shot.filter(ImageFilter.GaussianBlur(random.uniform(0.4, 3 * grid)))
    return families.save_jpeg(families.grain(shot, 30 * grid, random), random.randint(55, 80))


def page_20(picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """On a web page, at a fifth of its width."""
    return _page(picture, others, random, 0.2)


def page_15(picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """On a web page, at 15 % of its width."""
    return _page(picture, others, random, 0.15)


def page_10(picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """On a web page, at a tenth of its width."""
    return _page(picture, others, random, 0.1)


def _page(picture: Picture, others: Sequence[Picture], random: Random, share: float) -> Picture:
    """A heading, a menu, columns of text, the picture in one of them, and one other picture of the same width."""
    page, pen = sheet(LONGEST, 900, random.choice(((255, 255, 255), (247, 247, 244))))
    pen.rectangle((0, 0, LONGEST, 64), fill=vivid(random, 0.4))
    pen.text((30, 14), words(random, 2), font=font(30), fill="white")
    for item in range(5):
        pen.text((620 + 130 * item, 22), words(random, 1), font=font(17), fill="white")
    pen.text((40, 90), words(random, 6), font=font(34), fill=INK)
    wide = round(share * LONGEST)
    columns = [(40, 160), (460, 160), (880, 160)]
    random.shuffle(columns)
    for place, shown in zip(columns, (picture, others[0], None), strict=True):
        begin = place[1]
        if shown is not None:
            small = shown.resize((wide, max(1, round(shown.height * wide / shown.width))), Image.Resampling.LANCZOS)
            begin += random.randint(0, max(0, 880 - small.height - begin))
            paragraph(pen, place, random, max(1, (begin - place[1]) // 24), 6, 15)
            pen.rectangle((place[0], begin, place[0] + 360, 900), fill=page.getpixel((2, 890)))
            page.paste(small, (place[0], begin))
            begin += small.height + 14
        pen.text((place[0], begin), words(random, 4), font=font(13), fill=GREY)
        paragraph(pen, (place[0], begin + 28), random, max(1, (880 - begin) // 24), 6, 15)
    return page


def collage_9(picture: Picture, others: Sequence[Picture], random: Random) -> Picture:
    """One of nine, with or without gaps."""
    shown = [picture, *(others[i % len(others)] for i in range(8))]
    random.shuffle(shown)
    side, gap = 280, random.choice((0, 6, 14))
    page, _ = sheet(3 * side + 4 * gap, 3 * side + 4 * gap, random.choice(((255, 255, 255), (20, 20, 20))))
    for i, one in enumerate(shown):
        page.paste(ImageOps.fit(one, (side, side)), (gap + i % 3 * (side + gap), gap + i // 3 * (side + gap)))
    return page


ATTACKS: Mapping[str, Attack] = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        *(pixelated, overlay, strong, screenshot, sticker_third, crop_20, crop_10, turned_inside, inverted),
        *(screen_mild, screen_strong, page_20, page_15, page_10, collage_9, turned_far, mirrored_and_turned),
    )
}
