"""Finding a library, making it, and making it when the first picture comes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from lookalike.domain.library import Kind, Library, Shelf
from lookalike.errors import LibraryExists, LibraryNotFound, Unavailable
from lookalike.ports import Ports

#: Libraries that every tenant has from the first picture on, by name. All others are made on purpose.
MADE_BY_ADD: Mapping[str, Kind] = {"same_hq": Kind.SAME, "similar": Kind.SIMILAR, "product": Kind.PRODUCT}


def find_library(ports: Ports, tenant: str, name: str) -> Library:
    """The tenant's library of that name. Raises LibraryNotFound."""
    found = ports.catalog.library(tenant, name)
    if found is None:
        raise LibraryNotFound(name)
    return found


def create_library(ports: Ports, shelf: Shelf) -> Library:
    """Make the library of that shelf. Raises LibraryExists."""
    made = Library(
        tenant=shelf.tenant,
        name=shelf.name,
        uid=secrets.token_hex(8),
        kind=shelf.kind,
        identity=shelf.identity,
        created=ports.clock(),
    )
    ports.catalog.create_library(made)
    return made


def open_library(ports: Ports, shelf: Shelf) -> Library:
    """The library on that shelf, made now if there is none."""
    found = ports.catalog.library(shelf.tenant, shelf.name)
    if found is not None:
        return found
    try:
        return create_library(ports, shelf)
    except LibraryExists:
        winner = ports.catalog.library(shelf.tenant, shelf.name)
        if winner is None:
            raise Unavailable(f"catalog: library {shelf.name} was made and removed at once") from None
        return winner
