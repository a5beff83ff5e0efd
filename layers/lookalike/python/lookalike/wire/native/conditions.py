"""Conditions of requests: what If-Match and If-None-Match say (RFC 9110 section 13.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lookalike.errors import InvalidArgument
from lookalike.wire.http import Request

#: Most digits of a revision: those of Unix milliseconds, and more.
_REVISION = re.compile(r'(?P<quote>"?)(?P<revision>[0-9]{1,18})(?P=quote)')

#: An entity tag (RFC 9110 section 8.8.3).
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')

#: A revision that no picture has: they are times.
_NO_REVISION = 0


def if_match(request: Request) -> int | None:
    """Return the revision that If-Match names, with or without quotes; None if any will do. Raises InvalidArgument.

    An entity tag that is none of ours, or a weak one, names a revision that no picture has.
    """
    text = request.headers.get("if-match", "*").strip()
    if text == "*":
        return None
    found = _REVISION.fullmatch(text)
    if found is not None:
        return int(found["revision"])
    if _ENTITY_TAG.fullmatch(text):
        return _NO_REVISION
    raise InvalidArgument("If-Match", 'must be one ETag as it was answered, "1764300000000", or *')


@dataclass(frozen=True, slots=True)
class PutCondition:
    """Where a picture may be put: only where there is none, or only in the place of one, of that revision if it is named."""

    absent: bool = False
    there: bool = False
    revision: int | None = None


def put_condition(request: Request) -> PutCondition:
    """Return what If-Match and If-None-Match say of a picture to put. Raises InvalidArgument."""
    unless = request.headers.get("if-none-match")
    if unless is not None and unless.strip() != "*":
        raise InvalidArgument("If-None-Match", "must be * here: put it where there is none")
    return PutCondition(unless is not None, "if-match" in request.headers, if_match(request))


def is_not_modified(request: Request, revision: int) -> bool:
    """Whether If-None-Match names this revision."""
    named = request.headers.get("if-none-match", "")
    tags = [part.strip().removeprefix("W/") for part in named.split(",")]
    return f'"{revision}"' in tags or tags == ["*"]
