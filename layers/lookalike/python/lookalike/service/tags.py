"""Tags of the implicit libraries: numbers, in the form that rows store and searches filter by.

In same and similar libraries a picture has up to two; in product libraries one for each of two classes, stored as ``1:5``
and ``2:7`` (Baidu image search: ``tags``, ``class_id1``, ``class_id2``). Tags of other libraries are opaque.
"""

from __future__ import annotations

import re

from lookalike.domain.library import Kind
from lookalike.errors import InvalidArgument

#: Tags per picture (the vendor's documentation).
MAX_TAGS = 2

#: Value of a tag (the vendor's documentation).
MAX_TAG = 65535

_NUMBER = f"must be whole numbers from 1 to {MAX_TAG}"


def number(name: str, text: str) -> int | None:
    """Parse a field's text as a tag; None if it is blank. Raises InvalidArgument if it is no valid tag."""
    text = text.strip()
    if not text:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text) or not 1 <= int(text) <= MAX_TAG:
        raise InvalidArgument(name, _NUMBER)
    return int(text)


def tags_of(kind: Kind, parts: tuple[str, ...]) -> tuple[str, ...]:
    """Parse the tags of a picture in an implicit library of that kind. Raises InvalidArgument."""
    said = tuple(dict.fromkeys(_placed(part) if kind is Kind.PRODUCT else _plain(part) for part in parts))
    if len(said) > MAX_TAGS:
        raise InvalidArgument("tags", f"more than {MAX_TAGS} of them")
    if kind is Kind.PRODUCT and len({tag.partition(":")[0] for tag in said}) < len(said):
        raise InvalidArgument("tags", "two numbers for one place, 1: or 2:")
    return said


def _plain(part: str) -> str:
    found = number("tags", part)
    if found is None:
        raise InvalidArgument("tags", _NUMBER)
    return str(found)


def _placed(part: str) -> str:
    place, colon, rest = part.partition(":")
    if place not in ("1", "2") or not colon:
        raise InvalidArgument("tags", "must begin with 1: or 2:")
    return f"{place}:{_plain(rest)}"
