"""Parses callers' URLs. One parser serves both the checks and the connection, so they cannot disagree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import quote, urljoin

from lookalike.download.public_addresses import Address
from lookalike.errors import UrlIllegal

_PORTS = {"http": 80, "https": 443}
#: Scheme, host, port, path with query. No credentials, no percent sign or backslash in the host, no control character
#: and no lone surrogate anywhere; a fragment is not sent.
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:\[(?P<literal>[0-9a-f:.]+)\]|(?P<host>[^\x00-\x20\x7f\\%/?#@:\[\]]+))"
    r"(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>[/?][^#\x00-\x1f\x7f\ud800-\udfff]*)?"
    r"(?:#[^\x00-\x1f\x7f]*)?",
    re.IGNORECASE | re.ASCII,  # without ASCII, a long s (U+017F) would match s
)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")

#: WHATWG URL Standard, 3.5: a host whose last label looks like a number is an IPv4 address or invalid.
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_SAFE = "!$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True, slots=True)
class Url:
    """A well-formed URL; whether its host's addresses are allowed is not checked yet.

    ``host`` is a lower-case ASCII name or an address in canonical notation; ``target`` is the request line's target.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def secure(self) -> bool:
        """Whether the scheme is https."""
        return self.scheme == "https"

    @property
    def address(self) -> Address | None:
        """The host if it is an address; None if it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """Host and port, as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def joined(self, location: str) -> Url:
        """Return the URL of a redirect's ``location``. Raises UrlIllegal."""
        try:
            return parse(urljoin(f"{self.scheme}://{self.authority}{self.target}", location))
        except ValueError as reason:
            raise UrlIllegal("its redirect leads to what is no URL") from reason


def parse(text: str) -> Url:
    """Parse a URL. Raises UrlIllegal unless it is a plain one of http or https.

    Allowed ports are 80, 443 and the unprivileged ones. IPv4 addresses in unusual notation (127.1, 0x7f000001,
    0177.0.0.1, 2130706433) are refused, also as names.
    """
    parts = _URL.fullmatch(text)
    if parts is None:
        raise UrlIllegal("must be a plain http:// or https:// URL, without credentials and control characters")
    scheme = parts["scheme"].lower()
    port = int(parts["port"] or _PORTS[scheme])
    if port not in _PORTS.values() and not 1024 <= port <= 65535:
        raise UrlIllegal(f"port {port}; ports may be 80, 443 and those from 1024 to 65535")
    try:
        host = str(IPv6Address(parts["literal"])) if parts["literal"] else _name(parts["host"])
    except ValueError as reason:
        raise UrlIllegal("its host is neither a name nor an address in its usual notation") from reason
    path = parts["path"] or "/"
    return Url(scheme, host, port, quote(path if path.startswith("/") else f"/{path}", safe=_SAFE))


def _name(host: str) -> str:
    """Return a host in lower-case ASCII. Raises ValueError if it is neither a name nor an IPv4 address."""
    name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise ValueError(host)
    return str(ip_address(name)) if _NUMERIC.fullmatch(name) else name
