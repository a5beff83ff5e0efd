"""Plays the schedules: runs handlers every so often, in one thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from lookalike.handlers.http import Handler
from lookalike.observability import logger

#: How long one run may take, as a Lambda function's timeout would have it, in milliseconds.
RUN_TIME = 300_000


class Allowance:
    """What a handler needs of Lambda's context: how much time is left. A stop uses the time up."""

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._end = time.monotonic() * 1000 + RUN_TIME

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds left."""
        return 0 if self._stopped.is_set() else max(0, int(self._end - time.monotonic() * 1000))


class Clockwork:
    """Runs each handler once at the start and then every so many milliseconds."""

    def __init__(self, every: Mapping[Handler, int]) -> None:
        self._every = every
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._play, args=(handler, interval), name="schedule", daemon=True)
            for handler, interval in every.items()
        ]

    def start(self) -> None:
        """Begin; the first runs are at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask running handlers to stop and wait for them."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _play(self, handler: Handler, interval: int) -> None:
        while not self._stopped.is_set():
            try:
                handler({}, Allowance(self._stopped))
            except Exception:  # the next run tries again, as a schedule's does
                logger.exception("scheduled run failed")
            self._stopped.wait(interval / 1000)
