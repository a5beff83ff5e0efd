"""The deployed handlers behind ASGI: every request becomes the gateway's event and goes to the function it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import urlsplit

from lookalike import bootstrap
from lookalike.adapters.watched import WatchedFolder
from lookalike.local import gateway, template
from lookalike.local.schedule import Clockwork
from lookalike.local.status import Status
from lookalike.local.watcher import Watcher
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Requests worked on at once. A few would keep every core busy; the others wait for a flush, or for a slow download.
THREADS = 32

#: Requests held at once, those that wait for a thread included; more are answered 503.
_HELD = 512

#: Seconds a client may take to send its request's body.
_SENDING = 60

#: A body too large is read on to here before it is refused: most clients read no answer before they have sent all.
_DRAIN = 4 * gateway.MAX_BODY

_TOO_SLOW = gateway.refusal(408, "Request Timeout")
_UNAVAILABLE = gateway.refusal(503, "Service Unavailable")


class Service:
    """An ASGI application. Answers 503 until :meth:`open` is done."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._template = template.read()
        self._handlers = {route.function: template.load(route.function) for route in self._template.routes}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="request")
        self._opened = ExitStack()
        self._ports: Ports | None = None
        self._status: Status | None = None
        self._held = 0

    @property
    def ports(self) -> Ports:
        """What the handlers work with. Raises RuntimeError before :meth:`open`."""
        if self._ports is None:
            raise RuntimeError("the service is not open yet")
        return self._ports

    def open(self) -> None:
        """Load the model and the index; from here on requests are answered. Raises SettingsError or ModelError."""
        ports = bootstrap.build(self._settings)
        self._opened.callback(ports.close)
        _ = ports.embedder.model  # on AWS it would be loaded by the first request, and refused no sooner
        self._opened.enter_context(bootstrap.serving(ports))
        self._status = self._opened.enter_context(closing(Status(ports)))
        self._status.start()
        self._ports = ports

    def start_schedules(self) -> None:
        """Play the template's schedules until :meth:`close`."""
        clockwork = Clockwork({template.load(one.function): one.every for one in self._template.schedules})
        self._opened.callback(clockwork.stop)
        clockwork.start()

    def start_watching(self) -> None:
        """Send what is put into the watched folder, if there is one, to ``ingest`` until :meth:`close`."""
        if self._settings.watch is None:
            return
        folder = WatchedFolder(self._settings.watch)
        watcher = Watcher(folder, template.load("ingest"), self.ports)
        self._opened.callback(watcher.stop)
        watcher.start()

    def close(self) -> None:
        """Finish what is being answered, then stop the schedules and the watcher, and close the stores."""
        self._pool.shutdown()
        self._opened.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call. Only HTTP: there is no lifespan to take part in, and no websocket."""
        self._held += 1
        try:
            response = await self._respond(scope, receive)
        except asyncio.CancelledError:  # the server stops, and has waited for this client long enough
            response = _UNAVAILABLE
        finally:
            self._held -= 1
        await _send(send, response)

    async def _respond(self, scope: Scope, receive: Receive) -> gateway.Response:
        if self._ports is None or self._held > _HELD:
            return _UNAVAILABLE
        try:
            async with asyncio.timeout(_SENDING):
                received = await _received(scope, receive)
        except TimeoutError:
            return _TOO_SLOW
        if isinstance(received, gateway.Response):
            return received
        # Beside the pool, so that who watches the service gets an answer however busy it is.
        pool = None if received.path == "/status" else self._pool
        return await asyncio.get_running_loop().run_in_executor(pool, self._answer, received)

    def _answer(self, received: gateway.Received) -> gateway.Response:
        if self._status is not None and received.path == "/status" and received.method in ("GET", "HEAD"):
            return self._status.answer(received)
        function = self._template.function_for(received.method, received.path)
        if function is None:
            return gateway.refusal(404, "Not Found")
        event = gateway.event_of(received)
        if gateway.event_size(event) > gateway.MAX_EVENT:
            return gateway.TOO_LARGE
        try:
            return gateway.response_of(self._handlers[function](event, None))
        except Exception:  # as the gateway does when a function raises
            logger.exception("handler failed", extra={"operation": function})
            return gateway.FAILED


async def _received(scope: Scope, receive: Receive) -> gateway.Received | gateway.Response:
    """The whole request, or the gateway's refusal of it."""
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    if sum(len(name) + len(value) for name, value in headers) > gateway.MAX_HEADERS:
        return gateway.HEADERS_TOO_LARGE
    body = bytearray()
    more, passed = True, 0
    while more and passed <= _DRAIN:
        message = await receive()
        more = bool(message.get("more_body"))
        passed += len(message.get("body", b""))
        if passed <= gateway.MAX_BODY:
            body += message.get("body", b"")
    if passed > gateway.MAX_BODY:
        return gateway.TOO_LARGE
    client: tuple[str, int] = scope.get("client") or ("127.0.0.1", 0)
    return gateway.Received(
        method=scope["method"],
        path=_path(scope["raw_path"].decode("latin-1")),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=bytes(body),
        client=client[0],
        arrived=gateway.now(),
    )


def _path(target: str) -> str:
    """The path of a request's target, which proxies may send as a whole address."""
    return target if target.startswith("/") else urlsplit(target).path or "/"


async def _send(send: Send, response: gateway.Response) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    length = (b"content-length", str(len(response.body)).encode())
    await send({"type": "http.response.start", "status": response.status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": response.body})
