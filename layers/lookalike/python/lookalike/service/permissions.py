"""Narrowed keys: what an application may do, and the libraries that it may do it in."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lookalike.domain.application import Application, Permission
from lookalike.domain.library import Library
from lookalike.errors import AccessError
from lookalike.ports import Catalog, Ports
from lookalike.service.delegating_catalog import DelegatingCatalog


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


class _NarrowedCatalog(DelegatingCatalog):
    """A catalog, with names of these libraries alone. Every other one raises NotPermitted, whether it is there or not."""

    def __init__(self, catalog: Catalog, application: Application) -> None:
        super().__init__(catalog)
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
