"""What every dialect says of a signature that it refuses, for the operator's log: which check failed, and what helps."""

from __future__ import annotations

from collections.abc import Iterable

from lookalike.errors import SignatureInvalid
from lookalike.wire.http import Request

UNKNOWN_KEY = "lookalike keys list shows the keys that there are; those of a vendor are unknown here"

CLOCK = "set the caller's clock, or this machine's; both are read as UTC"

_HOSTS = "where clients sign for another host name than they call, LOOKALIKE_PUBLIC_HOSTS names it"

#: Longest host that is repeated, in characters.
_MAX_HOST = 100


def clock_error(signed: int, now: int) -> str:
    """How far the time that a request was signed at is from now, both in Unix seconds."""
    seconds = abs(signed - now)
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"its time is {seconds // length} {unit} {'behind' if signed < now else 'ahead'}"
    return f"its time is {seconds} s {'behind' if signed < now else 'ahead'}"


def mismatch(request: Request, public: Iterable[str]) -> SignatureInvalid:
    """The error of a signature by a known key that fits nothing it may have been made of."""
    known = ", ".join(public) or "none"
    return SignatureInvalid(
        "made with another secret key, or for another host, path or query; the request came for host "
        f"{request.headers.get('host', '')[:_MAX_HOST]!r}, and other hosts it may be signed for are: {known}",
        remedy=_HOSTS,
    )
