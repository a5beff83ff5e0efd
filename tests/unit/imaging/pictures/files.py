"""Builds picture files that no encoder writes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: Orientation as EXIF numbers it, and what makes the stored picture upright.
ORIENTATIONS = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: stored[::-1].transpose(1, 0, 2),
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: stored[:, ::-1].transpose(1, 0, 2),
}


def encode(pixels: NDArray[np.generic] | Image.Image, form: str, **options: object) -> bytes:
    """Return a picture file by Pillow's encoder."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def exif(orientation: int, *, order: str = "<", kind: int = 3) -> bytes:
    """Return an EXIF block with a software and an orientation entry: a TIFF structure without a header."""
    return (
        {"<": b"II*\0", ">": b"MM\0*"}[order]
        + struct.pack(f"{order}IH", 8, 2)
        + struct.pack(f"{order}HHI4s", 0x0131, 2, 4, b"abc\0")
        + struct.pack(f"{order}HHIHH", 0x0112, kind, 1, orientation, 0)
        + struct.pack(f"{order}I", 0)
    )


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """Return an IHDR chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png(rows: Sequence[bytes], width: int, depth: int, colour: int, *extra: bytes) -> bytes:
    """Return a PNG file of packed rows, with extra chunks before the rows."""
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    header = png_header(width, len(rows), depth, colour)
    return PNG_SIGNATURE + header + b"".join(extra) + chunk(b"IDAT", body) + chunk(b"IEND")


def png_with(file: bytes, *extra: bytes) -> bytes:
    """Return a PNG file with extra chunks after its header."""
    return file[:33] + b"".join(extra) + file[33:]


def gif_split(file: bytes) -> tuple[bytes, bytes]:
    """Return a GIF file in two parts, split after its colour table."""
    end = 13 + (3 << (file[10] & 7) + 1 if file[10] & 0x80 else 0)
    return file[:end], file[end:]


def rle_bmp(width: int, height: int, body: bytes) -> bytes:
    """Return a run-length coded BMP of 256 colours."""
    palette = b"".join(bytes((value, value // 2, 255 - value, 0)) for value in range(256))
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(body), 0, 0, 54 + 1024) + info + palette + body


def last_scan(file: bytes) -> bytes:
    """Return the last scan of a progressive JPEG, from its marker to the end of the picture."""
    return file[file.rindex(b"\xff\xda") : -2]


def cuts(file: bytes) -> list[int]:
    """Return lengths to cut a file to: all within its last 500 bytes, and some others."""
    return sorted({*range(1, len(file), 1 + len(file) // 150), *range(max(1, len(file) - 800), len(file))})
