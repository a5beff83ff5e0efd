"""How a command that may run for hours ends before it is done: by Ctrl-C, or as a service manager ends it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

#: Exit status of a command that was interrupted: 128 and the number of SIGINT, as shells have it.
INTERRUPTED = 130


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Have SIGTERM raise KeyboardInterrupt within, as Ctrl-C does. For the main thread."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
