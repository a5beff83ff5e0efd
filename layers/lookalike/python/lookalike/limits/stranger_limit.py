"""A bound on what callers cost whom nobody knows: look-ups of keys that this process has not met of late."""

from __future__ import annotations

import threading

#: How long a key that was found is known, in milliseconds.
_KNOWN_FOR = 60_000

#: Keys known at a time; with more, all are looked up anew.
_MAX_KNOWN = 10_000

_SECOND = 1_000


class Strangers:
    """Keys that were found of late, and how many others were looked up in this second. Safe for several threads.

    Callers with known keys never wait for strangers: what those use up is theirs alone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, int] = {}
        self._second = 0
        self._asked = 0

    def may_ask(self, key: str, limit: int, now: int) -> bool:
        """Whether this key may be looked up at Unix milliseconds ``now``; of unknown ones, ``limit`` a second may."""
        with self._lock:
            found = self._known.get(key)
            if found is not None and 0 <= now - found < _KNOWN_FOR:
                return True
            if self._second != now // _SECOND:
                self._second, self._asked = now // _SECOND, 0
            self._asked += 1
            return self._asked <= limit

    def meet(self, key: str, now: int) -> None:
        """The key was found at Unix milliseconds ``now``."""
        with self._lock:
            if len(self._known) >= _MAX_KNOWN and key not in self._known:
                self._known.clear()
            self._known[key] = now
