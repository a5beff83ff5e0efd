"""Paths of pictures: an id as it stands in a path.

An id may hold anything. Some gateways decode a path before they route it, so that an encoded slash parts segments. So an id
that is not plain is written as ``~`` and its base64url, which no gateway changes. Paths that are merely percent-encoded are
understood as well, where the gateway leaves them whole.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote

from lookalike.errors import InvalidArgument
from lookalike.wire.native import BASE

#: Ids that are written as they are.
_PLAIN = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._,-]{1,128}")

_MARK = "~"


def of(library: str, id_: str) -> str:
    """Return the path of a picture."""
    return f"{BASE}/libraries/{library}/pictures/{segment(id_)}"


def segment(id_: str) -> str:
    """Return the id as a segment of a path."""
    if _PLAIN.fullmatch(id_):
        return id_
    return _MARK + base64.urlsafe_b64encode(id_.encode()).decode().rstrip("=")


def says_replacement(raw_path: str) -> bool:
    """Whether a path as it was requested is UTF-8, percent-encoded: then U+FFFD in it is what its caller has written.

    A gateway that decodes paths puts that in the place of what is not UTF-8, so where it stands as it is, nobody knows.
    """
    try:
        unquote(raw_path, errors="strict")
    except UnicodeDecodeError:
        return False
    return "\ufffd" not in raw_path


def id_of(segment: str) -> str:
    """Return the id that a decoded segment says. Raises InvalidArgument if what follows the mark is no base64url."""
    if not segment.startswith(_MARK):
        return segment
    encoded = segment.removeprefix(_MARK)
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as reason:
        raise InvalidArgument("id", "begins with ~, and what follows is no base64url of UTF-8") from reason
