"""Draws the changed copies that `same` is judged by, family by family.

The yardstick draws its own: neither code nor random numbers are those of training/augment.py, which heads are
fitted on. Every picture drawn depends on its ``Random`` alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps

Picture = Image.Image
Family = Callable[[Picture, Picture, Random], Picture]

#: A query's longer side, in pixels: what a phone or a web page sends.
MAX_SIDE = 800

CAPTIONS = (
    "weekend mood",
    "Tag a friend",
    "FOUND THIS",
    "wow, look",
    "est. 1974",
    "© my page",
    "new arrivals",
    "this is fine",
    "part two?",
    "LAST DAY",
)
INKS = ("white", "black", "yellow", "crimson", "deepskyblue")


def draw(family: str, picture: Picture, other: Picture, random: Random) -> Picture:
    """Return a copy of the family, its longer side at most MAX_SIDE pixels; ``other`` may show beside the picture."""
    copy = FAMILIES[family](picture, other, random).convert("RGB")
    copy.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return copy


def crop(picture: Picture, _: Picture, random: Random) -> Picture:
    """Half to nine tenths of the area, anywhere."""
    share = random.uniform(0.5, 0.9)
    across = random.uniform(share, 1.0) if random.random() < 0.5 else math.sqrt(share)
    width, height = max(1, int(picture.width * across)), max(1, int(picture.height * share / across))
    left, top = random.randint(0, picture.width - width), random.randint(0, picture.height - height)
    return picture.crop((left, top, left + width, top + height))


def resize(picture: Picture, _: Picture, random: Random) -> Picture:
    """A thumbnail of 60 to 140 pixels, now and then stretched by a fifth."""
    scale = random.randint(60, 140) / max(picture.size)
    stretch = random.choice((1.0, 1.0, random.uniform(0.8, 1.25)))
    size = max(16, round(picture.width * scale * stretch)), max(16, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.BOX)


def jpeg(picture: Picture, _: Picture, random: Random) -> Picture:
    """Saved two to four times as a poor JPEG, shifted a little in between, as reposts are."""
    for _again in range(random.randint(2, 4)):
        picture = save_jpeg(picture.crop((1, 1, picture.width, picture.height)), random.randint(12, 40))
    return picture


def rotate(picture: Picture, _: Picture, random: Random) -> Picture:
    """Turned by 4 to 30 degrees: with empty corners, or cut so that there are none."""
    degrees = random.choice((-1, 1)) * random.uniform(4, 30)
    if random.random() < 0.6:
        paper = random.choice(("black", "white", "grey"))
        return picture.rotate(degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=paper)
    turned = picture.rotate(degrees, Image.Resampling.BILINEAR, expand=True)
    keep = min(picture.size) / (abs(math.sin(math.radians(degrees))) + math.cos(math.radians(degrees))) / 2
    x, y = turned.width / 2, turned.height / 2
    return turned.crop((int(x - keep), int(y - keep), int(x + keep), int(y + keep)))


def quarter(picture: Picture, _: Picture, random: Random) -> Picture:
    """On its side or upside down."""
    turn = random.choice((Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270))
    return picture.transpose(turn)


def mirror(picture: Picture, _: Picture, random: Random) -> Picture:
    """Left and right exchanged; a margin is cut off half of them."""
    picture = ImageOps.mirror(picture)
    return ImageOps.crop(picture, min(picture.size) // 20) if random.random() < 0.5 else picture


def colour(picture: Picture, _: Picture, random: Random) -> Picture:
    """Another white balance, gamma and saturation; a third get another hue altogether."""
    samples = np.asarray(picture, np.float32) / 255
    if random.random() < 0.35:
        hsv = np.array(picture.convert("HSV"))
        hsv[..., 0] += np.uint8(random.randint(25, 230))  # wraps round, as hues do
        samples = np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"), np.float32) / 255
    gains = np.array([random.uniform(0.7, 1.2) for _channel in range(3)], np.float32)
    grey = samples.mean(axis=2, keepdims=True)
    saturated = grey + (samples - grey) * random.uniform(0.3, 1.8)
    return _picture((saturated * gains).clip(0, 1) ** random.uniform(0.55, 1.7) * 255)


def grey(picture: Picture, _: Picture, random: Random) -> Picture:
    """Black and white, sepia, or as a photocopy."""
    light = ImageOps.autocontrast(picture.convert("L"), cutoff=random.choice((0, 2, 5)))
    tint = random.choice((None, None, "sepia", "posterised"))
    if tint == "sepia":
        return ImageOps.colorize(light, black=(35, 20, 8), white=(250, 232, 196))
    return (ImageOps.posterize(light, 2) if tint else light).convert("RGB")


def soft(picture: Picture, _: Picture, random: Random) -> Picture:
    """Out of focus or shaken, then grainy."""
    side = max(picture.size)
    if random.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(side * random.uniform(0.003, 0.008)))
    else:  # shaken: the mean of shifted copies
        shift = max(1, round(side * random.uniform(0.002, 0.005)))
        for step in (shift, 2 * shift):
            picture = Image.blend(picture, ImageChops.offset(picture, step, step // 2), 0.5)
    return save_jpeg(grain(picture, random.uniform(6, 24), random), random.randint(55, 85))


def sticker(picture: Picture, _: Picture, random: Random) -> Picture:
    """Faces, captions and a watermark on it."""
    picture = picture.copy()
    pen = ImageDraw.Draw(picture, "RGBA")
    for _i in range(random.randint(1, 3)):
        if random.random() < 0.5:
            _face(pen, picture.size, random)
        else:
            _caption(pen, picture.size, random)
    if random.random() < 0.3:
        font = ImageFont.load_default(max(8, picture.height // 12))
        for row in range(0, picture.height, max(24, picture.height // 5)):
            pen.text((row % 90, row), "sample   sample   sample", font=font, fill=(255, 255, 255, 110))
    return picture


def border(picture: Picture, _: Picture, random: Random) -> Picture:
    """A frame round it: plain, a double line, or as an instant film."""
    side = max(picture.size)
    thin, wide = round(side * random.uniform(0.02, 0.06)), round(side * random.uniform(0.08, 0.25))
    kind = random.choice(("plain", "double", "film"))
    if kind == "double":
        inner = ImageOps.expand(picture, thin, random.choice(("white", "black")))
        return ImageOps.expand(inner, wide, _any_colour(random))
    if kind == "film":
        return ImageOps.expand(picture, (2 * thin, 2 * thin, 2 * thin, 2 * thin + wide), (246, 244, 238))
    return ImageOps.expand(picture, wide, random.choice(("white", "black", _any_colour(random))))


def story(picture: Picture, _: Picture, random: Random) -> Picture:
    """On a tall, wide or square sheet, plain, graded, or itself out of focus; half of them with words."""
    side = max(picture.size)
    size = random.choice(((side, side), (side, side * 16 // 9), (side * 16 // 9, side), (side, side * 5 // 4)))
    sheet = Image.new("RGB", size, _any_colour(random))
    look = random.random()
    if look < 0.35:
        sheet = ImageOps.fit(picture, size).filter(ImageFilter.GaussianBlur(side / 20))
    elif look < 0.6:
        ramp = Image.linear_gradient("L").resize(size)
        sheet = Image.composite(sheet, Image.new("RGB", size, _any_colour(random)), ramp)
    smaller = random.uniform(0.75, 1.0)
    small = picture.resize((max(1, int(picture.width * smaller)), max(1, int(picture.height * smaller))))
    sheet.paste(small, ((size[0] - small.width) // 2, random.randint(0, size[1] - small.height)))
    if random.random() < 0.5:
        _caption(ImageDraw.Draw(sheet, "RGBA"), size, random)
    return sheet


def screenshot(picture: Picture, other: Picture, random: Random) -> Picture:
    """A post in an application on a phone: status bar, who posted it, buttons, words, and the next post."""
    width = 480
    height = round(width * random.uniform(1.6, 2.1))
    page, ink = random.choice((("white", "black"), ((24, 26, 30), (230, 230, 230)), ((244, 241, 235), (50, 40, 30))))
    shot = Image.new("RGB", (width, height), page)
    pen = ImageDraw.Draw(shot)
    small = ImageFont.load_default(14)
    pen.text((14, 6), f"{random.randint(0, 23)}:{random.randint(10, 59)}", font=small, fill=ink)
    pen.rounded_rectangle((width - 44, 8, width - 14, 20), 4, outline=ink, width=2)
    margin = random.choice((0, 0, 16))
    top = random.randint(60, 150)
    pen.ellipse((14, top - 40, 46, top - 8), fill=_any_colour(random))
    pen.text((56, top - 32), random.choice(CAPTIONS), font=ImageFont.load_default(18), fill=ink)
    shown = ImageOps.contain(picture, (width - 2 * margin, round(height * 0.62)))
    shot.paste(shown, ((width - shown.width) // 2, top))
    bottom = top + shown.height
    for i in range(4):
        pen.ellipse((16 + 44 * i, bottom + 12, 42 + 44 * i, bottom + 38), outline=ink, width=3)
    for i in range(random.randint(1, 4)):
        words = " ".join(random.choice(CAPTIONS) for _word in range(random.randint(2, 5)))
        pen.text((16, bottom + 50 + 22 * i), words, font=small, fill=ink)
    if bottom + 190 < height:  # the next post begins
        beginning = ImageOps.fit(other, (width, height - bottom - 180))
        shot.paste(beginning, (0, bottom + 180))
    return shot


def printed(picture: Picture, other: Picture, random: Random) -> Picture:
    """A phone's photograph of a print: askew, its white edge showing, uneven light, glare, grain."""
    print_ = ImageOps.expand(picture, round(max(picture.size) * random.choice((0.0, 0.03, 0.06))), "white")
    size = random.choice(((760, 570), (570, 760)))
    desk = ImageOps.fit(other, size).filter(ImageFilter.GaussianBlur(random.uniform(1, 6)))
    if random.random() < 0.4:
        desk = Image.new("RGB", size, tuple(random.randint(40, 200) for _channel in range(3)))
    scale = random.uniform(0.62, 0.92) * min(size[0] / print_.width, size[1] / print_.height)
    half = np.array(print_.size) * scale / 2
    turn = math.radians(random.gauss(0, 7))
    spin = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    lean = np.array([random.uniform(-0.18, 0.18), random.uniform(-0.18, 0.18)])
    corners = []
    for sign in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        flat = half * sign
        depth = 1 + (lean * sign).sum()  # farther corners come closer together
        corners.append(np.array(size) / 2 + spin @ flat / depth)
    shot = lay(print_, np.array(corners), desk)
    return save_jpeg(grain(lit(shot, random), random.uniform(2, 9), random), random.randint(50, 85))


def inset(picture: Picture, other: Picture, random: Random) -> Picture:
    """A part, a fifth to a half, of a larger picture of something else; now and then with a rim."""
    size = random.choice(((720, 540), (540, 720), (640, 640)))
    scene = ImageOps.fit(other, size)
    scale = math.sqrt(random.uniform(0.2, 0.5) * size[0] * size[1] / (picture.width * picture.height))
    scale = min(scale, 0.96 * size[0] / picture.width, 0.96 * size[1] / picture.height)
    small = picture.resize((max(8, int(picture.width * scale)), max(8, int(picture.height * scale))))
    if random.random() < 0.3:
        small = ImageOps.crop(ImageOps.expand(small, 4, "white"), 1)
    small.thumbnail(size)
    scene.paste(small, (random.randint(0, size[0] - small.width), random.randint(0, size[1] - small.height)))
    return scene


def combined(picture: Picture, other: Picture, random: Random) -> Picture:
    """Three of the others, one after the other, saved as a poor JPEG."""
    for family in random.sample(SINGLE, 3):
        picture = family(picture, other, random)
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return save_jpeg(picture, random.randint(35, 75))


SINGLE: tuple[Family, ...] = (
    *(crop, resize, jpeg, rotate, quarter, mirror, colour, grey, soft),
    *(sticker, border, story, screenshot, printed, inset),
)
FAMILIES: Mapping[str, Family] = {family.__name__: family for family in (*SINGLE, combined)}


def _face(pen: ImageDraw.ImageDraw, size: tuple[int, int], random: Random) -> None:
    """A round yellow face."""
    wide = min(size) * random.uniform(0.15, 0.4)
    x, y = random.uniform(0, size[0] - wide), random.uniform(0, size[1] - wide)
    pen.ellipse((x, y, x + wide, y + wide), fill=(255, 204, 50, 255), outline=(200, 140, 20, 255), width=2)
    for eye in (0.3, 0.6):
        pen.ellipse((x + eye * wide, y + 0.28 * wide, x + (eye + 0.1) * wide, y + 0.44 * wide), fill="black")
    mouth = (x + 0.25 * wide, y + 0.35 * wide, x + 0.75 * wide, y + 0.8 * wide)
    pen.arc(mouth, *random.choice(((20, 160), (200, 340))), fill="black", width=max(2, int(wide / 20)))


def _caption(pen: ImageDraw.ImageDraw, size: tuple[int, int], random: Random) -> None:
    """Words with an outline, or on a bar across."""
    high = max(10, int(size[1] * random.uniform(0.06, 0.14)))
    font, words = ImageFont.load_default(high), random.choice(CAPTIONS)
    place = random.uniform(0.02, 0.35) * size[0], random.uniform(0.02, 0.82) * size[1]
    if random.random() < 0.4:
        pen.rectangle((0, place[1] - 4, size[0], place[1] + 1.3 * high), fill=(*_any_colour(random), 210))
    pen.text(place, words, font=font, fill=random.choice(INKS), stroke_width=high // 14, stroke_fill="black")


def _any_colour(random: Random) -> tuple[int, int, int]:
    return random.randrange(256), random.randrange(256), random.randrange(256)


def save_jpeg(picture: Picture, quality: int) -> Picture:
    """The picture as a JPEG file of that quality shows it."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def grain(picture: Picture, deviation: float, random: Random) -> Picture:
    """Normally distributed noise on every channel."""
    noise = np.random.default_rng(random.getrandbits(48)).normal(0, deviation, (picture.height, picture.width, 3))
    return _picture(np.asarray(picture) + noise)


def lit(picture: Picture, random: Random) -> Picture:
    """Light from one side, of some colour, and a glare on a third."""
    y, x = np.mgrid[0 : picture.height, 0 : picture.width].astype(np.float32)
    x, y = x / picture.width - 0.5, y / picture.height - 0.5
    from_where = random.uniform(0, 2 * math.pi)
    light = 0.9 + random.uniform(0, 0.5) * (x * math.cos(from_where) + y * math.sin(from_where))
    samples = np.asarray(picture, np.float32) * light[..., None]
    samples *= np.array([random.uniform(0.88, 1.1), 1.0, random.uniform(0.82, 1.08)], np.float32)
    if random.random() < 0.35:
        u, v = random.uniform(-0.4, 0.4), random.uniform(-0.4, 0.4)
        samples += 140 * np.exp(-(((x - u) / 0.16) ** 2 + ((y - v) / 0.1) ** 2))[..., None]
    return _picture(samples)


def lay(picture: Picture, corners: NDArray[np.float64], scene: Picture) -> Picture:
    """The scene with the picture on it, its corners (from the upper left, clockwise) at these points."""
    width, height = picture.size
    source = ((0, 0), (width, 0), (width, height), (0, height))
    equations = np.zeros((8, 8))
    for i, ((x, y), (u, v)) in enumerate(zip(corners, source, strict=True)):
        equations[2 * i] = x, y, 1, 0, 0, 0, -u * x, -u * y
        equations[2 * i + 1] = 0, 0, 0, x, y, 1, -v * x, -v * y
    warp = np.linalg.solve(equations, np.array(source, np.float64).ravel()).tolist()
    how = (scene.size, Image.Transform.PERSPECTIVE, warp, Image.Resampling.BICUBIC)
    result = scene.copy()
    result.paste(picture.transform(*how), (0, 0), Image.new("L", picture.size, 255).transform(*how))
    return result


def _picture(samples: NDArray[np.floating]) -> Picture:
    return Image.fromarray(samples.clip(0, 255).astype(np.uint8))
