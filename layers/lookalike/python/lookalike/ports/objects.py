"""Stores of pictures' originals and local maps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lookalike.domain.inventory import StoredFile, StoredMap


class PictureStore(Protocol):
    """Original files, stored under each picture's ``object_key``. Writes are durable on return.

    A key is ``<library uid>/<picture id>/<revision of the add>-<first 16 hex digits of the file's digest>``; the original's
    thumbnail, once it has been seen, has the same key with ``.thumb`` behind it.
    """

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Store ``data`` under ``key``, replacing the object that was there."""

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """Return the object; None if there is none."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """Return the object's length in bytes, without reading it; None if there is none."""

    @abstractmethod
    def place(self, key: str, content_type: str, seconds: int) -> str | Path:
        """Return where the object is: its file; or a URL at which anybody gets it, as that type, for so many seconds.

        There may be none by now.
        """

    @abstractmethod
    def remove(self, keys: Sequence[str]) -> None:
        """Remove them; unknown keys are ignored."""

    @abstractmethod
    def stored(self) -> Iterator[Sequence[StoredFile]]:
        """Iterate over all files under keys, in batches and in no order. Raises Unavailable.

        Files that no key can have made are left out. One put meanwhile may be missing.
        """

    @abstractmethod
    def name_of(self, key: str) -> str:
        """Return the name by which :meth:`stored` lists the file of that key."""

    @abstractmethod
    def remove_stored(self, names: Sequence[str]) -> None:
        """Remove files by the names of :meth:`stored`; unknown ones are ignored. Raises Unavailable."""


class MapStore(Protocol):
    """Local maps, stored under the same keys as the originals. Writes are durable on return."""

    @abstractmethod
    def put_map(self, key: str, data: bytes) -> None:
        """Store a map."""

    @abstractmethod
    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """Return the maps that exist, by key."""

    @abstractmethod
    def remove_maps(self, keys: Sequence[str]) -> None:
        """Remove them; unknown keys are ignored."""

    @abstractmethod
    def stored_maps(self) -> Iterator[Sequence[StoredMap]]:
        """Iterate over all maps without reading them, in batches and in no order. One put meanwhile may be missing."""
