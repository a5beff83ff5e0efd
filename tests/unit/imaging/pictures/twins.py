"""Makes picture files with the same pixels on white that differ on other backgrounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from tests.unit.imaging.pictures.blank import HEIGHT, SIZE, drawn, ink
from tests.unit.imaging.pictures.files import encode


def stamp(seed: int) -> Image.Image:
    """Return black ink on transparency, equal for all numbers, and white ink beside it, different for each."""
    image = ink(seed)
    ImageDraw.Draw(image).rectangle((60, 5, 75, HEIGHT - 5), fill=(0, 0, 0, 255))
    return image


def shadow(alpha: int) -> Image.Image:
    """Return black ink and a shadow of that alpha (128 or more), whose grey on white is equal for all."""
    grey = 128 - (255 - alpha) if alpha < 255 else 128
    colour = round(grey * 255 / alpha)
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 10, 50, 50), fill=(colour, colour, colour, alpha))
    draw.rectangle((60, 5, 75, HEIGHT - 5), fill=(0, 0, 0, 255))
    return image


def wide_samples(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    """Return samples with equal high bytes for all numbers and different low bytes for each."""
    low = np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3))
    return (np.asarray(drawn(1)).astype(np.uint16) * 256 + low).astype(np.uint16)


def flattened(image: Image.Image) -> Image.Image:
    laid = Image.new("RGB", image.size, (255, 255, 255))
    laid.paste(image, mask=image)
    return laid


TWINS: dict[str, Sequence[bytes]] = {
    "white ink": [encode(stamp(seed), "PNG") for seed in (1, 2, 3)],
    "white ink, LA": [encode(stamp(seed).convert("LA"), "PNG") for seed in (1, 2)],
    "a shadow and its opaque copy": [encode(shadow(128), "PNG"), encode(flattened(shadow(128)), "PNG")],
    "two shadows and a copy": [
        *(encode(shadow(alpha), "PNG") for alpha in (128, 160)),
        encode(flattened(shadow(160)), "PNG"),
    ],
}
