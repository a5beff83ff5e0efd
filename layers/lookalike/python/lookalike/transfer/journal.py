"""The journal of an import: what has become of each row, beside the source, so that a broken one goes on where it was."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lookalike.transfer.outcomes import IN_LIBRARY, Outcome, Result, Totals
from lookalike.transfer.rows import Row, SourceError

#: End of the name of a source's journal.
ENDING = ".lookalike-journal"

#: The journal's ``user_version``.
_VERSION = 1

#: Rows that are registered in one transaction.
_BATCH = 2000

_SCHEMA = """
CREATE TABLE runs (run INTEGER PRIMARY KEY, target TEXT NOT NULL);
CREATE TABLE rows (
    key TEXT PRIMARY KEY,
    run INTEGER NOT NULL,
    number INTEGER NOT NULL,
    own_id TEXT,
    given TEXT NOT NULL,
    source TEXT NOT NULL,
    stamp TEXT NOT NULL DEFAULT '',
    begun INTEGER NOT NULL DEFAULT 0,
    outcome TEXT,
    id TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE UNIQUE INDEX rows_by_number ON rows (run, number);
CREATE INDEX rows_by_id ON rows (run, own_id, number) WHERE own_id IS NOT NULL;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row as the journal knows it. ``begun``: an earlier attempt may have added the picture without saying so.

    ``twin``: the number of an earlier row with the same id or sign that has not been refused; ``waits``: it is not in the
    library either, and may come into it.
    """

    key: str
    stamp: str
    begun: bool
    twin: int | None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the report. ``given``: the id or the sign that the row came with; ``named``: what it is known by."""

    number: int
    outcome: str
    reason: str
    id: str
    source: str
    given: str
    named: str = ""


class JournalError(SourceError):
    """The journal takes no more: the import is broken off, and goes on when it is run again."""


class Journal:
    """A SQLite file. A row's outcome is recorded once the library has the picture for good, never before.

    Safe to use from threads. Without ``path`` it is a file without a name, and forgotten at the end.

    Raises SourceError if the file cannot be used, is no journal, or belongs to another import that is running; and every
    method that writes raises JournalError if the disk is full.
    """

    def __init__(self, path: Path | None, target: str) -> None:
        self._path = path
        self._target = target
        self._lock = threading.Lock()
        self._counts: Counter[Outcome] = Counter()
        self._count = 0
        try:
            self._database = sqlite3.connect(
                "" if path is None else path, check_same_thread=False, isolation_level=None, timeout=0.5
            )
            self._prepare()
        except sqlite3.Error as error:
            reason = "another import uses it" if "locked" in str(error) else str(error)
            raise SourceError(
                f"{path}: the journal cannot be used ({reason}); name another one with --journal"
            ) from error

    def _prepare(self) -> None:
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif version != _VERSION:
            raise sqlite3.DatabaseError("a newer lookalike has written it")
        with self._database:
            started = self._database.execute("INSERT INTO runs (target) VALUES (?)", (self._target,))
        self._run = int(started.lastrowid or 0)

    def close(self) -> None:
        """Close the file."""
        with self._lock, suppress(sqlite3.Error):
            self._database.close()

    def register(self, rows: Iterable[tuple[Row, str | None]]) -> int:
        """Record all rows, with the ids that they will have; return their number. To be called once, first."""
        left = iter(rows)
        while batch := [*islice(left, _BATCH)]:
            self._register(batch)
        self._count = self._counted()
        return self._count

    def _register(self, rows: Sequence[tuple[Row, str | None]]) -> None:
        with self._transaction() as database:
            for row, own_id in rows:
                database.execute(
                    "INSERT INTO rows (key, run, number, own_id, given, source) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO "
                    "UPDATE SET run = excluded.run, number = excluded.number, own_id = excluded.own_id",
                    (
                        self._free_key(database, row),
                        self._run,
                        row.number,
                        own_id,
                        row.given(),
                        _printable(row.source),
                    ),
                )

    def _free_key(self, database: sqlite3.Connection, row: Row) -> str:
        """Return the row's key: the same in every run, and another for a second row that says the same."""
        digest = row.digest(self._target)
        key, number = digest, 1
        while database.execute("SELECT 1 FROM rows WHERE key = ? AND run = ?", (key, self._run)).fetchone():
            number += 1
            key = f"{digest}.{number}"
        return key

    def begin(self, rows: Sequence[tuple[Row, str]], *, twins: bool = False) -> Sequence[tuple[Row, Entry]]:
        """Return what is known of rows that are to be done now, given with their stamps.

        Rows that were done before, and whose files have not changed since, are left out; and so are those with the id or
        the sign of an earlier row, unless they are asked for: what becomes of them depends on that one.
        """
        with self._transaction() as database:
            begun = ((row, self._begun(database, row, stamp, twins=twins)) for row, stamp in rows)
            return [(row, entry) for row, entry in begun if entry is not None]

    def _begun(self, database: sqlite3.Connection, row: Row, stamp: str, *, twins: bool) -> Entry | None:
        found = database.execute(
            "SELECT key, own_id, stamp, begun, outcome FROM rows WHERE run = ? AND number = ?", (self._run, row.number)
        ).fetchone()
        if found is None:  # the table has grown meanwhile
            return None
        key, own_id, before, begun, outcome = found
        if outcome not in (None, Outcome.FAILED) and before == stamp:
            return None
        if self._is_twin(database, own_id, row.number) is not twins:
            return None
        if outcome is not None:
            self._counts[Outcome(outcome)] -= 1
        database.execute(
            "UPDATE rows SET begun = 1, stamp = ?, outcome = NULL, id = '', reason = '' WHERE key = ?", (stamp, key)
        )
        twin, waits = self._twin(database, own_id, row.number) if twins else (None, False)
        return Entry(key, stamp, bool(begun) and before == stamp, twin, waits)

    def is_twin(self, number: int) -> bool:
        """Whether an earlier row has the same id or sign."""
        with self._lock:
            statement = "SELECT own_id FROM rows WHERE run = ? AND number = ?"
            found = self._database.execute(statement, (self._run, number)).fetchone()
            return found is not None and self._is_twin(self._database, found[0], number)

    def has_twins(self) -> bool:
        """Whether any two rows have the same id or sign."""
        statement = (
            "SELECT 1 FROM rows WHERE run = ? AND own_id IS NOT NULL GROUP BY own_id HAVING count(*) > 1 LIMIT 1"
        )
        with self._lock:
            return self._database.execute(statement, (self._run,)).fetchone() is not None

    def _is_twin(self, database: sqlite3.Connection, own_id: str | None, number: int) -> bool:
        if own_id is None:
            return False
        statement = "SELECT min(number) FROM rows WHERE run = ? AND own_id = ?"
        return int(database.execute(statement, (self._run, own_id)).fetchone()[0]) < number

    def _twin(self, database: sqlite3.Connection, own_id: str | None, number: int) -> tuple[int | None, bool]:
        """Return the number of an earlier row with the same id that is in the library, or may come into it, and whether
        it may: one that is refused has no claim to the id.
        """
        earlier = "SELECT number FROM rows WHERE run = ? AND own_id = ? AND number < ? AND"
        marks = ", ".join("?" * len(IN_LIBRARY))
        for wanted, values in (
            (f"outcome IN ({marks})", IN_LIBRARY),
            ("coalesce(outcome, ?) = ?", [Outcome.FAILED] * 2),
        ):
            statement = f"{earlier} {wanted} ORDER BY number LIMIT 1"
            found = database.execute(statement, (self._run, own_id, number, *values)).fetchone()
            if found is not None:
                return int(found[0]), values is not IN_LIBRARY
        return None, False

    def record(self, results: Sequence[tuple[Entry, Result]]) -> None:
        """Record what has become of rows. One that is refused beside its twin is done again by the next run."""
        with self._transaction() as database:
            self._counts.update(one.outcome for _, one in results)
            database.executemany(
                "UPDATE rows SET outcome = ?, id = ?, reason = ?, stamp = ? WHERE key = ?",
                [
                    (one.outcome, _printable(one.id), _printable(one.reason), _stamp(entry, one), entry.key)
                    for entry, one in results
                ],
            )

    def lost(self, ids: Iterable[str]) -> None:
        """Record that the library does not hold pictures that it was said to hold."""
        with self._transaction() as database:
            database.executemany(
                "UPDATE rows SET outcome = ?, reason = 'the library does not hold it afterwards' WHERE run = ? AND id = ?",
                [(Outcome.FAILED, self._run, one) for one in ids],
            )
            self._counted()

    def totals(self) -> Totals:
        """Return how many rows have which outcome."""
        with self._lock:
            return Totals(self._count, dict(+self._counts))

    def _counted(self) -> int:
        """Count the rows of this run, by outcome; return their number."""
        found = self._database.execute(
            "SELECT outcome, count(*) FROM rows WHERE run = ? GROUP BY outcome", (self._run,)
        ).fetchall()
        self._counts = Counter({Outcome(name): count for name, count in found if name is not None})
        return sum(count for _, count in found)

    def ids(self) -> Iterator[str]:
        """Iterate over the ids of pictures that the library should hold now."""
        marks = ", ".join("?" * len(IN_LIBRARY))
        statement = f"SELECT id FROM rows WHERE run = ? AND outcome IN ({marks})"  # noqa: S608  # marks alone
        with self._lock:
            yield from (row[0] for row in self._database.execute(statement, (self._run, *IN_LIBRARY)))

    def lines(self) -> Iterator[Line]:
        """Iterate over all rows of this run, in order."""
        statement = (
            "SELECT number, coalesce(outcome, ''), reason, id, source, given, coalesce(own_id, '') FROM rows WHERE run = ? "
            "ORDER BY run, number"
        )
        with self._lock:
            yield from (Line(*row) for row in self._database.execute(statement, (self._run,)))

    def _transaction(self) -> _Transaction:
        return _Transaction(self._lock, self._database, self._path)


class _Transaction:
    """A transaction of one thread at a time."""

    def __init__(self, lock: threading.Lock, database: sqlite3.Connection, path: Path | None) -> None:
        self._lock = lock
        self._path = path
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        self._database.execute("BEGIN")
        return self._database

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if kind is None:
                self._database.execute("COMMIT")
        except sqlite3.Error as refused:
            error = refused
        finally:
            with suppress(sqlite3.Error):  # which has no transaction, if it has undone that itself
                self._database.execute("ROLLBACK")
            self._lock.release()
        if isinstance(error, sqlite3.Error):
            raise JournalError(f"{self._path}: the journal cannot be written ({error})") from error


def _stamp(entry: Entry, result: Result) -> str:
    """Return the stamp to keep: of a row that its twin has refused one that no file has, as the twin may go."""
    return "beside its twin" if result.outcome is Outcome.REFUSED and entry.twin is not None else entry.stamp


def _printable(text: str) -> str:
    """Return text that can be stored in UTF-8: names of files may hold bytes that are none."""
    return text.encode(errors="backslashreplace").decode()
