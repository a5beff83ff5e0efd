"""How far the service is behind its writes."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from lookalike.domain.backlog import Backlog


class Backlogs(Protocol):
    """Reads the backlog, for whoever asks: no call depends on it."""

    @abstractmethod
    def backlog(self) -> Backlog:
        """Return the backlog, as far as it is known. May be some minutes old. Raises Unavailable."""
