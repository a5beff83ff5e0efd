"""Narrowed keys: what an application may do, and the libraries that it may do it in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lookalike.domain.application import Application, Permission
from lookalike.domain.library import Library
from lookalike.errors import AccessError
from lookalike.ports import Catalog, Ports
from lookalike.service.delegating_catalog import DelegatingCatalog


class NotPermitted(AccessError):  # noqa: N818 - named as its relatives in lookalike.errors
    """The application may not do this, or not in this library: its operator has narrowed its key."""

    field = "permission"
    problem = "the key may not {0}"
    remedy = "lookalike keys change --may, --library"


def require(application: Application, *any_of: Permission) -> None:
    """Raise NotPermitted if the application may do none of these; with none named, everybody may."""
    if not application.policy.permits(*any_of):
        raise NotPermitted(" or ".join(any_of))


def require_library(application: Application, name: str) -> None:
    """Raise NotPermitted if the application may do nothing in the library of that name."""
    _check(application.policy.libraries, name)


def narrowed(ports: Ports, application: Application) -> Ports:
    """Return ports whose catalog finds, lists, makes and changes no library but those of the application's policy.

    Every call finds libraries by their names there, wherever the names stand in it.
    """
    allowed = application.policy.libraries
    return replace(ports, narrowed=_NarrowedCatalog(ports.catalog, frozenset(allowed))) if allowed else ports


def _check(allowed: Sequence[str] | frozenset[str], name: str) -> None:
    if allowed and name not in allowed:
        raise NotPermitted(f"call the library {name}")


class _NarrowedCatalog(DelegatingCatalog):
    """A catalog, with names of these libraries alone. Every other one raises NotPermitted, whether it is there or not."""

    def __init__(self, catalog: Catalog, allowed: frozenset[str]) -> None:
        super().__init__(catalog)
        self._allowed = allowed

    def library(self, tenant: str, name: str) -> Library | None:
        _check(self._allowed, name)
        return self._catalog.library(tenant, name)

    def libraries(self, tenant: str) -> Sequence[Library]:
        return [library for library in self._catalog.libraries(tenant) if library.name in self._allowed]

    def create_library(self, library: Library) -> None:
        _check(self._allowed, library.name)
        self._catalog.create_library(library)

    def change_library(self, library: Library) -> None:
        _check(self._allowed, library.name)
        self._catalog.change_library(library)

    def remove_library(self, library: Library, now: int) -> None:
        _check(self._allowed, library.name)
        self._catalog.remove_library(library, now)
