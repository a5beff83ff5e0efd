"""The picture of a row: its file, read and made to fit."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field

from lookalike.errors import EmptyPicture, NotAPicture, PictureSizeError
from lookalike.imaging.arriving import MAX_ARRIVING_BYTES, fitted
from lookalike.imaging.decode import Bounds
from lookalike.transfer.rows import Row
from lookalike.wire import base64_image

#: Longest base64 of a picture, in bytes.
_MAX_BASE64 = -(-MAX_ARRIVING_BYTES // 3) * 4


@dataclass(frozen=True, slots=True)
class Arrived:
    """A picture that fits the library. ``original`` is the file as it came, if it did not fit; else None."""

    data: bytes = field(repr=False)
    original: bytes | None = field(default=None, repr=False)


def arrived(row: Row, bounds: Bounds) -> Arrived:
    """Return the picture of a row that has a file or base64. Raises a PictureError or an OSError."""
    return fit(_read(row), bounds)


def fit(data: bytes, bounds: Bounds) -> Arrived:
    """Return a picture that fits. Raises a PictureError."""
    if not data:
        raise EmptyPicture("no bytes", field="file")
    if len(data) > MAX_ARRIVING_BYTES:
        raise PictureSizeError(f"{len(data)} bytes, more than {MAX_ARRIVING_BYTES}", field="file")
    smaller = fitted(data, bounds)
    return Arrived(data) if smaller is None else Arrived(smaller, data)


def _read(row: Row) -> bytes:
    if row.file is None:
        return base64_image.from_base64("base64", (row.base64 or "").encode(), _MAX_BASE64)
    try:
        file = row.real_file()
        if file is None:
            raise NotAPicture(f"lies outside of {row.root}; --root says where files may lie", field="file")
        found = file.stat()
        if stat.S_ISDIR(found.st_mode):
            raise NotAPicture("is a folder", field="file")
        if not stat.S_ISREG(found.st_mode):  # a pipe, of which nobody knows when it ends, or a device
            raise NotAPicture("is no file of a disk", field="file")
        if found.st_size > MAX_ARRIVING_BYTES:
            raise PictureSizeError(f"{found.st_size} bytes, more than {MAX_ARRIVING_BYTES}", field="file")
        return file.read_bytes()
    except FileNotFoundError:
        raise NotAPicture("there is no such file", field="file") from None
    except ValueError as error:  # a NUL in the name
        raise NotAPicture(f"no name of a file ({error})", field="file") from error
