"""The HTTP server of one machine: uvicorn in front, the deployed handlers in a pool of threads behind."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import uvicorn

import lookalike
from lookalike import bootstrap
from lookalike.errors import LookalikeError
from lookalike.local import gateway, template
from lookalike.local.schedule import Clockwork
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Requests worked on at once. Decoding and the model keep every core busy with fewer; the rest wait for a flush.
THREADS = 16

#: A body too large is read on to here before it is refused: most clients read no answer before they have sent all.
_DRAIN = 4 * gateway.MAX_BODY

#: Seconds a client may take to send its request, and connections held at once: more are answered 503.
_SENDING, _CONNECTIONS = 60, 512

_TOO_SLOW = gateway.refusal(408, "Request Timeout")
_STARTING = gateway.refusal(503, "Service Unavailable")


class Service:
    """An ASGI application. Answers 503 until :meth:`open` is done."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._template = template.read()
        self._handlers = {route.function: template.load(route.function) for route in self._template.routes}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="request")
        self._ports: Ports | None = None
        self._closing: list[Callable[[], object]] = []

    @property
    def ports(self) -> Ports:
        """What the handlers work with. Raises RuntimeError before :meth:`open`."""
        if self._ports is None:
            raise RuntimeError("the service is not open yet")
        return self._ports

    def open(self) -> None:
        """Load the model and the index, start the schedules; from here on requests are answered.

        Raises SettingsError or ModelError.
        """
        ports = bootstrap.build(self._settings)
        serving = bootstrap.serving(ports)
        serving.__enter__()
        clockwork = Clockwork({template.load(one.function): one.every for one in self._template.schedules})
        clockwork.start()
        self._closing = [clockwork.stop, lambda: serving.__exit__(None, None, None), lambda: bootstrap.close(ports)]
        self._ports = ports

    def close(self) -> None:
        """Finish what is being answered, then close the stores."""
        self._pool.shutdown()
        for close in self._closing:
            close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call. Only HTTP: there is no lifespan to take part in, and no websocket."""
        try:
            async with asyncio.timeout(_SENDING):
                received = await _received(scope, receive)
        except TimeoutError:
            received = _TOO_SLOW
        if isinstance(received, gateway.Response):
            response = received
        else:
            loop = asyncio.get_running_loop()
            response = await loop.run_in_executor(self._pool, self._answer, received)
        await _send(send, response)

    def _answer(self, received: gateway.Received) -> gateway.Response:
        if self._ports is None:
            return _STARTING
        if received.path == "/status" and received.method in ("GET", "HEAD"):
            return self._status(self._ports, received)
        function = self._template.function_for(received.method, received.path)
        event = gateway.event_of(received)
        if function is None:
            return gateway.refusal(404, "Not Found")
        if gateway.event_size(event) > gateway.MAX_EVENT:
            return gateway.TOO_LARGE
        try:
            return gateway.response_of(self._handlers[function](event, None))
        except Exception:  # as the gateway does when a function raises
            logger.exception("handler failed", extra={"operation": function})
            return gateway.FAILED

    def _status(self, ports: Ports, received: gateway.Received) -> gateway.Response:
        status: dict[str, Any] = {"status": "ready", "version": lookalike.__version__, "model": ports.embedder.model}
        if _is_loopback(received.client):
            status["pictures"] = {
                f"{library.tenant}/{library.name}": ports.index.count(library.uid)
                for tenant in sorted({application.tenant for application in ports.applications.applications()})
                for library in ports.catalog.libraries(tenant)
            }
        body = json.dumps(status).encode()
        return gateway.Response(200, (("content-type", "application/json"),), body)


def _is_loopback(client: str) -> bool:
    """Whether the caller sits on this machine; behind a proxy here, uvicorn tells the address the proxy names."""
    try:
        return ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False


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
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=bytes(body),
        client=client[0],
        arrived=gateway.now(),
    )


async def _send(send: Send, response: gateway.Response) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    length = (b"content-length", str(len(response.body)).encode())
    await send({"type": "http.response.start", "status": response.status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": response.body})


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The service's root, without a slash at the end."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def serve(settings: Settings, host: str, port: int, when_ready: Callable[[Service, Address], None]) -> int:
    """Run until SIGTERM or SIGINT; the process's exit status.

    ``when_ready`` is called once, in a thread of its own, when requests are answered. Port 0 takes a free one.
    """
    try:
        listening = socket.create_server((host, port), family=_family(host), backlog=1024)
    except OSError as error:
        return _failed(f"cannot listen on {host}:{port}: {str(error.strerror).partition(' (')[0]}")
    # uvicorn raises the signal that stopped it once more when it is done; without these the process would end there.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: None)
    service = Service(settings)
    server = uvicorn.Server(
        uvicorn.Config(
            service,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=30,
            limit_concurrency=_CONNECTIONS,
        )
    )
    failures: list[str] = []

    def open_service() -> None:
        try:
            service.open()
            when_ready(service, Address(*listening.getsockname()[:2]))
        except LookalikeError as error:
            failures.append(str(error))
            server.should_exit = True

    opening = threading.Thread(target=open_service, name="opening", daemon=True)
    opening.start()
    server.run(sockets=[listening])
    opening.join()
    service.close()
    return _failed(failures[0]) if failures else 0


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _failed(why: str) -> int:
    sys.stderr.write(f"lookalike: {why}\n")
    return 1
