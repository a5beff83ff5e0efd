"""The deployed handlers behind ASGI: every request becomes the gateway's event and goes to the function it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from lookalike import bootstrap
from lookalike.errors import Busy
from lookalike.handlers.process_ports import serving
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.server import api_gateway, sam_template
from lookalike.server.folder_watcher import Watcher
from lookalike.server.receiving import Receive, Receiving, Scope
from lookalike.server.request_queue import QueuedCall, RequestQueue
from lookalike.server.scheduler import Clockwork
from lookalike.server.status import Status
from lookalike.settings import Settings
from lookalike.stores.local.watched_folder import WatchedFolder
from lookalike.wire.http import with_one_slash

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Requests worked on at once. A few would keep every core busy; the others wait for a flush, or for a slow download.
THREADS = 32


class Service:
    """An ASGI application. Answers 503 until :meth:`open` is done."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._template = sam_template.read()
        self._handlers = {route.function: sam_template.load(route.function) for route in self._template.routes}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="request")
        self._queue = RequestQueue(THREADS, settings.wait_seconds)
        self._opened = ExitStack()
        self._ports: Ports | None = None
        self._receiving = Receiving()
        self._status: Status | None = None

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
        self._opened.enter_context(serving(ports))
        self._status = self._opened.enter_context(closing(Status(ports)))
        self._status.start()
        self._ports = ports

    def start_schedules(self) -> None:
        """Play the template's schedules until :meth:`close`."""
        clockwork = Clockwork({sam_template.load(one.function): one.every for one in self._template.schedules})
        self._opened.callback(clockwork.stop)
        clockwork.start()

    def start_watching(self) -> None:
        """Send what is put into the watched folder, if there is one, to ``ingest`` until :meth:`close`."""
        if self._settings.watch is None:
            return
        folder = WatchedFolder(self._settings.watch)
        watcher = Watcher(folder, sam_template.load("ingest"), self.ports)
        self._opened.callback(watcher.stop)
        watcher.start()

    def close(self) -> None:
        """Finish what is being answered, then stop the schedules and the watcher, and close the stores."""
        self._pool.shutdown()
        self._opened.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call. Only HTTP: there is no lifespan to take part in, and no websocket."""
        try:
            received = await self._receiving.whole(scope, receive)
            if received is None:
                return
            response = (
                received if isinstance(received, api_gateway.Response) else await self._respond(received, receive)
            )
        except asyncio.CancelledError:  # the server stops, and has waited for this client long enough
            response = api_gateway.UNAVAILABLE
        if response.reason:
            api_gateway.log_refusal(response, (scope.get("client") or ("",))[0])
        await _send(send, response)

    async def _respond(self, received: api_gateway.Received, receive: Receive) -> api_gateway.Response:
        if self._ports is None:
            return api_gateway.UNAVAILABLE
        is_status = with_one_slash(unquote(received.path)) == "/status"
        if self._status is not None and is_status and received.method in ("GET", "HEAD"):
            # Beside the pool, so that who watches the service gets an answer however busy it is.
            return await asyncio.get_running_loop().run_in_executor(None, self._status.answer, received)
        if self._settings.hosts and received.host not in self._settings.hosts:
            return api_gateway.FORBIDDEN  # as the gateway has it for names that are not its own
        function = self._template.function_for(received.method, received.path)
        if function is None:
            return api_gateway.refusal(404, "Not Found", "path: no function is for it")
        return await self._in_turn(self._ports, function, received, receive)

    async def _in_turn(
        self, ports: Ports, function: str, received: api_gateway.Received, receive: Receive
    ) -> api_gateway.Response:
        """Work on a whole request when its turn comes, as long as it is of use."""
        call = self._queue.call(received, is_search=function == "search")
        watching = asyncio.create_task(_watch(receive, call))
        run = asyncio.get_running_loop().run_in_executor
        try:
            async with self._queue.turn(call):
                return await run(self._pool, self._work, ports, function, received, call)
        except Busy:
            call.refuse()  # the handler says so in its vendor's form, and logs it, without a look at the body
            return await run(None, self._answer, function, replace(received, body=b""), call)
        finally:
            watching.cancel()

    def _work(
        self, ports: Ports, function: str, received: api_gateway.Received, call: QueuedCall
    ) -> api_gateway.Response:
        with call.reading(ports.processors):
            return self._answer(function, received, call)

    def _answer(self, function: str, received: api_gateway.Received, call: QueuedCall) -> api_gateway.Response:
        event = api_gateway.event_of(received)
        if api_gateway.event_size(event) > api_gateway.MAX_EVENT:
            return api_gateway.TOO_LARGE
        try:
            return api_gateway.response_of(self._handlers[function](event, call))
        except Exception:  # as the gateway does when a function raises
            logger.exception("handler failed", extra={"operation": function})
            return api_gateway.FAILED


async def _watch(receive: Receive, call: QueuedCall) -> None:
    """Tell the call when its client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    call.leave()


async def _send(send: Send, response: api_gateway.Response) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    length = (b"content-length", str(len(response.body)).encode())
    await send({"type": "http.response.start", "status": response.status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": response.body})
