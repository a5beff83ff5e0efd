"""The vector index, which is derived from the catalog."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from lookalike.domain.inventory import IndexEntry
from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.domain.search import Candidate, Generation, Query


class VectorIndex(Protocol):
    """Nearest-neighbour search. Derived from the catalog; may be lost and filled again.

    Writes are versioned: one with the revision that the index holds, or an older one, changes nothing and succeeds, so
    that repeated and reordered writes converge.

    What stands in for the index of all pictures need not list what it holds.
    """

    @abstractmethod
    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        """Write these rows; one that is not live is hidden. With ``wait``, later searches see them.

        Raises Unavailable, or IndexWriteError (an Unavailable too) if only the rows that it names failed.
        """

    @abstractmethod
    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        """Remove rows for good, except those of which the index holds a newer revision. Raises Unavailable."""

    @abstractmethod
    def search(self, query: Query) -> Sequence[Candidate]:
        """Return the k best by descending cosine, equal ones by library and id. Raises Unavailable."""

    @abstractmethod
    def count(self, *libraries: str) -> int:
        """Return the number of live pictures of libraries (uids) that the index holds. Raises Unavailable."""

    @abstractmethod
    def generations(self) -> Mapping[Kind, str]:
        """Return the name of the generation that each kind is searched in; none if the index has none.

        Raises Unavailable.
        """

    @abstractmethod
    def entries(self) -> Iterator[Sequence[IndexEntry]]:
        """Iterate over all that searches read, hidden rows too, in batches and in no order. Raises Unavailable.

        What is written meanwhile may be missing, or be listed in its old form.
        """

    @abstractmethod
    def held(self, kind: Kind, keys: Sequence[Key]) -> Sequence[IndexEntry]:
        """Return the entries of these pictures that there are, as the last write left them. Raises Unavailable."""


class Generations(Protocol):
    """The indices of each kind that are read and written. Writes are durable on return."""

    @abstractmethod
    def generation(self, kind: Kind) -> Generation | None:
        """Return the kind's current generation; None if no index was ever made."""

    @abstractmethod
    def save_generation(self, kind: Kind, generation: Generation, previous: Generation | None) -> None:
        """Replace ``previous``. Raises RevisionConflict if another generation is stored; nothing has changed then."""
