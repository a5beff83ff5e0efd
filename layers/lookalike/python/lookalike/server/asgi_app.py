"""Serves the deployed handlers over ASGI: each request becomes an API Gateway event and goes to its function."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any, BinaryIO
from urllib.parse import unquote

from lookalike import bootstrap
from lookalike.domain.library import Kind
from lookalike.errors import Busy
from lookalike.handlers.process_ports import serving
from lookalike.limits.call import usable_cores
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.server import api_gateway, sam_template
from lookalike.server.commands import COMMANDS
from lookalike.server.control import ControlSocket
from lookalike.server.folder_watcher import FolderWatcher
from lookalike.server.metrics import Metrics
from lookalike.server.model_changes import ModelChanges
from lookalike.server.receiving import Receive, RequestReceiver, Scope
from lookalike.server.request_queue import QueuedCall, RequestQueue
from lookalike.server.scheduler import Scheduler
from lookalike.server.status import Status
from lookalike.server.upload_receiver import UploadReceiver
from lookalike.server.workers.count import default_count, usable_memory
from lookalike.server.workers.pool import Census, WorkerPool
from lookalike.service.model_view import current
from lookalike.settings import Settings
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.staged_files import StagedFolder
from lookalike.stores.local.watched_folder import WatchedFolder
from lookalike.wire.http import with_one_slash

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Requests worked on at once. A few keep every core busy; the others wait for a flush or for a slow download.
REQUEST_THREADS = 32

#: Bytes of a file that are in memory at once while it is sent.
_PIECE_BYTES = 256 * 1024
#: Milliseconds between the runs of schedules that are played more often than on AWS: to see that no job waits takes 0.1 ms
#: here, and who has started one looks at it.
_INTERVALS_MS = {"jobs": 1_000}


class AsgiApp:
    """An ASGI application. Answers 503 until :meth:`open` is done."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._template = sam_template.read()
        self._handlers = {route.function: sam_template.load(route.function) for route in self._template.routes}
        self._pool = ThreadPoolExecutor(REQUEST_THREADS, thread_name_prefix="request")
        self._queue = RequestQueue(REQUEST_THREADS, settings.wait_seconds)
        self._exit_stack = ExitStack()
        self._ports: Ports | None = None
        self._receiver = RequestReceiver()
        self._status: Status | None = None
        self._uploads: UploadReceiver | None = None
        self._metrics: Metrics | None = None

    @property
    def ports(self) -> Ports:
        """The ports that the handlers use. Raises RuntimeError before :meth:`open`."""
        if self._ports is None:
            raise RuntimeError("the service is not open yet")
        return self._ports

    def open(self) -> None:
        """Load the model and the index, then begin to answer requests. Raises SettingsError or ModelError."""
        ports = bootstrap.build(self._settings)
        self._exit_stack.callback(ports.close)
        _ = current(ports).embedder.threshold(Kind.SAME)  # a bad model is refused now, and not by the first request
        workers = self._workers()
        ports = replace(ports, finder=workers)
        self._exit_stack.enter_context(serving(ports))
        self._status = self._exit_stack.enter_context(closing(Status(ports)))
        self._status.start()
        if isinstance(ports.staged, StagedFolder):
            self._uploads = UploadReceiver(ports, ports.staged, self._receiver)
        self._metrics = Metrics(
            ports,
            self._status.health,
            lambda: self._queue.waiting,
            lambda: Census() if workers is None else workers.census,
        )
        self._ports = ports
        self._open_control(ports)

    def _open_control(self, ports: Ports) -> None:
        """Listen to commands on this machine, where there is a data folder that takes a socket, and go on with its fill."""
        if self._settings.data is None:
            return
        changes = self._exit_stack.enter_context(closing(ModelChanges(ports)))
        changes.start()
        commands = {**COMMANDS, "reembed": changes.command}
        try:
            control = ControlSocket(ports, DataFolder(self._settings.data).control, commands)
        except OSError as error:
            logger.warning("commands cannot ask this server", extra={"operation": "control", "reason": str(error)})
        else:
            self._exit_stack.enter_context(closing(control))

    def _workers(self) -> WorkerPool | None:
        """Return what has several pictures at once looked for in other processes, if there may be any."""
        settings = self._settings
        count = settings.search_workers
        if count is None:
            count = default_count(usable_cores(), usable_memory())
        if settings.data is None or count == 0:
            return None
        return self._exit_stack.enter_context(closing(WorkerPool.of(settings, count)))

    def start_schedules(self) -> None:
        """Run the template's scheduled functions until :meth:`close`."""
        scheduler = Scheduler(
            {
                sam_template.load(one.function): min(one.interval_ms, _INTERVALS_MS.get(one.function, one.interval_ms))
                for one in self._template.schedules
            }
        )
        self._exit_stack.callback(scheduler.stop)
        scheduler.start()

    def start_watching(self) -> None:
        """Send files of the watched folder, if there is one, to ``ingest`` until :meth:`close`."""
        if self._settings.watch is None:
            return
        folder = WatchedFolder(self._settings.watch)
        watcher = FolderWatcher(folder, sam_template.load("ingest"), self.ports)
        self._exit_stack.callback(watcher.stop)
        watcher.start()

    def close(self) -> None:
        """Finish running requests, then stop the schedules and the watcher, and close the stores."""
        self._pool.shutdown()
        self._exit_stack.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI call. Only HTTP is served: no lifespan, no websocket."""
        try:
            response = await self._response(scope, receive)
        except asyncio.CancelledError:  # the server stops, and waits for this client no longer
            response = api_gateway.UNAVAILABLE
        if response is None:  # the client is gone
            return
        if response.reason:
            api_gateway.log_refusal(response, (scope.get("client") or ("",))[0])
        await _send_response(send, response)

    async def _response(self, scope: Scope, receive: Receive) -> api_gateway.HttpResponse | None:
        """Receive a request and answer it. None if its client has gone before it was whole."""
        if self._uploads is not None and self._uploads.is_for(scope):
            return await self._uploads.answer(scope, receive)
        request = await self._receiver.receive_request(scope, receive)
        return await self._respond(request, receive) if isinstance(request, api_gateway.HttpRequest) else request

    async def _respond(self, request: api_gateway.HttpRequest, receive: Receive) -> api_gateway.HttpResponse:
        if self._ports is None:
            return api_gateway.UNAVAILABLE
        is_status = with_one_slash(unquote(request.path)) == "/status"
        if self._status is not None and is_status and request.method in ("GET", "HEAD"):
            # Not in the pool of requests, so that monitoring gets an answer however busy the service is.
            return await asyncio.get_running_loop().run_in_executor(None, self._status.answer, request)
        if self._metrics is not None and request.path == "/metrics" and request.method in ("GET", "HEAD"):
            return await asyncio.get_running_loop().run_in_executor(None, self._metrics.answer, request)
        if self._settings.hosts and request.host not in self._settings.hosts:
            return api_gateway.FORBIDDEN  # as the gateway answers for names other than its own
        function = self._template.function_for(request.method, request.path)
        if function is None:
            return api_gateway.refusal(404, "Not Found", "path: no function is for it")
        return await self._answer_in_turn(self._ports, function, request, receive)

    async def _answer_in_turn(
        self, ports: Ports, function: str, request: api_gateway.HttpRequest, receive: Receive
    ) -> api_gateway.HttpResponse:
        """Answer a request when its turn comes, unless its client leaves or it waits too long."""
        began = time.perf_counter()
        call = self._queue.call(request, is_search=function == "search")
        watching = asyncio.create_task(_wait_for_disconnect(receive, call))
        run = asyncio.get_running_loop().run_in_executor
        try:
            async with self._queue.turn(call):
                return await run(self._pool, self._answer_for_queue, ports, function, request, call)
        except Busy:
            call.refuse()  # the handler refuses and logs it in its vendor's form, without reading the body
            return await run(None, self._answer, function, replace(request, body=b""), call)
        finally:
            watching.cancel()
            if self._metrics is not None:
                self._metrics.observe(function, request, call, time.perf_counter() - began)

    def _answer_for_queue(
        self, ports: Ports, function: str, request: api_gateway.HttpRequest, call: QueuedCall
    ) -> api_gateway.HttpResponse:
        with call.turn_before_authentication(ports.processors):
            return self._answer(function, request, call)

    def _answer(self, function: str, request: api_gateway.HttpRequest, call: QueuedCall) -> api_gateway.HttpResponse:
        event = api_gateway.to_event(request)
        if api_gateway.event_size(event) > api_gateway.MAX_EVENT_BYTES:
            return api_gateway.TOO_LARGE
        try:
            return api_gateway.to_response(self._handlers[function](event, call))
        except Exception:  # the gateway answers 500 when a function raises
            logger.exception("handler failed", extra={"operation": function})
            return api_gateway.FAILED


async def _wait_for_disconnect(receive: Receive, call: QueuedCall) -> None:
    """Tell the call when its client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass
    call.client_left()


async def _send_response(send: Send, response: api_gateway.HttpResponse) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    size = len(response.body) if response.file is None else os.fstat(response.file.fileno()).st_size
    length = (b"content-length", str(size).encode())
    await send({"type": "http.response.start", "status": response.status, "headers": [*headers, length]})
    if response.file is not None:
        await _send_file(send, response.file)
    await send({"type": "http.response.body", "body": response.body})


async def _send_file(send: Send, file: BinaryIO) -> None:
    """Send a file piece by piece, at its reader's pace, and close it."""
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
