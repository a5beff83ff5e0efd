"""Where the next page of a list begins."""

from __future__ import annotations

import base64
import binascii

from lookalike.domain.library import Library
from lookalike.errors import InvalidArgument


def encode(library: Library, after: str) -> str:
    """Where a list goes on, of letters that need no escaping in a signed query. It is of use in that library alone."""
    return base64.urlsafe_b64encode(f"{library.uid}/{after}".encode()).decode().rstrip("=")


def decode(library: Library, marker: str) -> str | None:
    """The id that a marker says; None if it is empty. Raises InvalidArgument."""
    if not marker:
        return None
    try:
        plain = marker.translate(str.maketrans("-_", "+/"))
        said = binascii.a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True).decode()
    except ValueError as reason:
        raise InvalidArgument("marker", "not one that a list has answered") from reason
    uid, _, after = said.partition("/")
    if uid != library.uid or not after:
        raise InvalidArgument("marker", "one of another group, or of one that was made anew")
    return after
