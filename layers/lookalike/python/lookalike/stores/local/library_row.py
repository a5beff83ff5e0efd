"""A library, and a removed library, as rows of SQLite."""

from __future__ import annotations

from lookalike.domain.library import Identity, Kind, Library, RemovedLibrary
from lookalike.stores.local.sqlite_rows import Row, is_text

COLUMNS = "tenant, name, uid, kind, identity, created, capacity"
VALUES = "?, ?, ?, ?, ?, ?, ?"
REMOVED_COLUMNS = "uid, kind, removed"

#: Position of the column that names a library.
NAME_POSITION = 1

#: Position of the column that names a removed library.
REMOVED_NAME_POSITION = 0

_KINDS = {str(kind): kind for kind in Kind}


def row_of(library: Library) -> tuple[object, ...]:
    """Return a library's columns, in the order of :data:`COLUMNS`."""
    return library.tenant, library.name, library.uid, library.kind, library.identity, library.created, library.capacity


def library_of(row: Row) -> Library:
    """Return a row's library. Raises TypeError or ValueError if the row is damaged."""
    if not (is_text(row[0]) and is_text(row[1]) and row[2].isascii() and row[2].isprintable()):
        raise ValueError("text that is damaged")
    return Library(row[0], row[1], row[2], Kind(row[3]), Identity(row[4]), row[5], row[6])


def removed_library_of(row: Row) -> RemovedLibrary:
    """Return a row's removed library. Raises ValueError if the row is damaged."""
    if not is_text(row[0]):
        raise ValueError("text that is not UTF-8")
    return RemovedLibrary(row[0], _KINDS.get(row[1], Kind.SIMILAR), row[2])
