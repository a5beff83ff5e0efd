"""Changed copies of photographs, as the figures search for them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

#: Pixels of what a print lies on, and of the white border around the picture on it.
_GROUND, _BORDER = (640, 480), 14


def cropped(picture: Image.Image) -> Image.Image:
    """The middle of a picture, made small and compressed strongly."""
    width, height = picture.size
    small = picture.crop((width // 5, height // 8, width * 9 // 10, height * 9 // 10)).resize((280, 200))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=35)
    return Image.open(file).convert("RGB")


def captioned(picture: Image.Image) -> Image.Image:
    """The picture's mirror image with a caption over its lower edge."""
    mirrored = ImageOps.mirror(picture)
    draw = ImageDraw.Draw(mirrored)
    draw.rectangle((0, mirrored.height - 70, mirrored.width, mirrored.height), fill="#f6f8fa")
    middle = (mirrored.width // 2, mirrored.height - 35)
    draw.text(middle, "who is this?", "#24292f", ImageFont.load_default(40), anchor="mm")
    return mirrored


def turned(picture: Image.Image, degrees: float) -> Image.Image:
    """The picture turned, the corners of the new one grey."""
    return picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="#5a5046")


def printed(picture: Image.Image, width: int, degrees: float) -> Image.Image:
    """The picture as a print of that width with a white border, lying askew on a table."""
    below = _table()
    paper = ImageOps.expand(picture, _BORDER, "white").convert("RGBA")
    paper = paper.resize((width, width * paper.height // paper.width), Image.Resampling.LANCZOS)
    paper = paper.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    below.paste(paper, ((below.width - paper.width) // 2, (below.height - paper.height) // 2), paper)
    return below


def _table() -> Image.Image:
    """A plain surface in light that fades to one side, with some grain."""
    width, height = _GROUND
    light = np.linspace(70, 150, width)[None, :, None] * np.array([1, 0.9, 0.75])
    grain = np.random.default_rng(1).normal(0, 3, (height, width, 1))
    return Image.fromarray((light + grain).clip(0, 255).astype(np.uint8))
