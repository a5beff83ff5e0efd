"""One client's connection: read strictly, kept while idle, and never closed without an answer that is due."""

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

#: Seconds that a connection without a request is kept: proxies keep theirs for 60, programs in Go for 90.
IDLE = 95

#: What clients are told about that, in seconds: less, so that it is they who close, and no request meets our closing.
_PROMISED = 90

#: Sent with every answer. The first is for HTTP/1.0 and Java, which believe the second only beside it.
KEEP_ALIVE = [("connection", "keep-alive"), ("keep-alive", f"timeout={_PROMISED}")]

#: Seconds that a client may take from its request's first byte to the end of the headers.
HEADERS = 20

#: Seconds that what is left of a body may take once the server is told to stop.
_LAST_BODIES = 5

#: Seconds for which a client that is refused is still listened to: an answer is lost where unread bytes meet a close.
_LINGER = 2

#: Seconds after which a client that has closed its half of the connection is probed, and between probes. TCP cannot
#: tell one that waits from one that left before something is sent: a client that waits passes over an interim response
#: (RFC 9110 section 15.2), and the system of one that left resets the connection.
_FIRST_PROBE, _PROBE_INTERVAL = 0.5, 2.0

#: Seconds after a probe at which a reset is looked for.
_RESET_CHECK = 0.25

_PROBE = b"HTTP/1.1 100 Continue\r\n\r\n"

#: Seconds after which a half-closed client of HTTP/1.0, which has no interim responses, is presumed gone.
_PRESUMED_GONE = 10.0

#: What a socket shows once the other side has reset the connection.
_RESET = select.POLLERR | select.POLLHUP

#: Connections held at once, at most; of the files that this process may have open, so large a share.
MAX_CONNECTIONS, _SHARE = 10_000, 0.75

_REFUSALS = {
    400: api_gateway.refusal(400, "Bad Request", "request: it breaks off"),
    431: api_gateway.HEADERS_TOO_LARGE,
    501: api_gateway.refusal(501, "Not Implemented", "Transfer-Encoding: only chunked is known"),
}

# What uvicorn warns of is refused here, with its reason; and its advice is none for this server.
_LOGGER = logging.getLogger("uvicorn.error.connection")
_LOGGER.setLevel(logging.ERROR)


class Connection(H11Protocol):
    """uvicorn's, with HTTP read strictly, bounds on a client's time, and an answer for half-closed connections."""

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
        self._service, self.app = self.app, self._call
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._refused = False
        self._gone = False
        self.heard = 0.0

    # -- What asyncio calls --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """The client has connected."""
        super().connection_made(transport)
        # asyncio does so only if the listening socket names its protocol. Without it an answer's second packet waits
        # for the client's delayed acknowledgement of the first, 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.client is not None:
            self.client = (_plain(self.client[0]), self.client[1])
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self.heard = self.loop.time()
        if len(self.connections) > most_connections():
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """The client has sent something."""
        if self._refused:
            return
        self.heard = self.loop.time()
        super().data_received(data)
        if self._in_head():
            self._after("head", HEADERS, self._refuse, api_gateway.TOO_SLOW)
        else:
            self._cancel("head")

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn says nothing, and so asyncio closes
        """The client has closed its half: it may have gone, or wait for its answer. True: the other half is kept."""
        if self._refused or self.transport.is_closing():
            return False
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            self._close_after_answer()
            if cycle.scope["http_version"] == "1.0":
                self._after("gone", _PRESUMED_GONE, self._know_gone)
            else:
                self._after("gone", _FIRST_PROBE, self._probe)
            return True
        if self._in_head() or self.conn.their_state is h11.SEND_BODY:
            self._refuse(_REFUSALS[400])  # RFC 9112 section 8
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was closed."""
        for name in list(self._timers):
            self._cancel(name)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    # -- What uvicorn calls --------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the gateway's form."""
        wrong = sys.exception()
        refusal = _REFUSALS.get(getattr(wrong, "error_status_hint", 400), _REFUSALS[400])
        self._refuse(replace(refusal, reason=f"request: {wrong}") if refusal.status == 400 else refusal)

    def shutdown(self) -> None:
        """Close now if nothing is being answered, else after the answer."""
        if self._refused:
            self.transport.close()
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._close_after_answer()
            if cycle.more_body:
                self._after("stop", _LAST_BODIES, self._stop_receiving)
            return
        super().shutdown()

    async def _call(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Call the service. Its ``receive`` also answers ``http.disconnect`` once a half-closed client is known to be gone.

        What is answered before the request is whole is a refusal.
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
                self._refuse(api_gateway.Response(status, headers, message["body"]))

        await self._service(scope, received, sent)

    # -- How it ends ---------------------------------------------------------------------------------------------------

    def _refuse(self, response: api_gateway.Response) -> None:
        """Answer in the service's stead, and close once the client has read it."""
        if self._refused or self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and cycle.response_started and self.conn.our_state is not h11.IDLE:
            self.transport.close()  # it has its answer, or a part of it
            return
        self._refused = True
        if response.reason:  # else it is the service's answer, which has been logged
            api_gateway.log_refusal(response, "" if self.client is None else self.client[0])
        self._unset_keepalive_if_required()
        self._cancel("head")
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(_written(response))
        self.transport.write_eof()
        self.flow.resume_reading()
        self._after("linger", _LINGER, self.transport.close)

    def _close_after_answer(self) -> None:
        """Close once the request is answered, and say so in the answer."""
        self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]
        self.cycle.keep_alive = False

    def _make_room(self) -> None:
        """Close some of the connections without a whole head, those that were not heard of for longest."""
        idle = [one for one in self.connections if isinstance(one, Connection) and one is not self and one.is_idle]
        for one in sorted(idle, key=lambda one: one.heard)[: len(idle) // 8 + 1]:
            one.transport.close()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being received or answered, but perhaps a head."""
        return self.cycle is None or self.cycle.response_complete

    def _probe(self) -> None:
        """Send a probe, unless an answer is under way, which will show it as well."""
        self._cancel("gone")
        if self._is_reset():
            self._know_gone()
        elif not self.cycle.response_started:
            self.transport.write(_PROBE)
            self._after("reset", _RESET_CHECK, self._check_for_reset)
            self._after("gone", _PROBE_INTERVAL, self._probe)

    def _check_for_reset(self) -> None:
        self._cancel("reset")
        if self._is_reset():
            self._know_gone()

    def _is_reset(self) -> bool:
        """Whether the client's system has reset the connection."""
        if self.transport.is_closing():
            return True
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), 0)
        return any(event & _RESET for _, event in poll.poll(0))

    def _know_gone(self) -> None:
        self._cancel("gone")
        self._gone = True
        self.cycle.message_event.set()

    def _stop_receiving(self) -> None:
        if self.cycle.more_body:
            self._refuse(api_gateway.UNAVAILABLE)

    # -- Timers --------------------------------------------------------------------------------------------------------

    def _in_head(self) -> bool:
        """Whether a request has begun whose headers are not complete."""
        return self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])

    def _after(self, name: str, seconds: float, work: object, *arguments: object) -> None:
        """Do that after so many seconds, unless it is already going to be done."""
        if name not in self._timers:
            self._timers[name] = self.loop.call_later(seconds, work, *arguments)  # type: ignore[arg-type]

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def most_connections() -> int:
    """How many connections this process may hold."""
    return min(MAX_CONNECTIONS, int(resource.getrlimit(resource.RLIMIT_NOFILE)[0] * _SHARE))


def _written(response: api_gateway.Response) -> bytes:
    """A last answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {response.status} {http.HTTPStatus(response.status).phrase}"]
    headers = dict(response.headers) | {"content-length": str(len(response.body)), "connection": "close"}
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + response.body


def _plain(address: str) -> str:
    """The IPv4 address that an IPv6 socket says of an IPv4 client (``::ffff:192.0.2.1``), so that it has one name."""
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)
