"""A socket in the data folder, by which commands on this machine ask the running server.

The server alone has the index in memory, and alone may put originals. The folder is its owner's, and so is the socket:
whoever may write the data may ask. A request is a line of JSON, ``do`` names what is asked for; the answer is lines of JSON,
the last of which holds ``done`` or ``error``.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError, Unavailable
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.server.error_line import told

#: Bytes of a request's line at most.
_MAX_REQUEST = 65_536

#: Longest path of a socket, in bytes, that every system takes (sockaddr_un of the BSDs).
_MAX_PATH = 100


Tell = Callable[[str], None]
"""Is told what is being done."""

Command = Callable[[Ports, Mapping[str, Any], Tell], str]
"""Does what is asked for with these arguments, and returns JSON."""


def ask_server(path: Path, command: str, arguments: Mapping[str, Any], tell: Tell) -> str | None:
    """Ask the server whose socket this is; return its answer in JSON, None if no server listens there.

    Raises Refused with what the server says, and Unavailable if it could not finish.
    """
    with socket.socket(socket.AF_UNIX) as connection, _reachable(path) as address:
        try:
            connection.connect(address)
        except OSError:
            return None
        with connection.makefile("rw", encoding="utf-8") as stream:
            print(json.dumps({**arguments, "do": command}), file=stream, flush=True)
            for answer in map(json.loads, stream):
                if "done" in answer:
                    return str(answer["done"])
                if "error" in answer:
                    raise (Unavailable if answer["again"] else RefusedError)(answer["error"])
                tell(answer["doing"])
    raise Unavailable("the server ended before it was done")


class RefusedError(LookalikeError):
    """The server refuses what it was asked for."""


class ControlSocket:
    """Listens on a socket and runs commands, one at a time, until it is closed.

    Parameters
    ----------
    commands : what can be asked for, by name.
    path : where the socket is made, in place of one that a server has left which was killed.
    """

    def __init__(self, ports: Ports, path: Path, commands: Mapping[str, Command]) -> None:
        self._path = path
        with suppress(FileNotFoundError):
            path.unlink()
        with _reachable(path) as address:
            self._server = _Server(address, ports, commands)
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening. A command under way goes on in its thread, and ends with the process."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: str, ports: Ports, commands: Mapping[str, Command]) -> None:
        super().__init__(address, _Handler)
        self.ports = ports
        self.commands = commands
        self.busy = threading.Lock()


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Answer a connection's one request."""
        with suppress(OSError):  # who asked is gone, and so what was asked for stops
            self._say(**self._answer())

    def _answer(self) -> dict[str, object]:
        try:
            asked = json.loads(self.rfile.readline(_MAX_REQUEST))
            command = self.server.commands[asked.pop("do")]
            if not self.server.busy.acquire(blocking=False):
                return {"error": "the server does something else that it was asked for", "again": True}
            try:
                return {"done": command(self.server.ports, asked, lambda doing: self._say(doing=doing))}
            finally:
                self.server.busy.release()
        except (BrokenPipeError, ConnectionResetError):
            raise
        except (LookalikeError, OSError) as error:
            said, again = (told(error), error.retryable) if isinstance(error, LookalikeError) else (str(error), True)
            return {"error": said, "again": again}
        except Exception as error:
            logger.exception("a command failed", extra={"operation": "control"})
            return {"error": f"internal error: {type(error).__name__}; the server's log says more", "again": True}

    def _say(self, **said: object) -> None:
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
