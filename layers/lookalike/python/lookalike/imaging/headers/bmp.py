"""BMP headers (Microsoft, BITMAPCOREHEADER and BITMAPINFOHEADER)."""

from __future__ import annotations

import struct

from lookalike.imaging.picture_file import PictureFile

_CORE_HEADER_BYTES = 12


def read(data: bytes) -> PictureFile:
    """Read a BMP file; all of it is kept. Raises struct.error where it ends too early."""
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_bytes == _CORE_HEADER_BYTES else "<ii", data, 18)
    return PictureFile("BMP", width, abs(height), data)  # a negative height stores rows from the top
