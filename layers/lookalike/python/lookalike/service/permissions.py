"""Narrowed keys: what an application may do, and the libraries that it may do it in."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace

from lookalike.domain.application import Application, Permission
from lookalike.domain.library import Kind, Library, RemovedLibrary
from lookalike.domain.picture import Key, Picture
from lookalike.errors import AccessError
from lookalike.ports import Catalog, Ports


class NotPermitted(AccessError):  # noqa: N818 - named as its relatives in lookalike.errors
    """The application may not do this, or not in this library: its operator has narrowed its key.

    ``remedy`` is the command by which the operator lets it.
    """

    field = "permission"
    problem = "the key may not {0}"


#: What a key without a permission may not do, in words.
_ACTS: Mapping[Permission, str] = {
    Permission.SEARCH: "search, or look at pictures",
    Permission.ADD: "add pictures",
    Permission.UPDATE: "change pictures",
    Permission.DELETE: "delete pictures",
    Permission.GROUPS: "list, make or change libraries, or list their pictures",
}


def require(application: Application, *any_of: Permission) -> None:
    """Raise NotPermitted if the application may do none of these; with none named, everybody may."""
    if application.policy.permits(*any_of):
        return
    acts = ", nor ".join(_ACTS[one] for one in any_of)
    rights = " or ".join(any_of)
    may = ",".join((*application.policy.may, any_of[0]))
    raise NotPermitted(f"{acts}: it lacks the right {rights}", remedy=_change(application.name, f"--may {may}"))


def require_library(application: Application, name: str) -> None:
    """Raise NotPermitted if the application may do nothing in the library of that name."""
    _check(application, name)


def narrowed(ports: Ports, application: Application) -> Ports:
    """Return ports whose catalog finds, lists, makes and changes no library but those of the application's policy.

    Every call finds libraries by their names there, wherever the names stand in it.
    """
    if not application.policy.libraries:
        return ports
    return replace(ports, narrowed=_NarrowedCatalog(ports.catalog, application))


def _check(application: Application, name: str) -> None:
    allowed = application.policy.libraries
    if allowed and name not in allowed:
        libraries = " ".join(f"--library {shlex.quote(one)}" for one in (*allowed, name))
        raise NotPermitted(
            f"use the library {name}: it is for {', '.join(allowed)}", remedy=_change(application.name, libraries)
        )


def _change(name: str, options: str) -> str:
    return f"lookalike keys change --name {shlex.quote(name)} {options}"


class _NarrowedCatalog(Catalog):
    """A catalog, with names of these libraries alone. Every other one raises NotPermitted, whether it is there or not."""

    def __init__(self, catalog: Catalog, application: Application) -> None:
        self._catalog = catalog
        self._application = application
        self._allowed = frozenset(application.policy.libraries)

    def library(self, tenant: str, name: str) -> Library | None:
        _check(self._application, name)
        return self._catalog.library(tenant, name)

    def libraries(self, tenant: str) -> Sequence[Library]:
        return [library for library in self._catalog.libraries(tenant) if library.name in self._allowed]

    def create_library(self, library: Library) -> None:
        _check(self._application, library.name)
        self._catalog.create_library(library)

    def change_library(self, library: Library) -> None:
        _check(self._application, library.name)
        self._catalog.change_library(library)

    def remove_library(self, library: Library, now: int) -> None:
        _check(self._application, library.name)
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

    def remove(self, key: Key, revision: int) -> None:
        self._catalog.remove(key, revision)

    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        return self._catalog.waiting_for_purge(before, limit, since)

    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        return self._catalog.scan(kind)

    def every_row(self) -> Iterator[Sequence[Picture]]:
        return self._catalog.every_row()
