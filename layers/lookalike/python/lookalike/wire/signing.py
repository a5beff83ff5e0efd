"""Parts common to the vendors' signatures: hosts and paths, timestamps, and the reasons of refusals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import product

from lookalike.errors import SignatureInvalid
from lookalike.wire.http import Request

#: Largest accepted error of a caller's clock, in seconds. No vendor documents a limit; AWS has the same.
MAX_SKEW = 900

UNKNOWN_KEY = "lookalike keys list shows the keys that there are; those of a vendor are unknown here"

CLOCK = "set the caller's clock, or this machine's; both are read as UTC"

_HOSTS = "where clients sign for another host name than they call, LOOKALIKE_PUBLIC_HOSTS names it"

#: Longest host that is repeated in a log line, in characters.
_MAX_HOST = 100


def targets(
    hosts: Iterable[str], paths: Iterable[str], public: Iterable[str], *, escape: Callable[[str], str] = str
) -> tuple[tuple[str, str], ...]:
    """Every host and path that a request may have been signed for, each pair once.

    Those received come first, then each public host with its base path, if it has one, before every path.
    ``escape`` brings a path to the form in which it is signed.
    """
    received = tuple(dict.fromkeys(escape(path) for path in paths))
    found = list(product(hosts, received))
    for place in public:
        name, slash, base = place.partition("/")
        base = escape((slash + base).rstrip("/"))
        found += [(name, base + path) for path in received]
    return tuple(dict.fromkeys(found))


def host_of(request: Request) -> tuple[str, str, str]:
    """The host that the request names as it came, its name alone, and its port; empty if it has none."""
    host = request.headers.get("host", "").strip()
    name, colon, port = host.rpartition(":")
    return (host, name, port) if colon and port.isdigit() else (host, host, "")


def unix_seconds(stamp: str, form: re.Pattern[str], *, name: str, example: str) -> int:
    """The time that a timestamp in ISO 8601 means. Raises SignatureInvalid if it is not in the form, or no time."""
    if form.fullmatch(stamp) is None:
        raise SignatureInvalid(f"{name} is not in the form {example}")
    try:
        return int(datetime.fromisoformat(stamp).timestamp())
    except ValueError as reason:
        raise SignatureInvalid(f"{name} is no time") from reason


def clock_error(signed: int, now: int) -> str:
    """Difference between the time of a signature and now, both in Unix seconds, in words."""
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
