"""The HTTP server of one machine: uvicorn in front of the service."""

from __future__ import annotations

import ctypes
import errno
import resource
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import uvicorn
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from lookalike.errors import LookalikeError
from lookalike.observability import logger
from lookalike.server.asgi_app import Service
from lookalike.server.connection import IDLE, KEEP_ALIVE, Connection
from lookalike.settings import Settings

#: From malloc.h.
_M_MMAP_THRESHOLD = -3

#: Seconds that requests being answered have left when the server is told to stop: the longest take 25.
_STOPPING = 30

#: Connections that wait to be accepted.
_BACKLOG = 1024

#: A name may have addresses that this machine does not: of the IP version that it was set up without.
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


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

    Port 0 takes a free one. ``when_ready`` is called once, in a thread of its own, when requests are answered.
    """
    stop = _Stop()
    try:
        listening = listen(host, port)
    except OSError as error:
        return _failed(f"cannot listen on {host}:{port}: {str(error.strerror).partition(' (')[0]}")
    _allow_many_connections()
    _give_memory_back()
    copy_config_to_registered_loggers(logger, log_level="WARNING", include={"uvicorn.error"})
    service = Service(settings)
    server = uvicorn.Server(configured(service, settings))
    stop.heed_for(server)
    address = Address(*listening[0].getsockname()[:2])
    failures: list[str] = []

    def open_service() -> None:
        try:
            service.open()
            if server.should_exit:  # told to stop meanwhile
                return
            when_ready(service, address)
            service.start_watching()
        except LookalikeError as error:
            failures.append(str(error))
            server.should_exit = True
        except Exception as error:  # without this the process would stay, and answer 503 for ever
            logger.exception("start failed")
            failures.append(f"cannot start: {error!r}")
            server.should_exit = True

    opening = threading.Thread(target=open_service, name="opening", daemon=True)
    opening.start()
    server.run(sockets=listening)
    opening.join()
    service.close()
    return _failed(failures[0]) if failures else 0


class _Stop:
    """Heeds SIGTERM and SIGINT where uvicorn does not: before it runs, and after, when it raises them once more."""

    def __init__(self) -> None:
        self._told = False
        self._server: uvicorn.Server | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._tell)

    def heed_for(self, server: uvicorn.Server) -> None:
        """From now on it is the server that a signal stops."""
        self._server = server
        server.should_exit = self._told

    def _tell(self, *_: object) -> None:
        self._told = True
        if self._server is not None:
            self._server.should_exit = True


def configured(service: Callable[..., Awaitable[None]], settings: Settings) -> uvicorn.Config:
    """How uvicorn serves."""
    return uvicorn.Config(
        service,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        server_header=False,
        headers=KEEP_ALIVE,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=_STOPPING,
        forwarded_allow_ips=[str(network) for network in settings.proxies],
    )


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on all addresses that the host has; ``::`` is all of this machine's, IPv4 and IPv6. Raises OSError.

    Port 0 takes a free one, the same for all.
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
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
            else:
                opened.callback(listening[-1].close)
        if not listening:
            raise missing or OSError(errno.EADDRNOTAVAIL, "no such address")
        opened.pop_all()
    return listening


def _allow_many_connections() -> None:
    """As many open files as this process may have: connections are files, and the usual limit is low."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _give_memory_back() -> None:
    """Keep glibc from holding on to large blocks: it raises this threshold as they are freed, up to 32 MB."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # other C libraries have no mallopt
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 20)


def _failed(why: str) -> int:
    sys.stderr.write(f"lookalike: {why}\n")
    return 1
