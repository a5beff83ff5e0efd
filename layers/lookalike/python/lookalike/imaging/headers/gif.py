"""GIF headers and blocks (CompuServe, Graphics Interchange Format 89a)."""

from __future__ import annotations

import struct

from lookalike.errors import NotAPicture
from lookalike.imaging.picture_file import PictureFile

TRAILER = 0x3B
_EXTENSION, _IMAGE, _GRAPHIC_CONTROL = 0x21, 0x2C, 0xF9


def read(data: bytes) -> PictureFile:
    """Read a GIF file. Kept are the screen, its palette, and the first image with its graphic control.

    The screen grows with an image that reaches beyond it, as in every viewer. Raises NotAPicture, IndexError or
    struct.error for a broken file.
    """
    screen_width, screen_height = struct.unpack_from("<HH", data, 6)
    end = screen_end(data)
    control, position = next_image(data, end)
    left, top, width, height = struct.unpack_from("<HHHH", data, position + 1)
    first_frame = data[:end] + control + data[position:]
    return PictureFile("GIF", max(screen_width, left + width), max(screen_height, top + height), first_frame)


def screen_end(data: bytes) -> int:
    """Return the offset behind the logical screen descriptor and the global palette."""
    return 13 + _colour_table_bytes(data[10])


def next_image(data: bytes, position: int) -> tuple[bytes, int]:
    """Return the graphic control block of the next image (empty if it has none) and the image's offset.

    Raises NotAPicture if there is no further image.
    """
    control = b""
    while data[position] != _IMAGE:
        if data[position] == TRAILER:
            raise NotAPicture("GIF: no image in it")
        if data[position] != _EXTENSION:
            raise NotAPicture("GIF: neither image nor extension")
        if data[position + 1] == _GRAPHIC_CONTROL and data[position + 2] == 4:
            control = data[position : position + 7] + b"\0"
        position = _sub_blocks_end(data, position + 2)
    return control, position


def image_end(data: bytes, position: int) -> int:
    """Return the offset behind the image that begins at ``position``."""
    return _sub_blocks_end(data, position + 11 + _colour_table_bytes(data[position + 9]))


def _colour_table_bytes(flags: int) -> int:
    """Return the size of the colour table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _sub_blocks_end(data: bytes, position: int) -> int:
    """Return the offset behind the chain of data sub-blocks that begins at ``position``."""
    while data[position]:
        position += data[position] + 1
    return position + 1
