"""Runs the service of one machine under uvicorn."""

from __future__ import annotations

import errno
import resource
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import uvicorn
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from lookalike.errors import LookalikeError
from lookalike.limits.call import usable_cores
from lookalike.observability import logger
from lookalike.server import heap
from lookalike.server.asgi_app import AsgiApp
from lookalike.server.connection import IDLE_SECONDS, KEEP_ALIVE_HEADERS, Connection
from lookalike.settings import Settings

#: Seconds that running requests get when the server is told to stop: the longest take 25.
_SHUTDOWN_SECONDS = 30

#: Connections that may wait to be accepted.
_BACKLOG = 1024

#: Seconds after which a thread of Python lets go of the interpreter's lock for another that waits. A search takes the
#: lock 2,800 times, mostly for some microseconds, and a thread that wakes too late for one of these waits anew. With
#: Python's 5 ms, threads of two or four searches at once wait twice as often, and these take 1 to 5 in a hundred longer.
SWITCH_SECONDS = 0.0005

#: Errors of an address that this machine lacks: a name may resolve to an IP version that is not set up.
_MISSING_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@dataclass(frozen=True, slots=True)
class Address:
    """The address that the server listens on."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The service's root URL, without a trailing slash."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def serve(settings: Settings, host: str, port: int, when_ready: Callable[[AsgiApp, Address], None]) -> int:
    """Serve until SIGTERM or SIGINT; return the process's exit status.

    Port 0 takes a free one. ``when_ready`` is called once, in a thread of its own, when requests are answered.
    """
    stop = _StopSignals()
    try:
        listening = listen(host, port)
    except OSError as error:
        return _report_failure(f"cannot listen on {host}:{port}: {str(error.strerror).partition(' (')[0]}")
    prepare_process()
    copy_config_to_registered_loggers(logger, log_level="WARNING", include={"uvicorn.error"})
    app = AsgiApp(settings)
    server = uvicorn.Server(uvicorn_config(app, settings))
    stop.forward_to(server)
    opening = _Opening(app, server, partial(when_ready, app, Address(*listening[0].getsockname()[:2])))
    opening.start()
    server.run(sockets=listening)
    opening.join()
    app.close()
    return 0 if opening.failure is None else _report_failure(opening.failure)


class _Opening(threading.Thread):
    """Opens the application while the server already listens, and stops the server if that fails.

    ``failure`` is the reason in one line; None while nothing has failed.
    """

    def __init__(self, app: AsgiApp, server: uvicorn.Server, when_ready: Callable[[], None]) -> None:
        super().__init__(name="opening", daemon=True)
        self.failure: str | None = None
        self._app = app
        self._server = server
        self._when_ready = when_ready

    def run(self) -> None:
        """Open the application, unless the server is told to stop meanwhile."""
        try:
            self._app.open()
            if self._server.should_exit:
                return
            self._when_ready()
            self._app.start_watching()
        except LookalikeError as error:
            self._stop_server(str(error))
        except Exception as error:  # uncaught, the process would stay and answer 503 for ever
            logger.exception("start failed")
            self._stop_server(f"cannot start: {error!r}")

    def _stop_server(self, failure: str) -> None:
        self.failure = failure
        self._server.should_exit = True


class _StopSignals:
    """Handles SIGTERM and SIGINT while uvicorn does not: before it runs, and after, when it raises them once more."""

    def __init__(self) -> None:
        self._received = False
        self._server: uvicorn.Server | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def forward_to(self, server: uvicorn.Server) -> None:
        """Stop this server on a signal, or at once if one was received already."""
        self._server = server
        server.should_exit = self._received

    def _on_signal(self, *_: object) -> None:
        self._received = True
        if self._server is not None:
            self._server.should_exit = True


def uvicorn_config(app: Callable[..., Awaitable[None]], settings: Settings) -> uvicorn.Config:
    """Return uvicorn's configuration."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        server_header=False,
        headers=KEEP_ALIVE_HEADERS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        forwarded_allow_ips=[str(network) for network in settings.proxies],
    )


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on all addresses of the host; ``::`` means all of this machine's, IPv4 and IPv6. Raises OSError.

    Port 0 takes a free one, the same for all addresses.
    """
    if host == "::" and socket.has_dualstack_ipv6():
        return [socket.create_server((host, port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)]
    listening: list[socket.socket] = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    missing: OSError | None = None
    with ExitStack() as opened:
        for family, _, _, _, address in dict.fromkeys(found):
            place = (address[0], listening[0].getsockname()[1], *address[2:]) if listening else address
            try:
                listening.append(socket.create_server(place, family=family, backlog=_BACKLOG))
            except OSError as error:
                if error.errno not in _MISSING_ADDRESS:
                    raise
                missing = error
            else:
                opened.callback(listening[-1].close)
        if not listening:
            raise missing or OSError(errno.EADDRNOTAVAIL, "no such address")
        opened.pop_all()
    return listening


def prepare_process() -> None:
    """Make ready for many connections, and for several searches that compute at once. Call it before threads start."""
    _raise_open_file_limit()
    heap.keep_small_blocks(heaps=usable_cores() + 1)  # as many calls compute at once
    sys.setswitchinterval(SWITCH_SECONDS)


def _raise_open_file_limit() -> None:
    """Raise the limit of open files as far as allowed: connections are files, and the usual limit is low."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))


def _report_failure(reason: str) -> int:
    """Write the reason to stderr; return the exit status."""
    sys.stderr.write(f"lookalike: {reason}\n")
    return 1
