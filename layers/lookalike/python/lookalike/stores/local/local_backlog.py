"""The backlog of one machine."""

from __future__ import annotations

from lookalike.domain.backlog import Backlog
from lookalike.ports.backlog import Backlogs
from lookalike.stores.local.dead_letter_file import FileDeadLetters


class LocalBacklog(Backlogs):
    """Counts dead letters. The index of one machine is never behind: a write answers once it is there."""

    def __init__(self, dead_letters: FileDeadLetters) -> None:
        self._dead_letters = dead_letters

    def backlog(self) -> Backlog:
        return Backlog(lag_ms=0, dead_letters=self._dead_letters.count())
