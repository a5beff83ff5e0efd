"""A server that hangs: it accepts connections and responds slowly, partly, or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def hanging(sent: bytes = b"", pause: float = 0) -> Iterator[str]:
    """URL of a server that sends these bytes one by one, ``pause`` seconds apart, and then nothing more."""
    stopped = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            for byte in sent:
                if stopped.wait(pause):
                    return
                connection.sendall(bytes([byte]))
            stopped.wait(30)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            stopped.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
