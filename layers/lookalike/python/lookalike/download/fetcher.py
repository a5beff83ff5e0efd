"""Downloads the picture a caller's URL points at, without being turned against the network it runs in."""

from __future__ import annotations

import io
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from http.client import HTTPException, HTTPResponse, IncompleteRead
from ipaddress import ip_address
from queue import Empty, SimpleQueue

from lookalike import __version__
from lookalike.download.public_addresses import Address, Network, is_public
from lookalike.download.url import Url, parse
from lookalike.errors import UrlAnswerError, UrlAnswerTooLong, UrlNotPublic, UrlTimeout, UrlUnreachable
from lookalike.imaging.file_headers import is_signed
from lookalike.ports import Fetcher

Resolver = Callable[[str], Sequence[str]]
"""From a host's name to its addresses, as text. Raises OSError."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Beside the body: status line and headers, and what chunked coding wraps around each piece.
_MAX_HEADER_BYTES = 64 * 1024
# Look-ups that hang cannot be stopped, so no more than these are waited for at a time.
_MAX_LOOKUPS = 32

# Codings that change bytes (IANA, HTTP Content Coding Registry). All else that servers call a coding ("", "aws-chunked",
# "base64", "UTF-8", "binary") says nothing about the body that arrives.
_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "dcb", "dcz", "compress", "x-compress", "exi"})
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15  # zlib's ``wbits``
# What does not change how the body is read: its chunks are put together before.
_TRANSFERS = frozenset({"", "identity", "chunked"})


def resolve(host: str) -> Sequence[str]:
    """The addresses of a name, in the order the system prefers."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class _Deadline:
    """One span of time for all that has to be waited for."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left. Raises TimeoutError when there are none."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("out of time")
        return seconds


class _Stream(io.RawIOBase):
    """What comes in on a socket: no byte after the deadline, and none beyond ``allowance``.

    Until ``headed`` is set it must not end: HTTPResponse takes the end of the stream for the end of the headers.
    """

    def __init__(self, connection: socket.socket, deadline: _Deadline, allowance: int) -> None:
        self._connection = connection
        self._deadline = deadline
        self.allowance = allowance
        self.headed = False

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What HTTPResponse asks of a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # io's own callers pass a memoryview
        """The next bytes, as soon as there are some."""
        if self.allowance <= 0:
            raise UrlAnswerError("the answer is too long")
        self._connection.settimeout(self._deadline.left())
        count = self._connection.recv_into(buffer[: self.allowance])
        if not count and not self.headed:
            raise ConnectionError("broken off in the headers")
        self.allowance -= count
        return count


class SafeFetcher(Fetcher):
    """Connects to public addresses only. Safe to call from threads.

    A name is looked up once per hop, *all* its addresses must be public, and the very address that was checked
    is connected to, so a name that changes its mind in between (rebinding) gains nothing. Each redirect is
    checked like the first URL; one from https to http is followed, since the caller could have given http as
    well and nothing secret is sent. The environment's proxies are not used.

    Parameters
    ----------
    seconds : time for everything together: look-ups, connecting, TLS, headers, body, all hops.
    redirects : how many are followed.
    allow : networks that may be fetched from although they are not public.
    resolve : looks up names.
    tls : verifies servers; the system's trust store if not given.
    """

    def __init__(
        self,
        *,
        seconds: float = 8.0,
        redirects: int = 3,
        allow: tuple[Network, ...] = (),
        resolve: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._seconds = seconds
        self._redirects = redirects
        self._allow = allow
        self._resolve = resolve
        self._given_tls = tls
        self._lookups = threading.BoundedSemaphore(_MAX_LOOKUPS)

    def __call__(self, url: str, max_bytes: int) -> bytes:
        """Download at most ``max_bytes``. How long a URL may be is its caller's rule.

        A body that arrives in gzip or deflate although it was asked for as it is is unpacked, within ``max_bytes``.

        Raises UrlIllegal, UrlTimeout, UrlUnreachable, or UrlAnswerError for any status but 200, a body that is too
        long or in another coding, and what is not HTTP.
        """
        deadline = _Deadline(self._seconds)
        place = parse(url)
        try:
            for _ in range(self._redirects + 1):
                answer = self._get(place, max_bytes, deadline)
                if isinstance(answer, bytes):
                    return answer
                place = answer
        except TimeoutError as reason:
            raise UrlTimeout(
                f"{place.host}: no answer within {self._seconds:g} s", remedy="LOOKALIKE_FETCH_SECONDS allows more"
            ) from reason
        except (OSError, IncompleteRead) as reason:
            raise UrlUnreachable(f"{place.host}: {reason}") from reason
        raise UrlAnswerError(f"more than {self._redirects} redirects", remedy="LOOKALIKE_FETCH_REDIRECTS allows more")

    def _get(self, url: Url, max_bytes: int, deadline: _Deadline) -> bytes | Url:
        """The body, or where the server sends us."""
        with self._connect(url, deadline) as connection:
            connection.settimeout(deadline.left())
            connection.sendall(_request(url))
            stream = _Stream(connection, deadline, _MAX_HEADER_BYTES)
            with HTTPResponse(stream, method="GET") as response:  # type: ignore[arg-type]  # makefile is all it needs
                try:
                    response.begin()
                    stream.headed = True
                    if response.status in _REDIRECTS:
                        return url.joined(_location(response))
                    stream.allowance = 2 * max_bytes + _MAX_HEADER_BYTES
                    return _body(response, max_bytes)
                except (HTTPException, ValueError) as reason:
                    if isinstance(reason, (OSError, IncompleteRead)):
                        raise
                    raise UrlAnswerError(f"{url.host}: not HTTP") from reason

    def _connect(self, url: Url, deadline: _Deadline) -> socket.socket:
        """A connection to one of the host's addresses, the first that answers."""
        addresses = self._addresses(url, deadline)
        while True:
            address = addresses.pop(0)
            try:
                # One that does not answer must not eat the time of those behind it.
                return self._dial(address, url, deadline, deadline.left() / (len(addresses) + 1))
            except OSError:
                if not addresses:
                    raise

    def _dial(self, address: Address, url: Url, deadline: _Deadline, seconds: float) -> socket.socket:
        """A connection to this very address, over TLS if the URL says so."""
        connection = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        try:
            connection.settimeout(seconds)
            connection.connect((str(address), url.port))
            connection.settimeout(deadline.left())
            return self._tls.wrap_socket(connection, server_hostname=url.host) if url.secure else connection
        except BaseException:
            connection.close()
            raise

    def _addresses(self, url: Url, deadline: _Deadline) -> list[Address]:
        """Where the host is. Raises UrlIllegal unless all of it is public, or allowed."""
        addresses = [url.address] if url.address else [ip_address(text) for text in self._look_up(url.host, deadline)]
        for address in addresses:
            if not (is_public(address) or any(address in network for network in self._allow)):
                where = url.host if url.address else f"{url.host}, at {address},"
                raise UrlNotPublic(f"{where} is not public")
        if not addresses:
            raise UrlUnreachable(f"{url.host}: no address")
        return addresses

    def _look_up(self, host: str, deadline: _Deadline) -> Sequence[str]:
        """The host's addresses, waited for no longer than the deadline: a look-up itself knows none."""
        answer: SimpleQueue[Sequence[str] | OSError] = SimpleQueue()

        def ask() -> None:
            try:
                answer.put(self._resolve(host))
            except OSError as reason:
                answer.put(reason)
            finally:
                self._lookups.release()

        if not self._lookups.acquire(timeout=deadline.left()):
            raise TimeoutError("too many look-ups hang")
        threading.Thread(target=ask, name=f"look up {host}", daemon=True).start()
        try:
            found = answer.get(timeout=deadline.left())
        except Empty:
            raise TimeoutError(f"{host} is still being looked up") from None
        if isinstance(found, OSError):
            raise found
        return found

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context()


def _request(url: Url) -> bytes:
    return (
        f"GET {url.target} HTTP/1.1\r\n"
        f"Host: {url.authority}\r\n"
        f"User-Agent: lookalike/{__version__}\r\n"
        "Accept: image/*,*/*;q=0.5\r\n"
        "Accept-Encoding: identity\r\n"
        "Connection: close\r\n"
        "\r\n"
    ).encode("ascii")


def _location(response: HTTPResponse) -> str:
    """Where a redirect leads; bytes that are not ASCII, in whatever charset, go back to the server as they came."""
    location = response.getheader("Location")
    if not location:
        raise UrlAnswerError(f"status {response.status} without a Location")
    return re.sub(r"[^\x00-\x7f]", lambda byte: f"%{ord(byte[0]):02X}", location)


def _body(response: HTTPResponse, max_bytes: int) -> bytes:
    """The whole body, and nothing but the body of a good answer."""
    if response.status != 200:
        raise UrlAnswerError(f"the server answered with status {response.status}")
    if response.getheader("Transfer-Encoding", "").strip().lower() not in _TRANSFERS:
        raise UrlAnswerError("the body is encoded for its transfer")
    if response.length is not None and response.length > max_bytes:
        raise UrlAnswerTooLong(f"{response.length} bytes, more than {max_bytes}")
    body = response.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise UrlAnswerTooLong(f"more than {max_bytes} bytes")
    if response.length:
        raise IncompleteRead(body, response.length)
    return _unpacked(body, response.getheader("Content-Encoding", ""), max_bytes)


def _unpacked(body: bytes, label: str, max_bytes: int) -> bytes:
    """Return the body without the coding it is in. Its bytes decide, not what the server calls it: the label is asked
    only where they say neither that it is a picture nor that it is gzip.
    """
    if is_signed(body):
        return body
    codings = {coding.strip().lower() for coding in label.split(",")}
    if body.startswith(_GZIP_MAGIC):
        kinds = [_GZIP]
    elif "deflate" in codings:
        kinds = [_ZLIB, _RAW_DEFLATE]  # what the name means, and what some servers send
    elif codings & _CODINGS:
        raise UrlAnswerError("the body is encoded, though it was asked for as it is")
    else:
        return body
    for kind in kinds:
        with suppress(zlib.error):
            return _inflated(body, kind, max_bytes)
    raise UrlAnswerError("the body is not in the coding that it is said to be in")


def _inflated(body: bytes, kind: int, max_bytes: int) -> bytes:
    """Return what was deflated. Raises UrlAnswerTooLong, or zlib.error if it is no such data or cut short."""
    stream = zlib.decompressobj(kind)
    data = stream.decompress(body, max_bytes + 1)
    if len(data) > max_bytes:
        raise UrlAnswerTooLong(f"more than {max_bytes} bytes when unpacked")
    if not stream.eof:
        raise zlib.error("cut short")
    return data
