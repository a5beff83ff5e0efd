"""Records: small texts that the service keeps for itself, beside libraries and pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """A text under a key of a partition. ``revision`` grows with every write that depends on the one before.

    Partition and key are ASCII; ``body`` is 300 kB at most.
    """

    partition: str
    key: str
    body: str
    revision: int = 1
