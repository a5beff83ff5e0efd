"""Finding a library, and making it when the first picture comes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from lookalike.errors import LibraryExists, Unavailable
from lookalike.model import Kind, Library, Shelf
from lookalike.ports import Ports

#: Libraries that every tenant has from the first picture on, by name. All others are made on purpose.
MADE_BY_ADD: Mapping[str, Kind] = {"same_hq": Kind.SAME, "similar": Kind.SIMILAR, "product": Kind.PRODUCT}


def open_library(ports: Ports, shelf: Shelf) -> Library:
    """The library on that shelf, made now if there is none."""
    found = ports.catalog.library(shelf.tenant, shelf.name)
    if found is not None:
        return found
    made = Library(
        tenant=shelf.tenant,
        name=shelf.name,
        uid=secrets.token_hex(8),
        kind=shelf.kind,
        identity=shelf.identity,
        created=ports.clock(),
    )
    try:
        ports.catalog.create_library(made)
    except LibraryExists:
        winner = ports.catalog.library(shelf.tenant, shelf.name)
        if winner is None:
            raise Unavailable(f"library {shelf.name} was made and removed at once") from None
        return winner
    return made
