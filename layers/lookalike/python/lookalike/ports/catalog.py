"""The catalog: the truth about libraries and pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from lookalike.domain.library import Kind, Library, RemovedLibrary
from lookalike.domain.picture import Key, Picture


class Catalog(Protocol):
    """The truth: libraries and picture rows. Every write is durable when the call returns.

    Every method may raise :class:`~lookalike.errors.Unavailable`.
    """

    @abstractmethod
    def library(self, tenant: str, name: str) -> Library | None:
        """The tenant's library of that name."""

    @abstractmethod
    def libraries(self, tenant: str) -> Sequence[Library]:
        """All libraries of a tenant, by name."""

    @abstractmethod
    def create_library(self, library: Library) -> None:
        """Make it. Raises LibraryExists if the tenant has one of that name; two racing calls make one."""

    @abstractmethod
    def remove_library(self, library: Library, now: int) -> None:
        """Take it away at once, however much it holds: its name is free, and its rows wait for a sweep.

        ``now`` is Unix milliseconds. Raises LibraryNotFound if the tenant's library of that name has another uid, or
        there is none.
        """

    @abstractmethod
    def removed_libraries(self, before: int, limit: int) -> Sequence[RemovedLibrary]:
        """Libraries removed before that Unix millisecond and not forgotten, oldest first, ``limit`` at most."""

    @abstractmethod
    def forget_library(self, uid: str) -> None:
        """Nothing is left of a removed library: it no longer waits to be swept. An unknown uid does not matter."""

    @abstractmethod
    def picture(self, key: Key) -> Picture | None:
        """The row, in whatever state."""

    @abstractmethod
    def changed(self, revisions: Mapping[Key, int]) -> Mapping[Key, Picture | None]:
        """Of rows whose revision is not the one given here: each as it is now, None if there is none any more.

        Rows that are as they were are left out. It sees every write that had returned before it was called.
        """

    @abstractmethod
    def pictures(self, library: str, after: str | None, limit: int) -> Sequence[Picture]:
        """Rows of a library (uid) in whatever state, in the store's own fixed order, ``limit`` at most.

        ``after`` is the id of the last row of the page before (None: from the start); it need not be there any more.
        A walk that goes on until a page is empty meets every row that is there all the while exactly once, whatever
        is added and removed beside it.
        """

    @abstractmethod
    def pictures_by_prefix(self, library: str, prefix: str, limit: int) -> Sequence[Picture]:
        """Rows of a library whose id starts with ``prefix``, in whatever state, by id, ``limit`` at most."""

    @abstractmethod
    def put(self, picture: Picture, previous: int | None) -> None:
        """Write the row if its stored revision is ``previous`` (None: there is no row).

        Raises RevisionConflict otherwise, and then nothing has changed.
        """

    @abstractmethod
    def remove(self, key: Key, revision: int) -> None:
        """Take the row away for good if its stored revision is ``revision``; RevisionConflict otherwise."""

    @abstractmethod
    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        """Rows not live whose ``deleted_at`` is from ``since`` on and before ``before``, both Unix milliseconds.

        Oldest first, ``limit`` at most.
        """

    @abstractmethod
    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        """Every row of a kind in whatever state, in batches, to fill an index from."""
