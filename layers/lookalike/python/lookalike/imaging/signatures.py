"""The first bytes of picture files, by which their format is told. Imports no decoder."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Formats that are decoded, and the bytes that their files begin with.
SIGNATURES: Mapping[str, re.Pattern[bytes]] = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "GIF": re.compile(rb"GIF8[79]a"),
    "BMP": re.compile(rb"BM"),
    "WEBP": re.compile(rb"RIFF....WEBPVP8[ LX]", re.DOTALL),
}


def format_of(data: bytes) -> str | None:
    """Return the format (a key of ``SIGNATURES``) of a picture file; None for any other data."""
    return next((name for name, signature in SIGNATURES.items() if signature.match(data)), None)


def is_picture(data: bytes) -> bool:
    """Return whether the data begin like a picture file of a format that is decoded."""
    return format_of(data) is not None
