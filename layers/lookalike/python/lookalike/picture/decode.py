"""From the bytes of a picture file to upright RGB pixels and the digest that identifies them.

Identity rests on this module: the same file must give the same pixels wherever it is decoded. So Pillow's
version is pinned, and golden digests are a test. Only the first frame counts, so an animation costs no more
than a still. Colour profiles are ignored: samples are taken as sRGB.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lookalike.errors import EmptyPicture, NotAPicture, PictureSizeError
from lookalike.model import Pixels
from lookalike.picture.budget import blank
from lookalike.picture.container import open_container
from lookalike.picture.orientation import upright

#: Everything that our reading of headers and Pillow's decoders were seen to raise on millions of broken files.
BROKEN = (IndexError, KeyError, OSError, SyntaxError, ValueError, struct.error)

#: All formats that are decoded.
FORMATS = frozenset({"JPEG", "PNG", "BMP", "GIF", "WEBP"})

_WHITE = (255, 255, 255)

#: Rows that are turned to RGB at a time, so that no second copy of the whole picture is made.
_BAND = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a picture may be. Sides are pixels; ``formats`` are of JPEG, PNG, BMP, GIF, WEBP."""

    max_bytes: int
    min_side: int
    max_side: int
    max_pixels: int
    formats: frozenset[str]

    def check(self, width: int, height: int) -> None:
        """Raise PictureSizeError if a picture may not have this size."""
        shorter, longer = sorted((width, height))
        if shorter < self.min_side or longer > self.max_side or width * height > self.max_pixels:
            raise PictureSizeError(
                f"{width}×{height} pixels; sides may have {self.min_side} to {self.max_side}, "
                f"and all of it {self.max_pixels}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A picture, decoded.

    ``pixels`` is read-only uint8 of shape (height, width, 3), RGB, upright. ``digest`` is :func:`digest_of` it,
    ``file_digest`` the SHA-256 of the file, both 64 lower-case hex digits.
    """

    pixels: Pixels
    digest: str
    file_digest: str
    format: str


def decode(data: bytes, bounds: Bounds, room: Callable[[int, int], Pixels] = blank) -> Decoded:
    """Decode the first frame of a picture file.

    The format is judged by content. Bytes and size are judged before anything is decoded. Turned as EXIF asks,
    alpha laid on white, CMYK and grey turned to RGB; of 16-bit samples the high byte is kept.
    ``room`` makes the array of a height and a width that the pixels are written to; nothing large is in memory before.

    Raises EmptyPicture, NotAPicture (no picture, not an allowed format, truncated, corrupt) or PictureSizeError.
    """
    if not data:
        raise EmptyPicture("no bytes")
    if len(data) > bounds.max_bytes:
        raise PictureSizeError(f"{len(data)} bytes, more than {bounds.max_bytes}")
    try:
        container = open_container(data, bounds.formats)
        bounds.check(container.width, container.height)
        pixels = room(container.height, container.width)
        pixels = _write(upright(container.image(), container.exif), pixels)
    except BROKEN as reason:
        raise NotAPicture(f"broken: {reason}") from reason
    return Decoded(pixels, digest_of(pixels), hashlib.sha256(data).hexdigest(), container.format)


def digest_of(pixels: Pixels) -> str:
    """SHA-256, as 64 hex digits, of: width, height (unsigned 32-bit big-endian each), then the pixels, row by
    row from the top left, R, G, B, one byte each."""
    height, width, _ = pixels.shape
    digest = hashlib.sha256(struct.pack(">II", width, height))
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def _write(image: Image.Image, pixels: Pixels) -> Pixels:
    """The picture in RGB, read-only, written to the memory of ``pixels``."""
    image.load()
    width, height = image.size
    pixels = pixels.reshape(height, width, 3)  # upright, a picture may be as wide as it was high
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        pixels[top:bottom] = np.asarray(rgb(image.crop((0, top, width, bottom))))
    pixels.setflags(write=False)
    return pixels


def rgb(image: Image.Image) -> Image.Image:
    """The picture in mode RGB, what is transparent laid on white."""
    if image.mode == "I;16":
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        picture = image if image.mode == "RGBA" else image.convert("RGBA")
        opaque = Image.new("RGB", picture.size, _WHITE)
        opaque.paste(picture, mask=picture)
        return opaque
    return image.convert("RGB") if image.mode != "RGB" else image
