"""How fast an import may go: a number of rows a second, so that searches beside it keep their share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Hands out rows at a rate, in rows a second; None: as fast as can be. Safe to use from threads."""

    def __init__(self, rate: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._next = clock()

    def at_once(self, rows: int) -> int:
        """Return how many rows to take at a time, of so many at most: those of a second."""
        return rows if self._rate is None else max(1, min(rows, int(self._rate)))

    def wait(self, rows: int) -> float:
        """Return the seconds to wait before so many rows are begun. What has not been used is not saved up."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            begin = max(self._next, now)
            self._next = begin + rows / self._rate
            return begin - now
