"""Augmentations: changes that people make to a picture before they search for it, for heads to become robust to."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Picture = Image.Image
Colour = tuple[int, int, int]

PHRASES = (
    "so true",
    "SALE",
    "who else?",
    "follow for more",
    "me on Monday",
    "limited offer",
    "swipe up",
    "THROWBACK",
    "new in store",
    "do not share",
)

#: Longer side of a result, in pixels; larger ones are scaled down.
MAX_SIDE = 720


def augment_copy(picture: Picture, background: Picture, random: Random) -> Picture:
    """Return a changed copy: one change mostly, up to three. ``background`` may show behind the picture."""
    for change in random.sample(AUGMENTATIONS, random.choices((1, 2, 3), (6, 2, 1))[0]):
        picture = change(picture, background, random)
        picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BICUBIC)
    return picture


def recompress(picture: Picture, _: Picture, random: Random) -> Picture:
    """Return the picture after strong JPEG compression."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=random.randint(8, 60))
    return Image.open(file).convert("RGB")


def shrink(picture: Picture, _: Picture, random: Random) -> Picture:
    """Return a thumbnail."""
    scale = random.uniform(0.15, 0.6)
    size = (max(16, round(picture.width * scale)), max(16, round(picture.height * scale)))
    return picture.resize(size, random.choice((Image.Resampling.BILINEAR, Image.Resampling.NEAREST)))


def crop(picture: Picture, _: Picture, random: Random) -> Picture:
    """Return a crop of 40 to 95 % of the area."""
    area, stretch = random.uniform(0.4, 0.95), math.exp(random.uniform(-0.2, 0.2))
    width = max(1, round(picture.width * min(1.0, math.sqrt(area) * stretch)))
    height = max(1, round(picture.height * min(1.0, math.sqrt(area) / stretch)))
    left, top = random.randint(0, picture.width - width), random.randint(0, picture.height - height)
    return picture.crop((left, top, left + width, top + height))


def rotate(picture: Picture, _: Picture, random: Random) -> Picture:
    """Return the picture rotated by 3 to 35 degrees, with empty corners."""
    angle = random.uniform(3, 35) * random.choice((-1, 1))
    return picture.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=_paper(random))


def turn(picture: Picture, _: Picture, random: Random) -> Picture:
    """Return the picture rotated by a multiple of 90 degrees."""
    quarters = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    return picture.transpose(random.choice(quarters))


def mirror(picture: Picture, _: Picture, random: Random) -> Picture:
    """Return the picture mirrored, sometimes upside down."""
    return ImageOps.flip(picture) if random.random() < 0.15 else ImageOps.mirror(picture)


def recolour(picture: Picture, _: Picture, random: Random) -> Picture:
    """Return the picture in grey, with another hue, or in another light."""
    choice = random.randrange(4)
    if choice == 0:
        return picture.convert("L").convert("RGB")
    if choice == 1:
        hsv = np.array(picture.convert("HSV"))
        hsv[..., 0] += np.uint8(random.randint(15, 240))
        return Image.fromarray(hsv, "HSV").convert("RGB")
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(math.exp(random.uniform(-0.7, 0.6)))
    return picture


def soften(picture: Picture, _: Picture, random: Random) -> Picture:
    """Return the picture blurred and with noise."""
    if random.random() < 0.6:
        picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.001, 0.008) * max(picture.size)))
    return _grain(picture, random.uniform(2, 30), random)


def caption(picture: Picture, _: Picture, random: Random) -> Picture:
    """Return the picture with text and stickers on it."""
    picture = picture.copy()
    draw = ImageDraw.Draw(picture, "RGBA")
    for _i in range(random.randint(1, 3)):
        left, top = random.uniform(0, 0.6) * picture.width, random.uniform(0, 0.85) * picture.height
        size = max(8.0, picture.height * random.uniform(0.06, 0.2))
        if random.random() < 0.4:
            wide = size * random.uniform(1, 2.5)
            draw.ellipse((left, top, left + wide, top + wide), fill=(*_any_colour(random), random.randint(180, 255)))
            continue
        if random.random() < 0.5:
            draw.rectangle((0, top, picture.width, top + 1.3 * size), fill=(*_any_colour(random), 220))
        text = " ".join(random.sample(PHRASES, random.randint(1, 2)))
        draw.text((left * 0.3, top), text, font=ImageFont.load_default(size), fill=_any_colour(random))
    return picture


def frame(picture: Picture, _: Picture, random: Random) -> Picture:
    """Return the picture in a border, or with bars to 1:1, 9:16 or 16:9, plain or blurred."""
    if random.random() < 0.35:
        share = random.uniform(0.04, 0.3)
        return ImageOps.expand(picture, (round(picture.width * share), round(picture.height * share)), _paper(random))
    side = max(picture.size)
    size = random.choice(((side, side), (side, round(side * 16 / 9)), (round(side * 16 / 9), side)))
    if random.random() < 0.25:
        around = picture.resize(size).filter(ImageFilter.GaussianBlur(side / 25))
    else:
        around = Image.new("RGB", size, _paper(random))
    around.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return around


def screenshot(picture: Picture, _: Picture, random: Random) -> Picture:
    """Return a screenshot of an application that shows the picture: bars, a name, lines of text."""
    page, ink = random.choice((((250, 250, 252), (60, 60, 66)), ((18, 18, 20), (200, 200, 206))))
    width, height = picture.size
    side = round(width * random.choice((0.0, random.uniform(0.0, 0.5))))
    above, below = round(height * random.uniform(0.1, 0.35)), round(height * random.uniform(0.1, 0.6))
    shot = Image.new("RGB", (width + 2 * side, above + height + below), page)
    draw = ImageDraw.Draw(shot)
    bar = max(4, above // 3)
    draw.rectangle((0, 0, shot.width, bar), fill=_any_colour(random))
    draw.ellipse((side + 4, bar + 3, side + 4 + bar, 2 * bar + 3), fill=_any_colour(random))
    draw.text((side + bar + 12, bar + 3), random.choice(PHRASES), font=ImageFont.load_default(bar), fill=ink)
    shot.paste(picture, (side, above))
    line = max(3, below // 14)
    for y in range(above + height + 2 * line, shot.height - line, 2 * line):
        draw.rectangle((side, y, side + random.uniform(0.3, 0.95) * width, y + line), fill=ink)
    return shot


def photograph(picture: Picture, background: Picture, random: Random) -> Picture:
    """Return a photograph of the printed picture, at an angle, in uneven light."""
    scene = ImageOps.fit(background, (640, random.choice((480, 640, 853))))
    scene = ImageEnhance.Brightness(scene.filter(ImageFilter.GaussianBlur(random.uniform(0, 4)))).enhance(0.8)
    scale = random.uniform(0.6, 0.95) * min(scene.width / picture.width, scene.height / picture.height)
    tilt = math.radians(random.uniform(-14, 14))
    centre = np.array(scene.size) * (0.5 + random.uniform(-0.05, 0.05))
    corners = []
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        u = x * picture.width * scale / 2 * random.uniform(0.82, 1)
        v = y * picture.height * scale / 2 * random.uniform(0.82, 1)
        turned = u * math.cos(tilt) - v * math.sin(tilt), u * math.sin(tilt) + v * math.cos(tilt)
        corners.append(centre + np.array(turned))
    lit = np.asarray(_pasted(picture, np.array(corners), scene), np.float32)
    light = np.linspace(random.uniform(0.65, 1), random.uniform(0.9, 1.2), scene.width)[None, :, None]
    tint = np.array([random.uniform(0.9, 1.1), 1, random.uniform(0.85, 1.1)])
    shot = Image.fromarray((lit * light * tint).clip(0, 255).astype(np.uint8))
    return _grain(shot, random.uniform(1, 8), random)


def inset(picture: Picture, background: Picture, random: Random) -> Picture:
    """Return a picture of something else in which this one covers a quarter to two thirds."""
    scene = ImageOps.fit(background, (640, random.choice((480, 640, 853))))
    share = math.sqrt(random.uniform(0.25, 0.65) * scene.width * scene.height / (picture.width * picture.height))
    scale = min(share, scene.width / picture.width, scene.height / picture.height)
    small = picture.resize((max(8, int(picture.width * scale)), max(8, int(picture.height * scale))))
    place = random.randint(0, scene.width - small.width), random.randint(0, scene.height - small.height)
    scene.paste(small, place)
    return scene


AUGMENTATIONS: tuple[Callable[[Picture, Picture, Random], Picture], ...] = (
    recompress,
    shrink,
    crop,
    rotate,
    turn,
    mirror,
    recolour,
    soften,
    caption,
    frame,
    screenshot,
    photograph,
    inset,
)


def _any_colour(random: Random) -> Colour:
    return random.randrange(256), random.randrange(256), random.randrange(256)


def _paper(random: Random) -> Colour:
    return random.choice(((0, 0, 0), (255, 255, 255), _any_colour(random)))


def _grain(picture: Picture, deviation: float, random: Random) -> Picture:
    noise = np.random.default_rng(random.getrandbits(32)).normal(0, deviation, (picture.height, picture.width, 3))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def _pasted(picture: Picture, corners: np.ndarray[tuple[int, int], np.dtype[np.float64]], scene: Picture) -> Picture:
    """Return the scene with the picture warped onto it.

    ``corners`` has shape (4, 2): the picture's corners in the scene, in pixels, clockwise from the upper left.
    """
    width, height = picture.size
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, ((0, 0), (width, 0), (width, height), (0, height)), strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
        values += [u, v]
    warp = np.linalg.solve(np.array(rows), np.array(values)).tolist()
    how = (scene.size, Image.Transform.PERSPECTIVE, warp, Image.Resampling.BICUBIC)
    result = scene.copy()
    result.paste(picture.transform(*how), (0, 0), Image.new("L", picture.size, 255).transform(*how))
    return result
