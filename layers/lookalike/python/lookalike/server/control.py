"""A socket in the data folder, by which commands on this machine ask the running server to check itself.

The folder is its owner's alone, and so is the socket: whoever may write the data may ask. A request is a line of JSON; the
answer is lines of JSON, the last of which holds ``report`` or ``error``.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lookalike.domain.consistency import Report
from lookalike.errors import LookalikeError, Unavailable
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.service.consistency import check
from lookalike.service.mend import Mender

#: Bytes of a request's line at most.
_MAX_REQUEST = 65_536

#: Longest path of a socket, in bytes, that every system takes (sockaddr_un of the BSDs).
_MAX_PATH = 100


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """A check that the server is asked for: whether to mend, how many originals to embed again, rows mended a second."""

    repair: bool
    deep: int
    rate: float


def run_check(ports: Ports, request: CheckRequest, tell: Callable[[str], None]) -> Report:
    """Check this process's stores. Raises Unavailable or OSError."""
    mend = Mender(ports, request.rate) if request.repair else None
    return check(ports, mend=mend, deep=request.deep, tell=tell)


def ask_server(path: Path, request: CheckRequest, tell: Callable[[str], None]) -> Report | None:
    """Ask the server whose socket this is for a check; None if no server listens there.

    Raises Unavailable if it could not finish.
    """
    with socket.socket(socket.AF_UNIX) as connection, _reachable(path) as address:
        try:
            connection.connect(address)
        except OSError:
            return None
        with connection.makefile("rw", encoding="utf-8") as stream:
            line = json.dumps({"repair": request.repair, "deep": request.deep, "rate": request.rate})
            print(line, file=stream, flush=True)
            for answer in map(json.loads, stream):
                if "report" in answer:
                    return Report.of_json(answer["report"])
                if "error" in answer:
                    raise Unavailable(answer["error"])
                tell(answer["doing"])
    raise Unavailable("the server ended before its check did")


class ControlSocket:
    """Listens on a socket and runs checks, one at a time, until it is closed.

    Parameters
    ----------
    path : where the socket is made, in place of one that a server has left which was killed.
    """

    def __init__(self, ports: Ports, path: Path) -> None:
        self._path = path
        with suppress(FileNotFoundError):
            path.unlink()
        with _reachable(path) as address:
            self._server = _Server(address, ports)
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening. A check under way goes on in its thread, and ends with the process."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: str, ports: Ports) -> None:
        super().__init__(address, _Handler)
        self.ports = ports
        self.busy = threading.Lock()


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Answer a connection's one request."""
        with suppress(OSError):  # who asked is gone, and the check stops
            self._say(**self._answer())

    def _answer(self) -> dict[str, str]:
        try:
            request = CheckRequest(**json.loads(self.rfile.readline(_MAX_REQUEST)))
            if not self.server.busy.acquire(blocking=False):
                return {"error": "another check is running"}
            try:
                return {"report": run_check(self.server.ports, request, lambda doing: self._say(doing=doing)).to_json()}
            finally:
                self.server.busy.release()
        except (BrokenPipeError, ConnectionResetError):
            raise
        except (LookalikeError, OSError) as error:
            return {"error": str(error)}
        except Exception as error:
            logger.exception("a check failed", extra={"operation": "check"})
            return {"error": f"internal error: {type(error).__name__}; the server's log says more"}

    def _say(self, **said: str) -> None:
        self.wfile.write(json.dumps(said).encode() + b"\n")


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """Yield an address of the socket that is short enough: through its open folder, if need be."""
    address = str(path.absolute())
    if len(os.fsencode(address)) <= _MAX_PATH:
        yield address
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
