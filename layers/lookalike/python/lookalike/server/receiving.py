"""Receives requests completely, within limits of time and memory, before they are queued.

Unfinished requests delay nobody, since only complete ones are queued. They hold memory and open files, and the share of
one sender (an IPv4 address, or an IPv6 network) is limited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lookalike.limits.sender import sender_of
from lookalike.server import api_gateway

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

#: Seconds that a body of any size may take.
BODY_SECONDS = 60

#: Bytes that earn a body a further second: the slowest rate at which it may go on.
MIN_BYTES_PER_SECOND = 1000

#: Unfinished bodies of one sender. One more, and the one without data for the longest time is refused.
MAX_BODIES_PER_SENDER = 256

#: Bytes of all unfinished bodies together. Beyond it, the sender that holds most gives one up in the same way.
MAX_BYTES = 512 * 1024 * 1024

#: Bytes of a body too large that are read before it is refused: most clients read no answer before all is sent.
_MAX_DRAINED_BYTES = 4 * api_gateway.MAX_BODY_BYTES


@dataclass(eq=False, slots=True)
class _Unfinished:
    """A request that is being received: its sender, its timeout, its start (loop time), and the bytes it holds."""

    sender: str
    deadline: asyncio.Timeout
    began: float
    held: int = 0


@dataclass(slots=True)
class RequestReceiver:
    """Receives requests, and keeps account of the unfinished ones by sender."""

    max_bodies_per_sender: int = MAX_BODIES_PER_SENDER
    max_bytes: int = MAX_BYTES
    _bytes_held: int = 0
    #: Unfinished requests of each sender, ordered by when data last arrived.
    _senders: dict[str, dict[_Unfinished, None]] = field(default_factory=dict)

    async def receive_request(
        self, scope: Scope, receive: Receive
    ) -> api_gateway.HttpRequest | api_gateway.HttpResponse | None:
        """Return the complete request, or the gateway's refusal; None if the client disconnected before the end."""
        headers = _headers(scope)
        if _declared(headers) > _MAX_DRAINED_BYTES:  # which nobody waits for
            return api_gateway.TOO_LARGE
        too_large = sum(len(name) + len(value) for name, value in headers) > api_gateway.MAX_HEADER_BYTES
        client = (scope.get("client") or ("127.0.0.1", 0))[0]
        try:
            async with asyncio.timeout(BODY_SECONDS) as deadline:
                with self._unfinished(client, deadline) as unfinished:
                    body = await self._body(receive, unfinished)
        except TimeoutError:
            return api_gateway.TOO_SLOW
        if not isinstance(body, bytes):
            return body
        if too_large:
            return api_gateway.HEADERS_TOO_LARGE
        return api_gateway.HttpRequest(
            method=scope["method"],
            path=_path(scope["raw_path"].decode("latin-1")),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
            client=client,
            arrived=api_gateway.now(),
            scheme=scope.get("scheme", "http"),
        )

    async def receive_stream(
        self, scope: Scope, receive: Receive, take: Callable[[bytes, int], Awaitable[bool]]
    ) -> bool:
        """Hand a body over piece by piece, each with the bytes received so far, until ``take`` wants no more.

        False if the client disconnected before the end. Raises TimeoutError, and what ``take`` raises.
        """
        client = (scope.get("client") or ("127.0.0.1", 0))[0]
        async with asyncio.timeout(BODY_SECONDS) as deadline:
            with self._unfinished(client, deadline) as unfinished:
                received, more = 0, True
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        return False
                    piece, more = message.get("body", b""), bool(message.get("more_body"))
                    received += len(piece)
                    more = await take(piece, received) and more
                    self._record_progress(unfinished, received, 0)
        return True

    async def _body(self, receive: Receive, unfinished: _Unfinished) -> bytes | api_gateway.HttpResponse | None:
        """Return the complete body, or the refusal of one too large; None if the client disconnected."""
        body, received, more = bytearray(), 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            piece, more = message.get("body", b""), bool(message.get("more_body"))
            received += len(piece)
            if received > _MAX_DRAINED_BYTES:
                return api_gateway.TOO_LARGE
            if received <= api_gateway.MAX_BODY_BYTES:
                body += piece
            else:
                body.clear()
            self._record_progress(unfinished, received, len(body))
        return api_gateway.TOO_LARGE if received > api_gateway.MAX_BODY_BYTES else bytes(body)

    # -- Limits --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _unfinished(self, client: str, deadline: asyncio.Timeout) -> Iterator[_Unfinished]:
        """Count a request as unfinished within the block."""
        one = _Unfinished(sender_of(client), deadline, asyncio.get_running_loop().time())
        mine = self._senders.setdefault(one.sender, {})
        mine[one] = None
        if len(mine) > self.max_bodies_per_sender:
            self._give_up_quietest(mine)
        try:
            yield one
        finally:
            self._release(one)

    def _record_progress(self, one: _Unfinished, received: int, held: int) -> None:
        """Note that data arrived: ``received`` bytes of the body in all, of which ``held`` are in memory."""
        self._bytes_held += held - one.held
        one.held = held
        mine = self._senders.get(one.sender, {})
        if one not in mine:
            return  # it was given up; its timeout is about to fire
        del mine[one]
        mine[one] = None  # moved to the end
        one.deadline.reschedule(one.began + BODY_SECONDS + received / MIN_BYTES_PER_SECOND)
        if self._bytes_held > self.max_bytes:
            self._give_up_quietest(max(self._senders.values(), key=lambda some: sum(each.held for each in some)))

    def _give_up_quietest(self, some: dict[_Unfinished, None]) -> None:
        """Expire the request without data for the longest time."""
        quietest = next(iter(some))
        self._release(quietest)
        if not quietest.deadline.expired():
            quietest.deadline.reschedule(asyncio.get_running_loop().time())

    def _release(self, one: _Unfinished) -> None:
        mine = self._senders.get(one.sender, {})
        if one in mine:
            del mine[one]
            self._bytes_held -= one.held
            one.held = 0
            if not mine:
                del self._senders[one.sender]


def _headers(scope: Scope) -> tuple[tuple[str, str], ...]:
    """Return the headers; an absolute URL as target replaces the Host header (RFC 9112 section 3.2.2)."""
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    target = scope["raw_path"].decode("latin-1")
    if target.startswith(("/", "*")):
        return headers
    return (("host", urlsplit(target).netloc), *(pair for pair in headers if pair[0] != "host"))


def _declared(headers: Iterable[tuple[str, str]]) -> int:
    """Return the bytes of a body that its request declares; 0 if it does not say."""
    said = next((value for name, value in headers if name == "content-length"), "")
    return int(said) if said.isdecimal() else 0


def _path(target: str) -> str:
    """Return the path of a request's target, which proxies may send as an absolute URL."""
    return target if target.startswith("/") else urlsplit(target).path or "/"
