"""The current call: whether its answer is still wanted, and its share of the processors.

The cost is a few microseconds where calls come one at a time, as in Lambda.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from lookalike.errors import Busy
from lookalike.limits.fair_share import FairShare, Turn

#: Milliseconds before a Lambda function's timeout at which a search gives up, so that it can still answer.
_MARGIN_MS = 1_000


class Call:
    """A call without a deadline, whose caller is assumed to wait. Subclasses may know better."""

    def check(self) -> None:
        """Called between stages of the work: raise Busy or Abandoned if the answer is no longer wanted."""

    def belongs_to(self, tenant: str) -> None:
        """Called once the caller has authenticated as an application of this tenant."""

    def looked(self, stage: str, milliseconds: float) -> None:
        """Called with the time that a stage of a search has taken."""

    def answered(self, outcome: str) -> None:
        """Called once the call has an answer: ``ok``, or the name of what went wrong."""


class TimedCall(Call):
    """A call with a deadline."""

    def __init__(self, milliseconds_left: Callable[[], float]) -> None:
        self._milliseconds_left = milliseconds_left

    def check(self) -> None:
        """Raise Busy if the deadline has passed."""
        if self._milliseconds_left() < _MARGIN_MS:
            raise Busy("out of time")


def usable_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processors() -> FairShare:
    """Return this process's permits to compute: one per core, and one more.

    A single tenant may hold a permit per core and no more, so that another tenant's call can always compute at once.
    """
    cores = usable_cores()
    return FairShare(cores + 1, max_per_key=cores)


@dataclass(frozen=True, slots=True)
class Job:
    """The current call's work on behalf of a tenant."""

    tenant: str
    call: Call
    processors: FairShare

    def turn(self) -> Turn:
        """Return a context manager to hold during a stage of computation, but not while waiting for I/O.

        Entering it raises Busy or Abandoned if the answer is no longer wanted.
        """
        return self.processors.turn(self.tenant, check=self.call.check)

    def within_turn(self) -> Job:
        """Return the same work for a caller that holds a turn all along: no stage of it waits for another."""
        return replace(self, processors=FairShare(sys.maxsize))
