"""Reads the header of a picture file, and cuts out the part that is decoded.

This happens before any decoder sees a byte: the format (by content, never by a file's name), the size, the EXIF block.
Data that pixels do not depend on is removed from JPEG and PNG (texts, colour profiles, thumbnails, comments, further
pictures) and from GIF (blocks before the first image), so that it cannot exhaust memory, or make a decoder stumble or
warn. Data that stays (later frames of a GIF, anything in BMP and WebP) costs no more than its bytes: it is never
decoded.

A file that lacks only bytes behind its last pixel (a trailer, a checksum, padding, a text) counts as whole: those bytes
are put back for the decoder. Nothing is put back where pixels may be missing; the decoder refuses such a file.

A broken file raises :class:`~lookalike.errors.NotAPicture`, or IndexError or struct.error where reading runs past its
end; :mod:`~lookalike.imaging.decode` turns all three into the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from lookalike.errors import NotAPicture
from lookalike.imaging.headers import bmp, gif, jpeg, png, webp
from lookalike.imaging.picture_file import PictureFile
from lookalike.imaging.signatures import format_of

_READERS: Mapping[str, Callable[[bytes], PictureFile]] = {
    "JPEG": jpeg.read,
    "PNG": png.read,
    "GIF": gif.read,
    "BMP": bmp.read,
    "WEBP": webp.read,
}


def open_picture_file(data: bytes, formats: frozenset[str]) -> PictureFile:
    """Read a picture file's header. Only ``formats`` (of JPEG, PNG, BMP, GIF, WEBP) are accepted.

    Raises NotAPicture for anything else, and IndexError or struct.error where the file ends too early.
    """
    name = format_of(data)
    if name is None or name not in formats:
        raise NotAPicture(f"not one of {', '.join(sorted(formats))}")
    return replace(_READERS[name](data), data=data)
