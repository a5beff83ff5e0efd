"""Pictures that the console's tests add and look for."""

from __future__ import annotations

from PIL import Image, ImageDraw

from tests.support import photographs


def photograph(name: str, side: int = 420) -> Image.Image:
    picture = photographs.photograph(name).convert("RGB")
    picture.thumbnail((side, side))
    return picture


CAT, CUP, ROCKET, PALACE = (photograph(name) for name in ("chelsea.png", "coffee.png", "rocket.jpg", "china.jpg"))


def cropped(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((width // 8, height // 8, width * 7 // 8, height * 7 // 8))


def stranger() -> Image.Image:
    picture = Image.new("RGB", (300, 220), "white")
    ImageDraw.Draw(picture).ellipse((40, 40, 160, 140), fill="navy")
    return picture
