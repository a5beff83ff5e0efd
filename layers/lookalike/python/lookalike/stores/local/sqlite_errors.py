"""SQLite's errors: damage of a file, and refusals of its disk."""

from __future__ import annotations

import sqlite3

from lookalike.observability import printable

#: SQLite's primary codes of a disk that refuses writes.
WRITE_REFUSED = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})

#: SQLite's primary codes of a file with a page that is not as SQLite wrote it.
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

#: SQLite's primary codes after which a connection never writes again, whatever becomes of the disk: it holds the file
#: open for reading.
NEVER_WRITES_AGAIN = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})


def is_damage(error: BaseException | None) -> bool:
    """Return whether an error says that a page of the file is not as SQLite wrote it."""
    return isinstance(error, sqlite3.DatabaseError) and code_of(error) in _DAMAGE


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary error code; 0 for an error of Python's module itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def reason_of(error: Exception) -> str:
    """Return an error's message in one printable line, as SQLite and Python quote the contents of files."""
    return printable((error.strerror or str(error)) if isinstance(error, OSError) else str(error))
