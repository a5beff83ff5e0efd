"""Receiving: a request is taken in until it is whole, within bounds of time and memory, and not a moment longer.

Unfinished requests stand in nobody's way, for only whole ones are counted and worked on. So all they may hold is memory
and files, and of both one sender, or one network, may hold so much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lookalike.server import api_gateway
from lookalike.server.sender import sender_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

#: Seconds that a body may take whatever its size, and bytes that earn it a further second: as slow as that it may be.
PATIENCE, LEAST_RATE = 60, 1000

#: Unfinished bodies of one address. One more, and the one that was not heard of for longest is refused.
MAX_EACH = 256

#: Bytes of all unfinished bodies together. More, and the address that holds most gives one up in the same way.
MAX_BYTES = 512 * 1024 * 1024

#: A body too large is read on to here before it is refused: most clients read no answer before they have sent all.
_DRAIN = 4 * api_gateway.MAX_BODY


@dataclass(eq=False, slots=True)
class _Unfinished:
    """A request that is being received."""

    sender: str
    deadline: asyncio.Timeout
    began: float
    held: int = 0


@dataclass(slots=True)
class Receiving:
    """What is being received now, by address."""

    max_each: int = MAX_EACH
    max_bytes: int = MAX_BYTES
    _bytes: int = 0
    #: Those of each address in the order they were last heard of.
    _senders: dict[str, dict[_Unfinished, None]] = field(default_factory=dict)

    async def whole(self, scope: Scope, receive: Receive) -> api_gateway.Received | api_gateway.Response | None:
        """The whole request; or the gateway's refusal of it; None if its client has gone before it was whole."""
        headers = _headers(scope)
        too_large = sum(len(name) + len(value) for name, value in headers) > api_gateway.MAX_HEADERS
        client = (scope.get("client") or ("127.0.0.1", 0))[0]
        try:
            async with asyncio.timeout(PATIENCE) as deadline:
                with self._unfinished(client, deadline) as unfinished:
                    body = await self._body(receive, unfinished)
        except TimeoutError:
            return api_gateway.TOO_SLOW
        if not isinstance(body, bytes):
            return body
        if too_large:
            return api_gateway.HEADERS_TOO_LARGE
        return api_gateway.Received(
            method=scope["method"],
            path=_path(scope["raw_path"].decode("latin-1")),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
            client=client,
            arrived=api_gateway.now(),
        )

    async def _body(self, receive: Receive, unfinished: _Unfinished) -> bytes | api_gateway.Response | None:
        """The whole body; or what is answered because it is too large; None if the client has gone."""
        body, passed, more = bytearray(), 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            piece, more = message.get("body", b""), bool(message.get("more_body"))
            passed += len(piece)
            if passed > _DRAIN:
                return api_gateway.TOO_LARGE
            if passed <= api_gateway.MAX_BODY:
                body += piece
            else:
                body.clear()
            self._heard_of(unfinished, passed, len(body))
        return api_gateway.TOO_LARGE if passed > api_gateway.MAX_BODY else bytes(body)

    # -- Bounds --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _unfinished(self, client: str, deadline: asyncio.Timeout) -> Iterator[_Unfinished]:
        """Count a request as unfinished meanwhile."""
        one = _Unfinished(sender_of(client), deadline, asyncio.get_running_loop().time())
        mine = self._senders.setdefault(one.sender, {})
        mine[one] = None
        if len(mine) > self.max_each:
            self._give_up(mine)
        try:
            yield one
        finally:
            self._forget(one)

    def _heard_of(self, one: _Unfinished, passed: int, held: int) -> None:
        """Note that more of the body has come: ``passed`` bytes in all, of which ``held`` are in memory."""
        self._bytes += held - one.held
        one.held = held
        mine = self._senders.get(one.sender, {})
        if one not in mine:
            return  # it was given up, and its task is about to learn of it
        del mine[one]
        mine[one] = None  # the last to be heard of
        one.deadline.reschedule(one.began + PATIENCE + passed / LEAST_RATE)
        if self._bytes > self.max_bytes:
            self._give_up(max(self._senders.values(), key=lambda some: sum(each.held for each in some)))

    def _give_up(self, some: dict[_Unfinished, None]) -> None:
        """Let the one that was not heard of for longest run out of time."""
        quietest = next(iter(some))
        self._forget(quietest)
        if not quietest.deadline.expired():
            quietest.deadline.reschedule(asyncio.get_running_loop().time())

    def _forget(self, one: _Unfinished) -> None:
        mine = self._senders.get(one.sender, {})
        if one in mine:
            del mine[one]
            self._bytes -= one.held
            one.held = 0
            if not mine:
                del self._senders[one.sender]


def _headers(scope: Scope) -> tuple[tuple[str, str], ...]:
    """The headers; of a request to a whole address, that address is the host (RFC 9112 section 3.2.2)."""
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    target = scope["raw_path"].decode("latin-1")
    if target.startswith(("/", "*")):
        return headers
    return (("host", urlsplit(target).netloc), *(pair for pair in headers if pair[0] != "host"))


def _path(target: str) -> str:
    """The path of a request's target, which proxies may send as a whole address."""
    return target if target.startswith("/") else urlsplit(target).path or "/"
