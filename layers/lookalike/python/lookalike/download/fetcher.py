"""Downloads files from callers' URLs, protected against server-side request forgery."""

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
from lookalike.ports import Fetcher

Resolver = Callable[[str], Sequence[str]]
"""Maps a host's name to its addresses, as text. Raises OSError."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Bytes beside the body: status line, headers, and the framing of chunks.
_MAX_HEADER_BYTES = 64 * 1024

#: Name look-ups pending at a time. They cannot be cancelled, so those that hang would pile up.
_MAX_LOOKUPS = 32

#: Codings that change the bytes (IANA, HTTP Content Coding Registry). Any other label that servers send ("",
#: "aws-chunked", "base64", "UTF-8", "binary") says nothing about the body.
_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "dcb", "dcz", "compress", "x-compress", "exi"})
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15  # zlib's ``wbits``

#: Transfer codings that leave the body as it is: http.client has joined its chunks.
_TRANSFER_CODINGS = frozenset({"", "identity", "chunked"})


def resolve(host: str) -> Sequence[str]:
    """Return the addresses of a name, in the system's order of preference."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class _Deadline:
    """One deadline for all steps of a download."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def seconds_left(self) -> float:
        """Return the seconds left. Raises TimeoutError if there are none."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("out of time")
        return seconds


class _Stream(io.RawIOBase):
    """The bytes received on a socket, up to the deadline and to ``bytes_left``.

    While ``head_is_complete`` is false, the end of the stream is an error: HTTPResponse would take it for the end of
    the headers.
    """

    def __init__(self, connection: socket.socket, deadline: _Deadline, bytes_left: int) -> None:
        self._connection = connection
        self._deadline = deadline
        self.bytes_left = bytes_left
        self.head_is_complete = False

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a buffered reader; HTTPResponse needs nothing else of a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # io passes a memoryview
        """Read the next bytes, waiting for them; return their number."""
        if self.bytes_left <= 0:
            raise UrlAnswerError("the answer is too long")
        self._connection.settimeout(self._deadline.seconds_left())
        count = self._connection.recv_into(buffer[: self.bytes_left])
        if not count and not self.head_is_complete:
            raise ConnectionError("broken off in the headers")
        self.bytes_left -= count
        return count


class SafeFetcher(Fetcher):
    """Connects to public addresses only. Safe to call from threads.

    A name is looked up once a hop, *all* its addresses must be public, and a checked address itself is connected to, so
    DNS rebinding gains nothing. Each redirect is checked like the first URL. One from https to http is followed, since
    the caller could have given http as well and nothing secret is sent. The environment's proxies are not used.

    Parameters
    ----------
    seconds : time for all steps together: look-ups, connecting, TLS, headers, body, all hops.
    redirects : redirects that are followed.
    allow : networks that are allowed although they are not public.
    resolve : looks up names.
    tls : verifies servers; default: by the system's trust store.
    is_uncoded : tells by a body's bytes that it has no content coding, whatever its label; default: never.
    """

    def __init__(
        self,
        *,
        seconds: float = 8.0,
        redirects: int = 3,
        allow: tuple[Network, ...] = (),
        resolve: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
        is_uncoded: Callable[[bytes], bool] = lambda _: False,
    ) -> None:
        self._seconds = seconds
        self._redirects = redirects
        self._allow = allow
        self._resolve = resolve
        self._given_tls = tls
        self._is_uncoded = is_uncoded
        self._lookups = threading.BoundedSemaphore(_MAX_LOOKUPS)

    def __call__(self, url: str, max_bytes: int) -> bytes:
        """Download a body of at most ``max_bytes``. The caller limits the URL's length.

        A body in gzip or deflate, although identity was asked for, is unpacked, to at most ``max_bytes``.

        Raises UrlIllegal, UrlTimeout, UrlUnreachable, or UrlAnswerError for any status but 200, for a body that is too
        long or in another coding, and for an answer that is not HTTP.
        """
        deadline = _Deadline(self._seconds)
        target = parse(url)
        try:
            for _ in range(self._redirects + 1):
                answer = self._get(target, max_bytes, deadline)
                if isinstance(answer, bytes):
                    return answer
                target = answer
        except TimeoutError as reason:
            raise UrlTimeout(
                f"{target.host}: no answer within {self._seconds:g} s", remedy="LOOKALIKE_FETCH_SECONDS allows more"
            ) from reason
        except (OSError, IncompleteRead) as reason:
            raise UrlUnreachable(f"{target.host}: {_words(reason)}") from reason
        raise UrlAnswerError(f"more than {self._redirects} redirects", remedy="LOOKALIKE_FETCH_REDIRECTS allows more")

    def _get(self, url: Url, max_bytes: int, deadline: _Deadline) -> bytes | Url:
        """Return the body, or the target of a redirect."""
        with self._connect(url, deadline) as connection:
            connection.settimeout(deadline.seconds_left())
            connection.sendall(_request(url))
            stream = _Stream(connection, deadline, _MAX_HEADER_BYTES)
            with HTTPResponse(stream, method="GET") as response:  # type: ignore[arg-type]  # makefile is enough
                try:
                    response.begin()
                    stream.head_is_complete = True
                    if response.status in _REDIRECTS:
                        return url.joined(_redirect_location(response))
                    stream.bytes_left = 2 * max_bytes + _MAX_HEADER_BYTES
                    return self._body(response, max_bytes)
                except (HTTPException, ValueError) as reason:
                    if isinstance(reason, (OSError, IncompleteRead)):
                        raise
                    raise UrlAnswerError(f"{url.host}: not HTTP") from reason

    def _body(self, response: HTTPResponse, max_bytes: int) -> bytes:
        """Return the body of a good answer, without the coding it is in.

        Its bytes decide, not the server's label, which is consulted only where the bytes are inconclusive.
        """
        body = _raw_body(response, max_bytes)
        if self._is_uncoded(body):
            return body
        return _decoded_body(body, response.getheader("Content-Encoding", ""), max_bytes)

    def _connect(self, url: Url, deadline: _Deadline) -> socket.socket:
        """Connect to the first of the host's addresses that answers."""
        addresses = self._addresses(url, deadline)
        while True:
            address = addresses.pop(0)
            try:
                # An address that does not answer must leave time for the next ones.
                return self._dial(address, url, deadline, deadline.seconds_left() / (len(addresses) + 1))
            except OSError:
                if not addresses:
                    raise

    def _dial(self, address: Address, url: Url, deadline: _Deadline, seconds: float) -> socket.socket:
        """Connect to an address, over TLS for https."""
        connection = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        try:
            connection.settimeout(seconds)
            connection.connect((str(address), url.port))
            connection.settimeout(deadline.seconds_left())
            return self._tls.wrap_socket(connection, server_hostname=url.host) if url.secure else connection
        except BaseException:
            connection.close()
            raise

    def _addresses(self, url: Url, deadline: _Deadline) -> list[Address]:
        """Return the host's addresses. Raises UrlNotPublic unless all of them are public or allowed."""
        addresses = [url.address] if url.address else [ip_address(text) for text in self._look_up(url.host, deadline)]
        for address in addresses:
            if not (is_public(address) or any(address in network for network in self._allow)):
                where = url.host if url.address else f"{url.host}, at {address},"
                raise UrlNotPublic(f"{where} is not public")
        if not addresses:
            raise UrlUnreachable(f"{url.host}: no address")
        return addresses

    def _look_up(self, host: str, deadline: _Deadline) -> Sequence[str]:
        """Return the host's addresses. Looks up in a thread, since a look-up itself has no timeout."""
        answer: SimpleQueue[Sequence[str] | OSError] = SimpleQueue()

        def ask() -> None:
            try:
                answer.put(self._resolve(host))
            except OSError as reason:
                answer.put(reason)
            finally:
                self._lookups.release()

        if not self._lookups.acquire(timeout=deadline.seconds_left()):
            raise TimeoutError("too many look-ups hang")
        threading.Thread(target=ask, name=f"look up {host}", daemon=True).start()
        try:
            found = answer.get(timeout=deadline.seconds_left())
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


def _redirect_location(response: HTTPResponse) -> str:
    """Return the target of a redirect; bytes outside ASCII, in whatever charset, are percent-encoded as received."""
    location = response.getheader("Location")
    if not location:
        raise UrlAnswerError(f"status {response.status} without a Location")
    return re.sub(r"[^\x00-\x7f]", lambda byte: f"%{ord(byte[0]):02X}", location)


def _raw_body(response: HTTPResponse, max_bytes: int) -> bytes:
    """Return the complete body of a good answer as it was sent. Raises UrlAnswerError or IncompleteRead."""
    if response.status != 200:
        raise UrlAnswerError(f"the server answered with status {response.status}")
    if response.getheader("Transfer-Encoding", "").strip().lower() not in _TRANSFER_CODINGS:
        raise UrlAnswerError("the body is encoded for its transfer")
    if response.length is not None and response.length > max_bytes:
        raise UrlAnswerTooLong(f"{response.length} bytes, more than {max_bytes}")
    body = response.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise UrlAnswerTooLong(f"more than {max_bytes} bytes")
    if response.length:
        raise IncompleteRead(body, response.length)
    return body


def _decoded_body(body: bytes, label: str, max_bytes: int) -> bytes:
    """Return the body without the coding that its first bytes, or else its Content-Encoding ``label``, tell."""
    codings = {coding.strip().lower() for coding in label.split(",")}
    if body.startswith(_GZIP_MAGIC):
        kinds = [_GZIP]
    elif "deflate" in codings:
        kinds = [_ZLIB, _RAW_DEFLATE]  # as specified, and as some servers send it
    elif codings & _CODINGS:
        raise UrlAnswerError("the body is encoded, though it was asked for as it is")
    else:
        return body
    for kind in kinds:
        with suppress(zlib.error):
            return _inflated(body, kind, max_bytes)
    raise UrlAnswerError("the body is not in the coding that it is said to be in")


def _inflated(body: bytes, kind: int, max_bytes: int) -> bytes:
    """Return the inflated body; ``kind`` is zlib's wbits. Raises UrlAnswerTooLong, or zlib.error for invalid data."""
    stream = zlib.decompressobj(kind)
    data = stream.decompress(body, max_bytes + 1)
    if len(data) > max_bytes:
        raise UrlAnswerTooLong(f"more than {max_bytes} bytes when unpacked")
    if not stream.eof:
        raise zlib.error("cut short")
    return data


def _words(reason: Exception) -> str:
    """Return why a connection has failed, in words that are neither Python's nor OpenSSL's."""
    if isinstance(reason, IncompleteRead):
        return "the answer breaks off"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {reason.verify_message}"
    if isinstance(reason, ssl.SSLError):
        return f"no TLS: {(reason.reason or 'broken off').replace('_', ' ').lower()}"
    return (reason.strerror if isinstance(reason, OSError) else None) or str(reason) or "broken off"
