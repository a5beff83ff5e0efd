"""Reading rows of SQLite, and reporting the damaged ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lookalike.observability import logger, printable
from lookalike.stores.local.sqlite_database import Database

T = TypeVar("T")

#: A row's columns.
Row = tuple[Any, ...]

#: Raised by the decoder of a damaged row.
DECODE_ERRORS = (KeyError, RecursionError, TypeError, ValueError)

#: Damaged rows that are logged one by one, at most.
_MAX_LOGGED = 100

#: Damaged rows of a table that a problem's line names, at most.
_MAX_NAMED = 3

#: Tables in the order in which their problems are shown.
_TABLES = ("applications", "libraries", "removed_libraries", "uploads", "pictures", "records")


def fetch_all(database: Database, statement: str, values: Sequence[object]) -> list[Row]:
    """Read all rows of a query. Raises Unavailable.

    In text that is not UTF-8, each wrong byte is read as a surrogate, which no other text contains.
    """
    with database.reading() as connection:
        try:
            return connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if hasattr(error, "sqlite_errorcode"):  # SQLite's own; the module's, for text it cannot decode, has none
                raise
        connection.text_factory = lambda data: data.decode(errors="surrogateescape")
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.text_factory = str


class DamagedRows:
    """The damaged rows of a file that have been read so far."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[str, str], str] = {}  # by table and name of the row

    def report(self, table: str, name: str, reason: str) -> None:
        """Remember a damaged row, and log it the first time."""
        if self._reasons.get((table, name)) != reason:
            self._reasons[table, name] = reason
            if len(self._reasons) <= _MAX_LOGGED:
                logger.error(f"a row of {table} is damaged and left out: {name} ({reason})")

    def forget(self, table: str, name: Callable[[], str]) -> None:
        """Forget a row, as it has been written again. ``name`` is called only if any row is damaged."""
        if self._reasons:
            self._reasons.pop((table, name()), None)

    def problems(self) -> list[str]:
        """Return one line per table with damaged rows: their number, and the first ones' names and reasons."""
        lines = []
        for table in _TABLES:
            damaged = [f"{name} ({reason})" for (where, name), reason in list(self._reasons.items()) if where == table]
            if damaged:
                more = "" if len(damaged) <= _MAX_NAMED else f" and {len(damaged) - _MAX_NAMED} more"
                lines.append(f"damaged {table} are left out ({len(damaged)}): {', '.join(damaged[:_MAX_NAMED])}{more}")
        return lines

    def decode_all(self, table: str, name: int, decode: Callable[[Row], T], rows: Sequence[Row]) -> list[T]:
        """Decode the rows, leaving out and reporting the damaged ones. ``name`` is the number of the naming column."""
        decoded = []
        for row in rows:
            try:
                decoded.append(decode(row))
            except DECODE_ERRORS:
                self.report(table, printable(str(row[name])), "unreadable")
        return decoded


def is_text(column: object) -> bool:
    """Return whether a column holds text, all of it UTF-8: :func:`fetch_all` reads other bytes as surrogates."""
    try:
        return isinstance(column, str) and bool(column.encode() or True)
    except UnicodeEncodeError:
        return False
