"""Tags of the libraries that every tenant has: numbers, in the form that rows keep and searches filter by.

In same and similar libraries a picture carries up to two; in product libraries it has a number in each of two places,
kept as ``1:5`` and ``2:7`` (Baidu image search: ``tags``, ``class_id1``, ``class_id2``). Other libraries' tags are opaque.
"""

from __future__ import annotations

import re

from lookalike.domain.library import Kind
from lookalike.errors import InvalidArgument

#: The most numbers a picture carries, and the greatest.
MOST, GREATEST = 2, 65535

_NUMBER = f"must be whole numbers from 1 to {GREATEST}"


def number(name: str, text: str) -> int | None:
    """The tag that a field's text says; None if it is blank. Raises InvalidArgument if it is none."""
    text = text.strip()
    if not text:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text) or not 1 <= int(text) <= GREATEST:
        raise InvalidArgument(name, _NUMBER)
    return int(text)


def tags_of(kind: Kind, parts: tuple[str, ...]) -> tuple[str, ...]:
    """The tags that these words say, in a library of that kind. Raises InvalidArgument."""
    said = tuple(dict.fromkeys(_placed(part) if kind is Kind.PRODUCT else _plain(part) for part in parts))
    if len(said) > MOST:
        raise InvalidArgument("tags", f"more than {MOST} of them")
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
