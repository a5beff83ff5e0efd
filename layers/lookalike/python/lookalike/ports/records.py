"""A store of records."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from lookalike.domain.record import Record


class Records(Protocol):
    """Records by partition and key. Every write is durable on return. Every method may raise Unavailable."""

    @abstractmethod
    def record(self, partition: str, key: str) -> Record | None:
        """Return the record; None if there is none. Sees every write that had returned before the call."""

    @abstractmethod
    def records(self, partition: str, after: str, limit: int) -> Sequence[Record]:
        """Return records of a partition with keys greater than ``after``, by key, ``limit`` at most."""

    @abstractmethod
    def put_record(self, record: Record, previous: int | None) -> None:
        """Write the record in place of the one with revision ``previous`` (None: of no record).

        Raises RevisionConflict if the stored revision is another one; nothing has changed then.
        """

    @abstractmethod
    def save_records(self, records: Sequence[Record]) -> None:
        """Write these records, whatever is there. Some may be written if it fails."""

    @abstractmethod
    def remove_records(self, partition: str, keys: Sequence[str]) -> None:
        """Remove these records; unknown keys are ignored."""
