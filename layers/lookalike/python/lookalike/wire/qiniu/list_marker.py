"""Markers of a group's list: where the next page begins, as clients hand it back."""

from __future__ import annotations

import base64
import binascii

from lookalike.domain.library import Library
from lookalike.errors import InvalidArgument


def encode(library: Library, after: str) -> str:
    """Marker of the page after that id, valid in that library alone. A signed query needs no escaping of it."""
    return base64.urlsafe_b64encode(f"{library.uid}/{after}".encode()).decode().rstrip("=")


def decode(library: Library, marker: str) -> str | None:
    """The id in a marker; None if the marker is empty. Raises InvalidArgument."""
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
