"""Runs handlers at intervals, each in a thread of its own, as EventBridge schedules do."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from lookalike.handlers.http import Handler
from lookalike.observability import logger

#: Milliseconds that one run may take, like a Lambda function's timeout.
MAX_RUN_MS = 300_000


class LambdaContext:
    """The part of Lambda's context that handlers use: the time left. After a stop there is none."""

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._deadline_ms = time.monotonic() * 1000 + MAX_RUN_MS

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return 0 if self._stopped.is_set() else max(0, int(self._deadline_ms - time.monotonic() * 1000))


class Scheduler:
    """Runs each handler at once and then at its interval, in milliseconds, after the end of each run."""

    def __init__(self, intervals_ms: Mapping[Handler, int]) -> None:
        self._intervals_ms = intervals_ms
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run_repeatedly, args=(handler, interval_ms), name="schedule", daemon=True)
            for handler, interval_ms in intervals_ms.items()
        ]

    def start(self) -> None:
        """Start the threads; each handler runs at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask running handlers to stop, and wait for them."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run_repeatedly(self, handler: Handler, interval_ms: int) -> None:
        while not self._stopped.is_set():
            try:
                handler({}, LambdaContext(self._stopped))
            except Exception:  # the next run tries again, as a schedule's does
                logger.exception("scheduled run failed")
            self._stopped.wait(interval_ms / 1000)
