"""Decodes picture files to upright RGB pixels, and computes the digest that identifies them.

Identity depends on this module: the same file must decode to the same pixels everywhere. Therefore Pillow's version is
pinned, and tests hold golden digests. Only the first frame counts, unless it is empty, so an animation costs no more
than a still picture. Colour profiles are ignored: samples are taken as sRGB.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lookalike.domain.picture import Decoded, Pixels
from lookalike.errors import EmptyPicture, NotAPicture, PictureSizeError
from lookalike.imaging.exif_orientation import upright
from lookalike.imaging.file_headers import open_picture_file
from lookalike.imaging.headers.png import low_bytes
from lookalike.imaging.hidden_content import hidden_digest
from lookalike.imaging.picture_file import PictureFile
from lookalike.imaging.pixel_budget import allocate
from lookalike.imaging.to_rgb import BROKEN, DECODE_ERRORS, Rendering, render

#: All formats that are decoded.
FORMATS = frozenset({"JPEG", "PNG", "BMP", "GIF", "WEBP"})

#: Formats without alpha and with 8 bits a sample.
_WITHOUT_ALPHA = frozenset({"JPEG"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of a picture file: bytes, sides and area in pixels, and ``formats`` (of JPEG, PNG, BMP, GIF, WEBP)."""

    max_bytes: int
    min_side: int
    max_side: int
    max_pixels: int
    formats: frozenset[str]

    def check(self, width: int, height: int) -> None:
        """Raise PictureSizeError if a size in pixels is not allowed."""
        shorter, longer = sorted((width, height))
        if shorter < self.min_side or longer > self.max_side or width * height > self.max_pixels:
            raise PictureSizeError(
                f"{width}×{height} pixels; sides may have {self.min_side} to {self.max_side}, "
                f"and all of it {self.max_pixels}"
            )


def decode(data: bytes, bounds: Bounds, allocate: Callable[[int, int], Pixels] = allocate) -> Decoded:
    """Decode the first frame of a picture file.

    The format is told by content. Bytes and size are checked before anything is decoded. EXIF orientation is applied,
    alpha composited on white, CMYK and grey converted to RGB; of 16-bit samples the high byte is kept. Where that
    leaves a single colour, :func:`~lookalike.imaging.to_rgb.render` chooses another rendering. ``allocate`` returns the
    array, of a height and a width, that the pixels are written to; it is called before anything large is in memory.

    Raises EmptyPicture, NotAPicture (no picture, not an allowed format, truncated, corrupt) or PictureSizeError.
    """
    if not data:
        raise EmptyPicture("no bytes")
    if len(data) > bounds.max_bytes:
        raise PictureSizeError(f"{len(data)} bytes, more than {bounds.max_bytes}")
    try:
        file = open_picture_file(data, bounds.formats)
        bounds.check(file.width, file.height)
        file.check()
        pixels = allocate(file.height, file.width)
        read = render(file, file.image()).upright(file.exif)
        pixels = _write_rgb(read, pixels)
        hidden = _hidden_digest(file, read)
    except DECODE_ERRORS as reason:
        raise NotAPicture(BROKEN) from reason
    return Decoded(pixels, digest_of(pixels), hashlib.sha256(data).hexdigest(), file.format, hidden)


def hidden_digest_of_file(data: bytes, allocate: Callable[[int, int], Pixels] = allocate) -> str | None:
    """Return ``Decoded.hidden`` of a stored original, without an array of its pixels.

    ``allocate`` is called with the picture's size, to account for memory. Raises NotAPicture.
    """
    try:
        file = open_picture_file(data, FORMATS)
        if file.format in _WITHOUT_ALPHA:
            return None
        held = allocate(file.height, file.width)
        hidden = _hidden_digest(file, render(file, file.image()).upright(file.exif))
        del held
    except DECODE_ERRORS as reason:
        raise NotAPicture(BROKEN) from reason
    return hidden


def _hidden_digest(file: PictureFile, read: Rendering) -> str | None:
    if file.format in _WITHOUT_ALPHA:
        return None
    # Low bytes count only where the rendering is made of them, because the high bytes show nothing.
    low = low_bytes(file) if read.whole is not None and read.background is None else None
    return hidden_digest(read, None if low is None else upright(low, file.exif))


def digest_of(pixels: Pixels) -> str:
    """Return the SHA-256, 64 hex digits, of size and pixels.

    Hashed are width and height (unsigned 32-bit, big-endian), then the pixels row by row from the top left: R, G, B,
    one byte each.
    """
    height, width, _ = pixels.shape
    digest = hashlib.sha256(struct.pack(">II", width, height))
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def _write_rgb(read: Rendering, pixels: Pixels) -> Pixels:
    """Write the rendering to the memory of ``pixels``; return a read-only view of its shape."""
    width, height = read.image.size
    pixels = pixels.reshape(height, width, 3)  # orientation may have swapped the sides
    top = 0
    for band in read.bands():
        pixels[top : top + band.height] = np.asarray(band)
        top += band.height
    pixels.setflags(write=False)
    return pixels
