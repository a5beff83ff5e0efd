"""HTTP to OpenSearch with a deadline for the whole request: connecting, sending, waiting, reading, and all retries.

A socket's timeout bounds only each wait for the next bytes: a server that sends one byte a second never exceeds it.
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

#: Times that a request is sent if the server cannot be reached or is busy.
_MAX_ATTEMPTS = 3

#: Statuses of a busy server, or of a proxy in front of one.
_RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})


class DeadlineTransport(Transport):
    """Retries requests that fail to connect or meet a busy server, until the request's deadline.

    The deadline is the request's ``request_timeout``, by default the client's. A request that exceeds it is not
    retried.
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
        """Send a request, with retries. Raises TransportError."""
        params = dict(params or {})
        seconds = params.pop("request_timeout", None) or timeout or self.get_connection().timeout
        deadline = time.monotonic() + seconds
        for left in reversed(range(_MAX_ATTEMPTS)):
            params["request_timeout"] = Timeout(total=max(deadline - time.monotonic(), 0.001))
            try:
                return super().perform_request(method, url, params, body, ignore=ignore, headers=headers)
            except TransportError as error:
                if not left or not _is_retryable(error) or time.monotonic() >= deadline:
                    raise
        raise AssertionError  # pragma: no cover - the last attempt has returned or raised


def _is_retryable(error: TransportError) -> bool:
    if isinstance(error, OpenSearchConnectionError):
        return not isinstance(error, ConnectionTimeout)
    return error.status_code in _RETRYABLE_STATUSES


class DeadlineConnection(Urllib3HttpConnection):
    """Connections to a node whose responses must be complete within the request's timeout."""

    def _create_urllib3_pool(self) -> None:
        super()._create_urllib3_pool()
        assert self.pool is not None  # noqa: S101 - it has just been made
        self.pool.ConnectionCls = _DeadlineHTTPSConnection if self.use_ssl else _DeadlineHTTPConnection


class _DeadlineReader(io.RawIOBase):
    """Bytes of a socket, until the socket's timeout has passed since the first read was possible."""

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
                self._connection.settimeout(self._seconds)  # for the next request on this connection
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    """A response whose head and body share one deadline."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        raw: io.RawIOBase = self.fp.detach()
        self.fp = io.BufferedReader(_DeadlineReader(sock, raw))


class _DeadlineHTTPConnection(HTTPConnection):
    response_class = _DeadlineResponse


class _DeadlineHTTPSConnection(HTTPSConnection):
    response_class = _DeadlineResponse
