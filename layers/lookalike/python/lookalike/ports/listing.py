"""What stands in for a store, and does not list what it holds: one search asks it, and no check of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn, Protocol

from lookalike.domain.inventory import IndexEntry, StoredFile, StoredMap
from lookalike.domain.library import Kind
from lookalike.domain.picture import Key
from lookalike.ports.index import VectorIndex
from lookalike.ports.objects import MapStore, PictureStore


class UnlistedIndex(VectorIndex, Protocol):
    """A vector index that lists nothing, and has no generations."""

    def generations(self) -> Mapping[Kind, str]:
        return {}

    def entries(self) -> Iterator[Sequence[IndexEntry]]:
        _refuse(self)

    def held(self, kind: Kind, keys: Sequence[Key]) -> Sequence[IndexEntry]:
        _refuse(self)


class UnlistedPictures(PictureStore, Protocol):
    """Originals that nobody lists."""

    def size(self, key: str) -> int | None:
        data = self.get(key)
        return None if data is None else len(data)

    def stored(self) -> Iterator[Sequence[StoredFile]]:
        _refuse(self)

    def name_of(self, key: str) -> str:
        _refuse(self)

    def remove_stored(self, names: Sequence[str]) -> None:
        _refuse(self)


class UnlistedMaps(MapStore, Protocol):
    """Local maps that nobody lists."""

    def stored_maps(self) -> Iterator[Sequence[StoredMap]]:
        _refuse(self)


def _refuse(store: object) -> NoReturn:
    raise NotImplementedError(f"{type(store).__name__} does not list what it holds")
