"""Draws the small pictures whose golden figures tests/unit/golden/test_figures.py holds: a library, and queries that each need
another stage of the verifier.

The files are committed, and drawn by nothing but this: free of anybody's rights. They are data, since Pillow's drawing
and encoders change from version to version. Run it from the repository's root only to add one, and
``tests/unit/golden/record.py`` after it: ``python tests/unit/golden/draw.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

FOLDER = Path(__file__).parent


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A jumble of things of all sizes in light from one side, unlike any other seed's."""
    chance = np.random.default_rng(seed)
    width, height = size
    ground = Image.linear_gradient("L").rotate(int(chance.integers(0, 4)) * 90).resize(size)
    picture = ImageOps.colorize(ground, _colour(chance), _colour(chance))
    draw = ImageDraw.Draw(picture)
    for number in range(70):
        side = chance.uniform(0.35, 1) * 110 / (1 + number / 9)
        x, y = chance.uniform(0, width), chance.uniform(0, height)
        angle = chance.uniform(0, 2 * np.pi)
        count = int(chance.integers(3, 7))
        turns = angle + np.arange(count) * 2 * np.pi / count
        reach = side * chance.uniform(0.4, 1, count)
        points = [(float(x + r * np.cos(t)), float(y + r * np.sin(t))) for r, t in zip(reach, turns, strict=True)]
        kind = int(chance.integers(0, 3))
        if kind == 0:
            draw.polygon(points, fill=_colour(chance), outline=_colour(chance))
        elif kind == 1:
            box = (x - side / 2, y - side / 3, x + side / 2, y + side / 3)
            draw.ellipse(box, fill=_colour(chance), outline=_colour(chance), width=2)
        else:
            draw.line(points, fill=_colour(chance), width=int(chance.integers(1, 6)), joint="curve")
    return picture.filter(ImageFilter.GaussianBlur(0.6))


def table(seed: int, size: tuple[int, int] = (400, 320)) -> Image.Image:
    """A plain surface in light that fades to one side, with some grain."""
    chance = np.random.default_rng(seed)
    light = np.linspace(70, 150, size[0])[None, :, None] * np.array([1, 0.9, 0.75])
    grain = chance.normal(0, 3, (size[1], size[0], 1))
    return Image.fromarray((light + grain).clip(0, 255).astype(np.uint8))


def lying(picture: Image.Image, ground: Image.Image, width: int, degrees: float) -> Image.Image:
    """The picture as a print of that width with a white border, askew on a ground."""
    paper = ImageOps.expand(picture, 6, "white").convert("RGBA")
    paper = paper.resize((width, width * paper.height // paper.width), Image.Resampling.LANCZOS)
    paper = paper.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    ground = ground.copy()
    ground.paste(paper, ((ground.width - paper.width) // 2, (ground.height - paper.height) // 2), paper)
    return ground


def cropped(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """A part of the picture, given by fractions of its sides."""
    width, height = picture.size
    return picture.crop((int(left * width), int(top * height), int(right * width), int(bottom * height)))


def _colour(chance: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = chance.integers(0, 256, 3).tolist()
    return red, green, blue


def main() -> None:
    """Write the files beside this one."""
    one, two, three, four = (scene(seed) for seed in (1, 2, 3, 4))
    library = {"one": one, "two": two, "three": three, "four": four.rotate(90, expand=True)}
    stranger = scene(99)
    queries = {
        "copy": ImageEnhance.Color(one.resize((240, 180))).enhance(0.6),
        "mirrored": ImageOps.mirror(two),
        "crop": cropped(three, 0.3, 0.2, 0.95, 0.9),
        "turned": one.rotate(24, Image.Resampling.BICUBIC, expand=True, fillcolor=(90, 80, 70)),
        "print": lying(two, table(5), 230, 17),
        "small": lying(three, scene(98, (400, 320)), 150, 31),
        "framed": lying(one, table(7), 140, 25).filter(ImageFilter.GaussianBlur(1.4)),
        "stranger": stranger,
    }
    for name, picture in library.items():
        picture.quantize(48, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)
    for name, picture in queries.items():
        picture.save(FOLDER / f"{name}.jpg", quality=60, optimize=True)


if __name__ == "__main__":
    main()
