"""Stores of pictures' originals and local maps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol


class PictureStore(Protocol):
    """Originals: bytes under each picture's ``object_key``. Durable on return.

    A key is ``<library uid>/<picture id>/<revision of the add>-<first 16 hex digits of the file's digest>``.
    """

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``, replacing what was there."""

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """What is kept there."""

    @abstractmethod
    def remove(self, keys: Sequence[str]) -> None:
        """Forget them; unknown keys do not matter."""


class MapStore(Protocol):
    """Local maps, under the same keys as the originals. Durable on return."""

    @abstractmethod
    def put_map(self, key: str, data: bytes) -> None:
        """Keep a map."""

    @abstractmethod
    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """Those of the maps that are there."""

    @abstractmethod
    def remove_maps(self, keys: Sequence[str]) -> None:
        """Forget them; unknown keys do not matter."""
