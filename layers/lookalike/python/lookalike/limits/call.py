"""The call that a use case works for: whether anyone still waits for its answer, and what share of the processor it has.

Nothing here costs more than a few microseconds where calls come one at a time, as in Lambda.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from lookalike.errors import Busy
from lookalike.limits.fair_share import FairShare, Turn

#: Milliseconds before the end of a function's time at which a search gives up, while it can still say so.
_SPARE = 1_000


class Call:
    """A call that is worked on to its end, however long that takes. Subclasses know better."""

    def check(self) -> None:
        """Ask between two stages of the work whether it is still of use. Raises Busy or Abandoned if it is not."""

    def belongs_to(self, tenant: str) -> None:
        """Learn whose call it is, once that is proved."""


class TimedCall(Call):
    """A call whose answer nobody waits for once its time is over."""

    def __init__(self, milliseconds_left: Callable[[], float]) -> None:
        self._milliseconds_left = milliseconds_left

    def check(self) -> None:
        """Raise Busy once the time is over."""
        if self._milliseconds_left() < _SPARE:
            raise Busy("out of time")


def processors() -> FairShare:
    """Permits to compute, for all calls of a process.

    One a core, and one more that no tenant ever has beside those: whoever floods the service can occupy every core, but
    the first call of anybody else still computes at once.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return FairShare(cores + 1, most=cores)


@dataclass(frozen=True, slots=True)
class Job:
    """The work of one call on behalf of a tenant."""

    tenant: str
    call: Call
    processors: FairShare

    def turn(self) -> Turn:
        """A context manager that computes: hold it for a stage of heavy work, and not while waiting for anything.

        Entering it raises Busy or Abandoned if nobody waits for the result any more.
        """
        return self.processors.turn(self.tenant, check=self.call.check)
