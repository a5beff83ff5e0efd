"""The clock."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Protocol

SECOND_MS = 1_000
DAY_MS = 86_400_000


class Clock(Protocol):
    """A clock."""

    @abstractmethod
    def __call__(self) -> int:
        """Return the time in Unix milliseconds."""


def unix_milliseconds() -> int:
    """Return the system's time in Unix milliseconds."""
    return time.time_ns() // 1_000_000
