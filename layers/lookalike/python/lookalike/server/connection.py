"""One client's connection: HTTP read strictly, kept alive while idle, never closed before a due answer is sent."""

from __future__ import annotations

import asyncio
import http
import ipaddress
import logging
import resource
import select
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from lookalike.server import api_gateway
from lookalike.server.framing import StrictConnection

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, ASGISendEvent, Scope
    from uvicorn.config import Config
    from uvicorn.server import ServerState

#: Seconds that an idle connection is kept: proxies keep theirs for 60, programs in Go for 90.
IDLE_SECONDS = 95

#: Seconds that clients are told. Less than ``IDLE_SECONDS``, so that the client closes, and no request meets our close.
_ADVERTISED_IDLE_SECONDS = 90

#: Headers of every answer. HTTP/1.0 and Java heed the second only if the first is present.
KEEP_ALIVE_HEADERS = [("connection", "keep-alive"), ("keep-alive", f"timeout={_ADVERTISED_IDLE_SECONDS}")]

#: Seconds from a request's first byte to the end of its headers.
HEAD_SECONDS = 20

#: Seconds that the rest of a body may take once the server is told to stop.
_SHUTDOWN_BODY_SECONDS = 5

#: Seconds for which bytes of a refused client are still read: a close with unread bytes would destroy the answer.
_LINGER_SECONDS = 2

#: Seconds after which a half-closed client is probed. Until something is sent, TCP cannot tell a client that waits from
#: one that left: a client that waits ignores an interim response (RFC 9110 section 15.2), and the operating system of
#: one that left resets the connection.
_FIRST_PROBE_SECONDS = 0.5

#: Seconds between probes.
_PROBE_INTERVAL_SECONDS = 2.0

#: Seconds after a probe until a reset is checked for.
_RESET_CHECK_SECONDS = 0.25

_PROBE = b"HTTP/1.1 100 Continue\r\n\r\n"

#: Seconds after which a half-closed client of HTTP/1.0, which has no interim responses, is presumed gone.
_PRESUMED_GONE_SECONDS = 10.0

#: Poll events of a socket whose peer has reset the connection.
_RESET = select.POLLERR | select.POLLHUP

#: Connections held at once.
MAX_CONNECTIONS = 10_000

#: Connections as a share of the files that this process may have open.
_MAX_FILE_SHARE = 0.75

_REFUSALS = {
    400: api_gateway.refusal(400, "Bad Request", "request: it breaks off"),
    431: api_gateway.HEADERS_TOO_LARGE,
    501: api_gateway.refusal(501, "Not Implemented", "Transfer-Encoding: only chunked is known"),
}

# uvicorn's warnings are about requests that are refused here, with a reason, and its advice does not apply here.
_LOGGER = logging.getLogger("uvicorn.error.connection")
_LOGGER.setLevel(logging.ERROR)


class Connection(H11Protocol):
    """uvicorn's h11 protocol, with strict parsing, time limits for clients, and answers to half-closed connections."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _LOGGER
        self.conn = StrictConnection()
        self._inner_app, self.app = self.app, self._call
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._refused = False
        self._gone = False
        self.last_heard = 0.0

    # -- Called by asyncio ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to serve a client."""
        super().connection_made(transport)
        # asyncio does so only if the listening socket names its protocol. Without it an answer's second packet waits
        # for the client's delayed acknowledgement of the first, 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.client is not None:
            self.client = (_unmapped(self.client[0]), self.client[1])
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self.last_heard = self.loop.time()
        if len(self.connections) > max_connections():
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Receive bytes of the client."""
        if self._refused:
            return
        self.last_heard = self.loop.time()
        super().data_received(data)
        if self._in_head():
            self._after("head", HEAD_SECONDS, self._refuse, api_gateway.TOO_SLOW)
        else:
            self._cancel("head")

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's returns None, at which asyncio closes
        """Handle a client that closed its half: it may wait for its answer. Return whether the other half is kept."""
        if self._refused or self.transport.is_closing():
            return False
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            self._close_after_answer()
            if cycle.scope["http_version"] == "1.0":
                self._after("gone", _PRESUMED_GONE_SECONDS, self._mark_gone)
            else:
                self._after("gone", _FIRST_PROBE_SECONDS, self._probe)
            return True
        if self._in_head() or self.conn.their_state is h11.SEND_BODY:
            self._refuse(_REFUSALS[400])  # RFC 9112 section 8
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up after the connection is closed."""
        for name in list(self._timers):
            self._cancel(name)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    # -- Called by uvicorn ---------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is not HTTP, in the gateway's form."""
        wrong = sys.exception()
        refusal = _REFUSALS.get(getattr(wrong, "error_status_hint", 400), _REFUSALS[400])
        self._refuse(replace(refusal, reason=f"request: {wrong}") if refusal.status == 400 else refusal)

    def shutdown(self) -> None:
        """Close now, or after the answer that is under way."""
        if self._refused:
            self.transport.close()
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._close_after_answer()
            if cycle.more_body:
                self._after("stop", _SHUTDOWN_BODY_SECONDS, self._stop_receiving)
            return
        super().shutdown()

    async def _call(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Call the application. Its ``receive`` also reports a half-closed client that is known to be gone.

        An answer given before the whole request is received counts as a refusal.
        """
        whole, status = False, 0
        headers: tuple[tuple[str, str], ...] = ()

        async def received() -> ASGIReceiveEvent:
            nonlocal whole
            if whole and self._gone:
                return {"type": "http.disconnect"}
            message = await receive()
            if whole:
                return {"type": "http.disconnect"}
            whole = message["type"] == "http.request" and not message["more_body"]
            return message

        async def sent(message: ASGISendEvent) -> None:
            nonlocal status, headers
            if whole:
                await send(message)
            elif message["type"] == "http.response.start":
                status = message["status"]
                headers = tuple((name.decode(), value.decode()) for name, value in message["headers"])
            elif message["type"] == "http.response.body":
                self._refuse(api_gateway.HttpResponse(status, headers, message["body"]))

        await self._inner_app(scope, received, sent)

    # -- Refusing and closing ------------------------------------------------------------------------------------------

    def _refuse(self, response: api_gateway.HttpResponse) -> None:
        """Send this response in place of the application's, and close once the client has read it."""
        if self._refused or self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and cycle.response_started and self.conn.our_state is not h11.IDLE:
            self.transport.close()  # its answer is sent already, or a part of it
            return
        self._refused = True
        if response.reason:  # a response without a reason is the application's, which is logged already
            api_gateway.log_refusal(response, "" if self.client is None else self.client[0])
        self._unset_keepalive_if_required()
        self._cancel("head")
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(_serialised(response))
        self.transport.write_eof()
        self.flow.resume_reading()
        self._after("linger", _LINGER_SECONDS, self.transport.close)

    def _close_after_answer(self) -> None:
        """Close after the answer, and announce that in its headers."""
        self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]
        self.cycle.keep_alive = False

    def _make_room(self) -> None:
        """Close an eighth of the idle connections, those without data for the longest time."""
        idle = [one for one in self.connections if isinstance(one, Connection) and one is not self and one.is_idle]
        for one in sorted(idle, key=lambda one: one.last_heard)[: len(idle) // 8 + 1]:
            one.transport.close()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered, and none received beyond its headers."""
        return self.cycle is None or self.cycle.response_complete

    def _probe(self) -> None:
        """Send a probe, unless an answer is under way, which provokes a reset as well."""
        self._cancel("gone")
        if self._is_reset():
            self._mark_gone()
        elif not self.cycle.response_started:
            self.transport.write(_PROBE)
            self._after("reset", _RESET_CHECK_SECONDS, self._check_for_reset)
            self._after("gone", _PROBE_INTERVAL_SECONDS, self._probe)

    def _check_for_reset(self) -> None:
        self._cancel("reset")
        if self._is_reset():
            self._mark_gone()

    def _is_reset(self) -> bool:
        """Return whether the client's system has reset the connection."""
        if self.transport.is_closing():
            return True
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), 0)
        return any(event & _RESET for _, event in poll.poll(0))

    def _mark_gone(self) -> None:
        self._cancel("gone")
        self._gone = True
        self.cycle.message_event.set()

    def _stop_receiving(self) -> None:
        if self.cycle.more_body:
            self._refuse(api_gateway.UNAVAILABLE)

    # -- Timers --------------------------------------------------------------------------------------------------------

    def _in_head(self) -> bool:
        """Return whether a request has begun whose headers are not complete."""
        return self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])

    def _after(self, name: str, seconds: float, work: object, *arguments: object) -> None:
        """Call ``work`` after a delay, unless the timer ``name`` is already running."""
        if name not in self._timers:
            self._timers[name] = self.loop.call_later(seconds, work, *arguments)  # type: ignore[arg-type]

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def max_connections() -> int:
    """Return the number of connections that this process may hold."""
    return min(MAX_CONNECTIONS, int(resource.getrlimit(resource.RLIMIT_NOFILE)[0] * _MAX_FILE_SHARE))


def _serialised(response: api_gateway.HttpResponse) -> bytes:
    """Return the bytes of a response that closes the connection."""
    lines = [f"HTTP/1.1 {response.status} {http.HTTPStatus(response.status).phrase}"]
    headers = dict(response.headers) | {"content-length": str(len(response.body)), "connection": "close"}
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + response.body


def _unmapped(address: str) -> str:
    """Return an IPv4-mapped IPv6 address (``::ffff:192.0.2.1``) as IPv4, any other unchanged: one name a client."""
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)
