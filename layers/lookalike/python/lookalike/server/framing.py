"""Parses HTTP/1.1 strictly: a request that two parsers could read differently is refused (RFC 9112, section 11).

h11 is lenient, and a proxy in front may be lenient in another way: a request hidden between the two readings would be
smuggled past the proxy.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import h11
from h11._receivebuffer import ReceiveBuffer

#: A line feed without its carriage return (section 2.2).
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")

#: ``uri-host [":" port]`` (RFC 9110 section 7.2): a name, an IPv4 address, or an IPv6 address in brackets.
_HOST = re.compile(rb"(?:\[[0-9A-Za-z:.%]+\]|[-A-Za-z0-9._~!$&'()*+,;=%]*)(?::[0-9]*)?")

_CLOSE = (b"connection", b"close")

_VERSIONS = (b"1.0", b"1.1")


class StrictConnection(h11.Connection):
    """h11's server side. Raises RemoteProtocolError for ambiguous requests that h11 would accept."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER)
        # h11 offers no public way to see line ends; a test checks that this one works.
        self._receive_buffer: _StrictLines = _StrictLines()

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return the next event; a request only if its framing is unambiguous."""
        if self.their_state is h11.IDLE:
            self._receive_buffer.skip_empty_line()
        event = super().next_event()
        if isinstance(event, h11.Request):
            _check(event)
        return event

    def send(self, event: h11.Event) -> bytes | None:  # type: ignore[override]  # h11 overloads it for each event
        """Return the bytes of an event. A response that closes the connection does not also offer to keep it alive."""
        if isinstance(event, h11.Response) and _CLOSE in event.headers:
            kept = [(name, value) for name, value in event.headers if name != b"keep-alive" and value != b"keep-alive"]
            event = h11.Response(status_code=event.status_code, headers=kept, reason=event.reason)
        return super().send(event)


class _StrictLines(ReceiveBuffer):
    """A receive buffer in which every line of heads and trailers must end in CRLF."""

    def skip_empty_line(self) -> None:
        """Remove an empty line before a request line (section 2.2)."""
        if self._data.startswith(b"\r\n"):
            self._extract(2)

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Return the lines up to the first empty one; None if it is not received yet. Raises LocalProtocolError."""
        end = self._data.find(b"\r\n\r\n")
        no_trailers = self._data.startswith(b"\r\n")  # what follows belongs to the next request
        if not no_trailers and _BARE_LINE_FEED.search(self._data, 0, len(self._data) if end < 0 else end):
            raise h11.LocalProtocolError("bare line feed")
        return super().maybe_extract_lines()


def _check(request: h11.Request) -> None:
    """Raise RemoteProtocolError unless version, framing, host and target are valid in HTTP/1.1."""
    headers = dict(request.headers)
    if request.http_version not in _VERSIONS:
        raise h11.RemoteProtocolError("no such HTTP version")
    if b"transfer-encoding" in headers and (b"content-length" in headers or request.http_version == b"1.0"):
        raise h11.RemoteProtocolError("framed twice")  # section 6.1
    if not _HOST.fullmatch(headers.get(b"host", b"")):
        raise h11.RemoteProtocolError("illegal Host")
    if not _is_target(request.method, request.target.decode("ascii")):
        raise h11.RemoteProtocolError("illegal target")


def _is_target(method: bytes, target: str) -> bool:
    """Return whether a target is a path, an absolute URL, or the asterisk of OPTIONS (section 3.2)."""
    if target == "*":
        return method == b"OPTIONS"
    if target.startswith("/"):
        return True
    try:
        address = urlsplit(target)
    except ValueError:
        return False
    return (
        address.scheme in ("http", "https") and bool(_HOST.fullmatch(address.netloc.encode())) and bool(address.netloc)
    )
