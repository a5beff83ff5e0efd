"""HTTP to OpenSearch, bounded as a whole: connecting, sending, waiting and reading, and all tries together.

Timeouts of sockets bound each wait for some bytes, so a server that sends a byte a second is waited for without end.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Collection, Mapping
from typing import Any

from opensearchpy import Transport, Urllib3HttpConnection
from opensearchpy.exceptions import ConnectionError as OpenSearchConnectionError
from opensearchpy.exceptions import ConnectionTimeout, TransportError
from urllib3 import Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection

#: How often a request is sent at most, if the server cannot be reached or says that it is busy.
_TRIES = 3

#: Answers of a server, or of what stands before it, that is busy.
_BUSY = frozenset({429, 502, 503, 504})


class TimedTransport(Transport):
    """Sends a request again that fails to connect or meets a busy server, within the time of the request.

    That is its ``request_timeout``, by default the client's. One that takes longer is given up, and not sent again.
    """

    def perform_request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        timeout: float | None = None,
        ignore: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer to a request. Raises TransportError."""
        params = dict(params or {})
        seconds = params.pop("request_timeout", None) or timeout or self.get_connection().timeout
        deadline = time.monotonic() + seconds
        for left in reversed(range(_TRIES)):
            params["request_timeout"] = Timeout(total=max(deadline - time.monotonic(), 0.001))
            try:
                return super().perform_request(method, url, params, body, ignore=ignore, headers=headers)
            except TransportError as error:
                if not left or not _may_be_sent_again(error) or time.monotonic() >= deadline:
                    raise
        raise AssertionError  # pragma: no cover - the last try has returned or raised


def _may_be_sent_again(error: TransportError) -> bool:
    if isinstance(error, OpenSearchConnectionError):
        return not isinstance(error, ConnectionTimeout)
    return error.status_code in _BUSY


class TimedConnection(Urllib3HttpConnection):
    """A node's connections, whose responses have to be there, to the last byte, within a request's time."""

    def _create_urllib3_pool(self) -> None:
        super()._create_urllib3_pool()
        assert self.pool is not None  # noqa: S101 - it has just been made
        self.pool.ConnectionCls = _TimedHTTPS if self.use_ssl else _TimedHTTP


class _TimedReader(io.RawIOBase):
    """A socket's bytes, until the time is up that the socket is willing to wait for the first of them."""

    def __init__(self, connection: socket.socket, raw: io.RawIOBase) -> None:
        self._connection = connection
        self._raw = raw
        self._seconds = connection.gettimeout()
        self._deadline = None if self._seconds is None else time.monotonic() + self._seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer is not complete in time")
            self._connection.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            if self._connection.fileno() >= 0:
                self._connection.settimeout(self._seconds)  # for what is sent next on it
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """Reads its head and its body within one and the same time."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        raw: io.RawIOBase = self.fp.detach()
        self.fp = io.BufferedReader(_TimedReader(sock, raw))


class _TimedHTTP(HTTPConnection):
    response_class = _TimedResponse


class _TimedHTTPS(HTTPSConnection):
    response_class = _TimedResponse
