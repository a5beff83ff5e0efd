"""A catalog that asks another, for those that change a part of its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from lookalike.domain.library import Kind, Library, RemovedLibrary
from lookalike.domain.picture import Key, Picture
from lookalike.ports import Catalog


class DelegatingCatalog(Catalog):
    """Passes every call on; whoever extends it says only what is different."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def library(self, tenant: str, name: str) -> Library | None:
        return self._catalog.library(tenant, name)

    def libraries(self, tenant: str) -> Sequence[Library]:
        return self._catalog.libraries(tenant)

    def create_library(self, library: Library) -> None:
        self._catalog.create_library(library)

    def change_library(self, library: Library) -> None:
        self._catalog.change_library(library)

    def remove_library(self, library: Library, now: int) -> None:
        self._catalog.remove_library(library, now)

    def removed_libraries(self, before: int, limit: int) -> Sequence[RemovedLibrary]:
        return self._catalog.removed_libraries(before, limit)

    def forget_library(self, uid: str) -> None:
        self._catalog.forget_library(uid)

    def missing_libraries(self, uids: Set[str]) -> Set[str]:
        return self._catalog.missing_libraries(uids)

    def alias(self, library: str, name: str) -> str | None:
        return self._catalog.alias(library, name)

    def aliases(self, library: str, after: str, limit: int) -> Sequence[tuple[str, str]]:
        return self._catalog.aliases(library, after, limit)

    def save_aliases(self, library: str, aliases: Mapping[str, str]) -> None:
        self._catalog.save_aliases(library, aliases)

    def claim_alias(self, library: str, name: str, id_: str, instead: str | None) -> bool:
        return self._catalog.claim_alias(library, name, id_, instead)

    def remove_alias(self, library: str, name: str, id_: str) -> None:
        self._catalog.remove_alias(library, name, id_)

    def picture(self, key: Key) -> Picture | None:
        return self._catalog.picture(key)

    def changed(self, revisions: Mapping[Key, int]) -> Mapping[Key, Picture | None]:
        return self._catalog.changed(revisions)

    def pictures(self, library: str, after: str | None, limit: int) -> Sequence[Picture]:
        return self._catalog.pictures(library, after, limit)

    def pictures_by_prefix(self, library: str, prefix: str, limit: int) -> Sequence[Picture]:
        return self._catalog.pictures_by_prefix(library, prefix, limit)

    def put(self, picture: Picture, previous: int | None) -> None:
        self._catalog.put(picture, previous)

    def put_called(self, picture: Picture, previous: int | None, name: str) -> None:
        self._catalog.put_called(picture, previous, name)

    def remove(self, key: Key, revision: int) -> None:
        self._catalog.remove(key, revision)

    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        return self._catalog.waiting_for_purge(before, limit, since)

    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        return self._catalog.scan(kind)

    def every_row(self) -> Iterator[Sequence[Picture]]:
        return self._catalog.every_row()
