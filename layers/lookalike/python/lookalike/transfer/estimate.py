"""What an import will take: time of this machine, and dollars of a stack."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from lookalike.errors import LookalikeError

#: Pictures that are embedded for an estimate.
_SAMPLES = 3

#: Dollars of an add to a stack, in us-east-1, but for what is kept each month: docs/cost.md's units of an add to same_hq, at its
#: prices, and a run of the index function for the row. Other libraries cost less.
DOLLARS_PER_ADD = (7 * 0.125 + 11 * 0.625 + 1 * 5 + 0.2) / 1e6 + 0.1 * 0.0000288


class NoSample(LookalikeError):  # noqa: N818 - nothing is wrong with the import
    """A picture could not be embedded for an estimate."""


class Sampler:
    """Measures how long the first pictures of a trial would take to be embedded. Safe to use from threads.

    ``clock`` is that of the work: this thread's processor time, or, of another machine, the time that passes.
    """

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left = _SAMPLES
        self._seconds: list[float] = []

    def sample(self, embed: Callable[[], object]) -> None:
        """Embed a picture, and measure it; nothing once there are enough."""
        with self._lock:
            if not self._left:
                return
            self._left -= 1
        began = self._clock()
        with suppress(NoSample):
            embed()
            self._seconds.append(self._clock() - began)

    @property
    def seconds(self) -> float:
        """Seconds of a core that a picture takes, as the median has it; 0 without samples."""
        return statistics.median(self._seconds) if self._seconds else 0.0


def lines(rows: int, trial_seconds: float, embed_seconds: float, cores: int, *, on_aws: bool) -> Sequence[str]:
    """Return what adding so many pictures will take, a line each: a trial of all rows, and embedding what is new."""
    if not rows:
        return []
    seconds = trial_seconds + rows * embed_seconds / cores
    said = [f"adding {rows:,} pictures takes this machine about {_duration(seconds)}"]
    if on_aws:
        dollars = max(rows * DOLLARS_PER_ADD, 0.01)
        said.append(
            f"and costs {dollars:,.2f} dollars at most, beside what is kept each month (docs/cost.md has the units)"
        )
    return said


def lines_of_server(rows: int, seconds: float) -> Sequence[str]:
    """Return the same of a server that has taken so long for a picture, which it was asked for alone."""
    if not rows:
        return []
    return [
        f"adding {rows:,} pictures takes the server at most about {_duration(rows * seconds)}; it does several at a time"
    ]


def _duration(seconds: float) -> str:
    """Return a time in the unit that people say it in."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
