"""The ports of this process, which every handler works with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lookalike.bootstrap import build
from lookalike.ports import Ports


class _ProcessPorts:
    """The process's own ports: built once, on the first request that needs them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ports: Ports | None = None

    def __call__(self) -> Ports:
        with self.lock:
            if self.ports is None:
                self.ports = build()
            return self.ports


process_ports = _ProcessPorts()


@contextmanager
def serving(ports: Ports) -> Iterator[None]:
    """Every handler of this process answers with these ports, until the block ends."""
    before, process_ports.ports = process_ports.ports, ports
    try:
        yield
    finally:
        process_ports.ports = before
