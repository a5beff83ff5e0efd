"""The catalog: the source of truth for libraries and pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Protocol

from lookalike.domain.library import Kind, Library, RemovedLibrary
from lookalike.domain.picture import Key, Picture


class Catalog(Protocol):
    """Libraries and picture rows: the source of truth. Every write is durable on return.

    Every method may raise :class:`~lookalike.errors.Unavailable`.
    """

    @abstractmethod
    def library(self, tenant: str, name: str) -> Library | None:
        """Return the tenant's library of that name; None if there is none."""

    @abstractmethod
    def libraries(self, tenant: str) -> Sequence[Library]:
        """Return all libraries of a tenant, by name."""

    @abstractmethod
    def create_library(self, library: Library) -> None:
        """Create the library. Raises LibraryExists if the tenant has one of that name; of two racing calls one does."""

    @abstractmethod
    def change_library(self, library: Library) -> None:
        """Store the library's capacity; all else of it stays as it is.

        Raises LibraryNotFound if the tenant has no library of that name and uid.
        """

    @abstractmethod
    def remove_library(self, library: Library, now: int) -> None:
        """Remove the library at once, whatever its size: the name is free, and the rows wait to be swept.

        ``now`` is Unix milliseconds. Raises LibraryNotFound if the tenant has no library of that name and uid.
        """

    @abstractmethod
    def removed_libraries(self, before: int, limit: int) -> Sequence[RemovedLibrary]:
        """Return libraries removed before that Unix millisecond and not forgotten, oldest first, ``limit`` at most."""

    @abstractmethod
    def forget_library(self, uid: str) -> None:
        """Forget a removed library, all rows of which have been swept, and its aliases. An unknown uid is ignored."""

    @abstractmethod
    def alias(self, library: str, name: str) -> str | None:
        """Return the id of the picture in a library (uid) that another service knew by that name; None if none is known.

        There may be no such picture any more.
        """

    @abstractmethod
    def aliases(self, library: str, after: str, limit: int) -> Sequence[tuple[str, str]]:
        """Return such names in a library (uid) greater than ``after``, with their pictures' ids, by name, ``limit`` at most."""

    @abstractmethod
    def save_aliases(self, library: str, aliases: Mapping[str, str]) -> None:
        """Store ids of pictures in a library (uid) by the names that another service knew them by, whatever is there."""

    @abstractmethod
    def claim_alias(self, library: str, name: str, id_: str, instead: str | None) -> bool:
        """Let a name be that of a picture, if it is that of ``instead`` now (None: of nothing), and no live row is by that id.

        Returns whether it was so. That is seen and done in one step, as :meth:`put_called` is.
        """

    @abstractmethod
    def remove_alias(self, library: str, name: str, id_: str) -> None:
        """Forget a name if it is that of this picture; else do nothing."""

    @abstractmethod
    def missing_libraries(self, uids: Set[str]) -> Set[str]:
        """Return those of these uids that neither a library has nor a removed one. May read everything there is."""

    @abstractmethod
    def picture(self, key: Key) -> Picture | None:
        """Return the row, in any state; None if there is none."""

    @abstractmethod
    def changed(self, revisions: Mapping[Key, int]) -> Mapping[Key, Picture | None]:
        """Return the current rows of those keys whose revision differs from the given one; None where the row is gone.

        Sees every write that had returned before the call.
        """

    @abstractmethod
    def pictures(self, library: str, after: str | None, limit: int) -> Sequence[Picture]:
        """Return rows of a library (uid) in any state, in the store's fixed order, ``limit`` at most.

        ``after`` is the id of the previous page's last row (None: from the start); that row may be gone by now. Paging
        until a page is empty visits each row that exists all the while exactly once, whatever is added and removed
        meanwhile.
        """

    @abstractmethod
    def pictures_by_prefix(self, library: str, prefix: str, limit: int) -> Sequence[Picture]:
        """Return rows of a library whose id starts with ``prefix``, in any state, by id, ``limit`` at most."""

    @abstractmethod
    def put(self, picture: Picture, previous: int | None) -> None:
        """Write the row in place of the one with revision ``previous`` (None: of no row).

        Raises RevisionConflict if the stored revision is another one; nothing has changed then.
        """

    @abstractmethod
    def put_called(self, picture: Picture, previous: int | None, name: str) -> None:
        """Write the row as :meth:`put` does, if the name is that of the picture. Raises RevisionConflict also if it is not.

        So of two pictures that are given a name at the same time, one is written.
        """

    @abstractmethod
    def remove(self, key: Key, revision: int) -> None:
        """Remove the row for good. Raises RevisionConflict if the stored revision is not ``revision``."""

    @abstractmethod
    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        """Return rows not live with ``since`` <= ``deleted_at`` < ``before`` (Unix milliseconds), oldest first.

        At most ``limit``.
        """

    @abstractmethod
    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        """Iterate over every row of a kind, in any state, in batches, to fill an index from."""

    @abstractmethod
    def every_row(self) -> Iterator[Sequence[Picture]]:
        """Iterate over every row of all kinds, in any state, in batches and in no order.

        A row that cannot be read is answered in the state DAMAGED, as far as its key can be read. A row written meanwhile
        is answered in its old or its new revision; one created meanwhile may be missing.
        """
