"""A cache of applications, and of the absence of applications, for a limited time."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from lookalike.domain.application import Application
from lookalike.ports import Clock
from lookalike.stores.aws.dynamodb_keys import ItemKey

#: Milliseconds that an application is cached: a revoked one is accepted that much longer at most.
CACHE_MS = 30_000

#: Milliseconds that the absence of a key is cached: a new application that was asked for before it was created is
#: accepted that much later at most.
ABSENCE_CACHE_MS = 5_000

#: Absent keys that are cached at once; the oldest is dropped first.
MAX_ABSENT = 1_000


class ApplicationCache:
    """Applications by the key that they are looked up with. Safe to use from several threads.

    A change by another process is seen after :data:`CACHE_MS` at the latest. Absence is cached for
    :data:`ABSENCE_CACHE_MS`, so that repeated calls with an unknown key cost no reads.

    Parameters
    ----------
    clock : Unix milliseconds. Not the monotonic clock, which may stand still while Lambda freezes the process.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._found: dict[ItemKey, tuple[int, Application]] = {}
        self._absent: dict[ItemKey, int] = {}

    def get(self, key: ItemKey, read: Callable[[], Application | None]) -> Application | None:
        """The application under this key: cached if fresh, else read by ``read`` and cached."""
        now = self._clock()
        with self._lock:
            read_at, cached = self._found.get(key, (now, None))
            absent_since = self._absent.get(key)
        if cached is not None and 0 <= now - read_at < CACHE_MS:
            return cached
        if absent_since is not None and 0 <= now - absent_since < ABSENCE_CACHE_MS:
            return None
        found = read()
        with self._lock:
            self._absent.pop(key, None)
            if found is not None:
                self._found[key] = (now, found)
            elif key.is_valid:
                self._remember_absence(key, now)
        return found

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._found.clear()
            self._absent.clear()

    def _remember_absence(self, key: ItemKey, now: int) -> None:
        if len(self._absent) >= MAX_ABSENT:
            del self._absent[next(iter(self._absent))]  # the oldest
        self._absent[key] = now
