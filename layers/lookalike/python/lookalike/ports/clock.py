"""The time."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Protocol


class Clock(Protocol):
    """The time."""

    @abstractmethod
    def __call__(self) -> int:
        """Unix milliseconds."""


def unix_milliseconds() -> int:
    """The system's clock: milliseconds since 1970."""
    return time.time_ns() // 1_000_000
