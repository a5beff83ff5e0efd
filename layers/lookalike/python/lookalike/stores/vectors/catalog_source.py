"""What an index in files asks of the catalog that it is made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lookalike.domain.picture import Key, Picture


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the log of changes that only one catalog has: a number, and a random value."""

    number: int
    token: int


@dataclass(frozen=True, slots=True)
class Change:
    """A change in the log: its number, the picture, and the revision that its row has now; None: there is no row."""

    number: int
    key: Key
    revision: int | None


class CatalogSource(Protocol):
    """A catalog, and the log of its changes. Every method may raise Unavailable.

    Each write of a picture's row logs a change in the same transaction. So whatever a segment holds stands before a
    mark that was made later, in every copy of the catalog that has the mark.
    """

    @abstractmethod
    def everything(self) -> Iterator[Sequence[Picture]]:
        """Iterate over all rows; damaged ones are left out."""

    @abstractmethod
    def pictures_of(self, library: str) -> Iterator[Sequence[Picture]]:
        """Iterate over a library's rows; damaged ones are left out."""

    @abstractmethod
    def changed_pictures(self) -> Iterator[tuple[Sequence[Picture], Sequence[Key]]]:
        """Iterate over the rows with changes in the log, and the keys that have no sound row any more."""

    @abstractmethod
    def changes(self, mark: Mark) -> Iterator[Sequence[Change]]:
        """Iterate over the changes before a mark, in batches."""

    @abstractmethod
    def log_length(self, since: Mark | None) -> int:
        """Return how many changes were logged after a mark, at most; None: in all."""

    @abstractmethod
    def new_mark(self) -> Mark:
        """Put a mark at the end of the log, durably."""

    @abstractmethod
    def has_mark(self, mark: Mark) -> bool:
        """Return whether the log has this mark."""

    @abstractmethod
    def has_marks(self) -> bool:
        """Return whether the log has any mark: then files were made of this catalog once."""

    @abstractmethod
    def drop_marks(self, mark: Mark) -> None:
        """Remove all marks before this one."""

    @abstractmethod
    def drop(self, changes: Sequence[int]) -> None:
        """Remove these changes, by their numbers."""
