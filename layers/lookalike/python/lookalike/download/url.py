"""The URL of a picture, taken apart once: what is connected to is what was checked, by one parser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import quote, urljoin

from lookalike.download.public_addresses import Address
from lookalike.errors import UrlIllegal

_PORTS = {"http": 80, "https": 443}
# Scheme, host, port, path with query. No credentials, no percent signs or backslashes in the host, no control
# characters and no half of a surrogate pair anywhere; a fragment is not sent.
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:\[(?P<literal>[0-9a-f:.]+)\]|(?P<host>[^\x00-\x20\x7f\\%/?#@:\[\]]+))"
    r"(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>[/?][^#\x00-\x1f\x7f\ud800-\udfff]*)?"
    r"(?:#[^\x00-\x1f\x7f]*)?",
    re.IGNORECASE | re.ASCII,  # without ASCII, a long s (U+017F) would be an s
)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# WHATWG URL Standard, 3.5: a host whose last label looks like a number is an IPv4 address, or nothing.
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_SAFE = "!$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True, slots=True)
class Url:
    """A URL that may be asked for, if its host's addresses may.

    ``host`` is a lower-case ASCII name or an address in its one usual notation; ``target`` is what the request
    line asks for.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def secure(self) -> bool:
        """Whether it is asked for over TLS."""
        return self.scheme == "https"

    @property
    def address(self) -> Address | None:
        """The host's address, if it stands in the URL."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """Host and port, as the Host header says them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def joined(self, location: str) -> Url:
        """Where a redirect from here leads. Raises UrlIllegal."""
        try:
            return parse(urljoin(f"{self.scheme}://{self.authority}{self.target}", location))
        except ValueError as reason:
            raise UrlIllegal("its redirect leads to what is no URL") from reason


def parse(text: str) -> Url:
    """Take a URL apart. Raises UrlIllegal if it is not a plain one of http or https.

    Ports are the two usual ones and those that need no privilege. Addresses in any but the usual notation
    (127.1, 0x7f000001, 0177.0.0.1, 2130706433) are no names either.
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
    """A host in lower-case ASCII. Raises ValueError if it is no name and no IPv4 address."""
    name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise ValueError(host)
    return str(ip_address(name)) if _NUMERIC.fullmatch(name) else name
