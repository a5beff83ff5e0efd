"""How far imports are that add to this server: each of their calls says so in a header."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

#: The header, in lower case. Whoever may add may say it; it is counted, and nothing else comes of it.
HEADER = "lookalike-import"

_SAID = re.compile(r"id=([0-9a-f]{8}), rows=(\d{1,12}), done=(\d{1,12})")

#: Seconds without a call after which an import is over or broken off: it waits 20 between attempts, and a call takes 25.
_MAX_QUIET_SECONDS = 120.0

#: Imports that are counted at once; of more, the first are forgotten.
_MAX_IMPORTS = 64


@dataclass(frozen=True, slots=True)
class Imports:
    """The imports under way, and their rows that are done and left, all together."""

    running: int
    done: int
    left: int


class ImportProgress:
    """Remembers what imports said last. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[str, tuple[float, int, int]] = {}

    def note(self, header: str) -> None:
        """Note what a call says; text that no import says is ignored."""
        found = _SAID.fullmatch(header)
        if found is None:
            return
        name, rows, done = found[1], int(found[2]), int(found[3])
        with self._lock:
            self._said.pop(name, None)
            self._said[name] = (self._clock(), min(done, rows), max(rows - done, 0))
            if len(self._said) > _MAX_IMPORTS:
                del self._said[next(iter(self._said))]

    def now(self) -> Imports:
        """Return how far they are; those that have been quiet for long are forgotten."""
        oldest = self._clock() - _MAX_QUIET_SECONDS
        with self._lock:
            self._said = {name: said for name, said in self._said.items() if said[0] >= oldest}
            said = list(self._said.values())
        return Imports(
            sum(left > 0 for _, _, left in said), sum(done for _, done, _ in said), sum(left for *_, left in said)
        )
