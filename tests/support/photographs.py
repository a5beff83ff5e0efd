"""Photographs for tests: those that scikit-image and scikit-learn ship (``make setup`` puts them into .venv/pictures)."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = (ROOT / ".venv/pictures/skimage/data", ROOT / ".venv/pictures/sklearn/datasets/images")

#: Photographs that show different things.
NAMES = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "china.jpg",
    "coffee.png",
    "coins.png",
    "flower.jpg",
    "grass.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)

#: Photographs of things, whose parts show different things.
SCENES = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "china.jpg",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "color.png",
    "flower.jpg",
    "horse.png",
    "motorcycle_left.png",
    "page.png",
    "rocket.jpg",
)

#: Textures, and what a telescope or a microscope saw: every part looks like the next.
TEXTURES = (
    "brick.png",
    "cell.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "retina.jpg",
)


def path(name: str) -> Path:
    """Where a photograph lies."""
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name}: run `make setup`")


def photograph(name: str, side: int = 512) -> Image.Image:
    """A photograph, its longer side at most ``side`` pixels."""
    return _photograph(name, side).copy()


@lru_cache(32)  # tests ask for the same ones over and over, and decoding is most of what they cost
def _photograph(name: str, side: int) -> Image.Image:
    picture = Image.open(path(name)).convert("RGB")
    picture.thumbnail((side, side))
    return picture


def cropped(picture: Image.Image, share: float = 0.8) -> Image.Image:
    """The picture's middle, ``share`` of each side."""
    width, height = picture.size
    dx, dy = int(width * (1 - share) / 2), int(height * (1 - share) / 2)
    return picture.crop((dx, dy, width - dx, height - dy))


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    """The picture as a JPEG file."""
    return _file(picture, "JPEG", quality=quality)


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    return _file(picture, "PNG")


def _file(picture: Image.Image, form: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()
