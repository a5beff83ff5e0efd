"""The time."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class Clock(Protocol):
    """The time."""

    @abstractmethod
    def __call__(self) -> int:
        """Unix milliseconds."""
