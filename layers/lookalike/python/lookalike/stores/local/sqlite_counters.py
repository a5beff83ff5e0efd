"""Counters in SQLite."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter

from lookalike.errors import Unavailable
from lookalike.ports import Counters
from lookalike.ports.applications import Tally
from lookalike.stores.local.sqlite_database import Database
from lookalike.stores.local.sqlite_rows import fetch_all

#: The greatest count that is believed; a damaged row's may be too great for SQLite to add to.
_MAX_COUNT = 1 << 53


#: A part of a count is a row of its own, whose name begins with the count's.
_ADD_TO_PART = """
    INSERT INTO counts (name, count, expires) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET count = min(max(count, 0), 9007199254740992) + excluded.count, expires = excluded.expires
"""

_PARTS = "SELECT name, count FROM counts WHERE name > ? AND name < ?"


class SqliteCounters(Counters):
    """Counters in one table.

    While the disk takes no writes they count in memory, so that a full disk keeps no search from being answered. The
    next write of a counter adds what was counted, though not to its parts.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unwritten: Counter[str] = Counter()  # counted while the disk took no writes
        self._lock = threading.Lock()

    def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None, part: str = "") -> int:
        given, unwritten = 0, self._unwritten.pop(name, 0)

        def take(connection: sqlite3.Connection) -> None:
            nonlocal given
            row = connection.execute("SELECT count FROM counts WHERE name = ?", (name,)).fetchone()
            count = unwritten + (0 if row is None else _plausible(row[0]))
            given = _admitted(limit, count, wanted)
            if given or unwritten:
                connection.execute(
                    "INSERT OR REPLACE INTO counts (name, count, expires) VALUES (?, ?, ?)",
                    (name, count + given, expires),
                )
            if given and part:
                connection.execute(_ADD_TO_PART, (f"{name}/{part}", given, expires))

        try:
            self._database.write(take)
        except Unavailable:
            with self._lock:
                self._unwritten[name] += unwritten
                given = _admitted(limit, self.counted(name), wanted)
                self._unwritten[name] += given
        return given

    def counted(self, name: str) -> int:
        rows = fetch_all(self._database, "SELECT count FROM counts WHERE name = ?", (name,))
        return self._unwritten[name] + (_plausible(rows[0][0]) if rows else 0)

    def tally(self, name: str) -> Tally:
        rows = fetch_all(self._database, _PARTS, (f"{name}/", f"{name}0"))  # "0" is the character after "/"
        return Tally(self.counted(name), {known[len(name) + 1 :]: _plausible(count) for known, count in rows})

    def forget_counts(self, now: int) -> None:
        self._database.write(lambda connection: connection.execute("DELETE FROM counts WHERE expires <= ?", (now,)))


def _plausible(count: int) -> int:
    """Return a stored count, brought into the range that can be counted on from."""
    return min(max(0, count), _MAX_COUNT)


def _admitted(limit: int | None, count: int, wanted: int) -> int:
    """Return how much of ``wanted`` may be added to a count."""
    return wanted if limit is None else max(0, min(wanted, limit - count))
