"""WebP chunks and headers (RFC 9649, 2.3 to 2.7)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from lookalike.imaging.picture_file import PictureFile

_IMAGE_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
_EXIF_FLAG = 0x08

#: Offset of the first chunk, behind "RIFF", the length and "WEBP".
FIRST_CHUNK_AT = 12


def read(data: bytes) -> PictureFile:
    """Read a WebP file. All of it is kept: its decoder reads one frame and nothing else.

    Raises IndexError or struct.error for a file that ends too early.
    """
    first_frame, exif, kind = _normalised(data), b"", data[12:16]
    if kind == b"VP8X":
        (sides,) = struct.unpack_from("<Q", data[24:30] + b"\0\0")
        width, height = (sides & 0xFFFFFF) + 1, (sides >> 24) + 1
        exif = _exif(first_frame)
    elif kind == b"VP8L":
        (sides,) = struct.unpack_from("<I", data, 21)
        width, height = (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    exif_is_lost = kind == b"VP8X" and first_frame is not data and data[20] & _EXIF_FLAG and not exif
    fault = "its EXIF block is missing" if exif_is_lost else ""
    return PictureFile("WEBP", width, height, first_frame, exif, fault=fault)


def chunks(data: bytes, position: int) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield type and content of the chunks from ``position`` on, and whether they are complete: the last may be cut."""
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        content = data[position + 8 : position + 8 + length]
        yield kind, content, len(content) == length
        position += 8 + length + length % 2


def file_of(contents: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a WebP file of chunks, given as type and content."""
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2) for kind, content in contents
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _normalised(data: bytes) -> bytes:
    """Return a file of the complete chunks if the file is shorter than it says and the image is complete.

    Any other file is returned as it is (the same object).
    """
    (length,) = struct.unpack_from("<I", data, 4)
    image_end = _image_end(data)
    if image_end is None or image_end <= length + 8 <= len(data):
        return data
    return file_of((kind, content) for kind, content, complete in chunks(data, FIRST_CHUNK_AT) if complete)


def _image_end(data: bytes) -> int | None:
    """Return the offset behind the image, or the first of an animation; None if it is not complete."""
    end = FIRST_CHUNK_AT
    for kind, content, complete in chunks(data, end):
        end += 8 + len(content) + len(content) % 2
        if kind in _IMAGE_CHUNKS:
            return end if complete else None
    return None


def _exif(data: bytes) -> bytes:
    for kind, content, _ in chunks(data, FIRST_CHUNK_AT):
        if kind == b"EXIF":
            return content.removeprefix(b"Exif\0\0")
    return b""
