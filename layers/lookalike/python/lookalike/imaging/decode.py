"""From the bytes of a picture file to upright RGB pixels and the digest that identifies them.

Identity rests on this module: the same file must give the same pixels wherever it is decoded. So Pillow's
version is pinned, and golden digests are a test. Only the first frame counts, unless it is empty, so an animation
costs no more than a still. Colour profiles are ignored: samples are taken as sRGB.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lookalike.domain.picture import Pixels
from lookalike.errors import EmptyPicture, NotAPicture, PictureSizeError
from lookalike.imaging.exif_orientation import upright
from lookalike.imaging.file_headers import Container, open_container
from lookalike.imaging.hidden_content import hidden_digest
from lookalike.imaging.pixel_budget import blank
from lookalike.imaging.to_rgb import BROKEN, Reading, reading

#: All formats that are decoded.
FORMATS = frozenset({"JPEG", "PNG", "BMP", "GIF", "WEBP"})

#: Those that have no alpha, and no more than 8 bits a sample.
_HIDE_NOTHING = frozenset({"JPEG"})


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
    ``file_digest`` the SHA-256 of the file, both 64 lower-case hex digits. ``hidden`` is a digest of all that the file
    shows, where ``pixels`` do not tell; None where they do, as those of nearly all pictures.
    """

    pixels: Pixels
    digest: str
    file_digest: str
    format: str
    hidden: str | None = None

    @property
    def full_digest(self) -> str:
        """A digest of all that the file shows: two pictures that differ on any ground have not the same one."""
        return hashlib.sha256(bytes.fromhex(self.digest + (self.hidden or ""))).hexdigest()


def decode(data: bytes, bounds: Bounds, room: Callable[[int, int], Pixels] = blank) -> Decoded:
    """Decode the first frame of a picture file.

    The format is judged by content. Bytes and size are judged before anything is decoded. Turned as EXIF asks,
    alpha laid on white, CMYK and grey turned to RGB; of 16-bit samples the high byte is kept. Where that leaves one
    flat sheet of a file that shows something, :func:`~lookalike.imaging.to_rgb.reading` says what is decoded instead.
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
        container.check()
        pixels = room(container.height, container.width)
        read = reading(container, container.image()).upright(container.exif)
        pixels = _write(read, pixels)
        hidden = _hidden(container, read)
    except BROKEN as reason:
        raise NotAPicture(f"broken: {reason}") from reason
    return Decoded(pixels, digest_of(pixels), hashlib.sha256(data).hexdigest(), container.format, hidden)


def hidden_of(data: bytes, room: Callable[[int, int], Pixels] = blank) -> str | None:
    """Return ``hidden`` of what a stored original decodes to; of its pixels no array is made.

    Raises NotAPicture if it cannot be decoded. ``room`` is asked for the whole picture's size.
    """
    try:
        container = open_container(data, FORMATS)
        if container.format in _HIDE_NOTHING:
            return None
        held = room(container.height, container.width)
        hidden = _hidden(container, reading(container, container.image()).upright(container.exif))
        del held
    except BROKEN as reason:
        raise NotAPicture(f"broken: {reason}") from reason
    return hidden


def _hidden(container: Container, read: Reading) -> str | None:
    if container.format in _HIDE_NOTHING:
        return None
    # Nobody sees low bytes, but where nothing else can be seen and they are what is read.
    low = container.low_bytes() if read.whole is not None and read.ground is None else None
    return hidden_digest(read, None if low is None else upright(low, container.exif))


def digest_of(pixels: Pixels) -> str:
    """SHA-256, as 64 hex digits, of: width, height (unsigned 32-bit big-endian each), then the pixels, row by
    row from the top left, R, G, B, one byte each."""
    height, width, _ = pixels.shape
    digest = hashlib.sha256(struct.pack(">II", width, height))
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def _write(read: Reading, pixels: Pixels) -> Pixels:
    """The picture in RGB, read-only, written to the memory of ``pixels``."""
    width, height = read.image.size
    pixels = pixels.reshape(height, width, 3)  # upright, a picture may be as wide as it was high
    top = 0
    for band in read.bands():
        pixels[top : top + band.height] = np.asarray(band)
        top += band.height
    pixels.setflags(write=False)
    return pixels
