"""What the index does not have yet, and what could not be done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far the service is behind its writes; None where that is not known.

    ``lag_ms`` is the age of the oldest write that the index lacks, in milliseconds; 0 if it lacks none. ``dead_letters`` are
    messages that could not be done, and wait for the operator.
    """

    lag_ms: int | None = None
    dead_letters: int | None = None
