"""The vector index, which is derived from the catalog."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from lookalike.domain.library import Kind
from lookalike.domain.picture import Picture
from lookalike.domain.search import Candidate, Generation, Query


class VectorIndex(Protocol):
    """What finds neighbours. Derived from the catalog; may be lost and filled again.

    Writes are versioned: one that carries an older or the same revision than the index holds changes nothing
    and is a success, so replays and disorder converge.
    """

    @abstractmethod
    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        """Bring the index to these rows. With ``wait``, later searches see them. A row not live is hidden.

        Raises Unavailable; IndexWriteError, an Unavailable too, if it knows which rows failed: the others are written.
        """

    @abstractmethod
    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        """Take rows out for good, each if the index holds nothing newer than its revision. Raises Unavailable."""

    @abstractmethod
    def search(self, query: Query) -> Sequence[Candidate]:
        """The k best, by cosine from high to low, equal cosines by library and id. Raises Unavailable."""

    @abstractmethod
    def count(self, library: str) -> int:
        """How many live pictures a library (uid) has, as far as the index knows."""


class Generations(Protocol):
    """Which indices of a kind are read and written. Durable on return."""

    @abstractmethod
    def generation(self, kind: Kind) -> Generation | None:
        """What holds for that kind; None if no index was ever made."""

    @abstractmethod
    def save_generation(self, kind: Kind, generation: Generation, previous: Generation | None) -> None:
        """Change it if it is still ``previous``. Raises RevisionConflict otherwise, and then nothing has changed."""
