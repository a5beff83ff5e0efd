"""A rate limit for negative look-ups: of keys that this process has not found recently."""

from __future__ import annotations

import threading

#: Milliseconds for which a key that was found is known.
_KNOWN_FOR_MS = 60_000

#: Keys known at a time; with one more, all are forgotten.
_MAX_KNOWN_KEYS = 10_000

_SECOND_MS = 1_000


class UnknownKeyLimiter:
    """Limits look-ups of unknown keys per second. Keys found recently are known, and not limited.

    Callers with unknown keys therefore cannot exhaust the look-ups of callers with known keys. Safe for several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, int] = {}
        self._second = 0
        self._asked = 0

    def allows(self, key: str, limit: int, now: int) -> bool:
        """Whether this key may be looked up at Unix milliseconds ``now``, with ``limit`` unknown keys per second."""
        with self._lock:
            found = self._known.get(key)
            if found is not None and 0 <= now - found < _KNOWN_FOR_MS:
                return True
            if self._second != now // _SECOND_MS:
                self._second, self._asked = now // _SECOND_MS, 0
            self._asked += 1
            return self._asked <= limit

    def remember(self, key: str, now: int) -> None:
        """Record that the key was found at Unix milliseconds ``now``."""
        with self._lock:
            if len(self._known) >= _MAX_KNOWN_KEYS and key not in self._known:
                self._known.clear()
            self._known[key] = now
