"""Libraries and picture rows in SQLite."""

# ruff: noqa: S608  # statements are put together from constants; every value is bound

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import pairwise

from lookalike.domain.library import Kind, Library, RemovedLibrary
from lookalike.domain.picture import Key, Picture
from lookalike.errors import LibraryExists, LibraryNotFound, RevisionConflict, Unavailable
from lookalike.ports import Catalog
from lookalike.stores.local import library_row
from lookalike.stores.local.picture_row import (
    AT_REVISION,
    COLUMNS,
    INSERT,
    VALUES,
    at_revision,
    name_of,
    pictures_of,
    placeholder_of,
    row_of,
)
from lookalike.stores.local.sqlite_database import Database
from lookalike.stores.local.sqlite_errors import is_damage
from lookalike.stores.local.sqlite_rows import DamagedRows, Row, fetch_all

#: Rows of one step of a scan: enough to make the cost of a step negligible, few enough to stream.
_SCAN_ROWS = 4096


class SqliteCatalog(Catalog):
    """Libraries and picture rows in SQLite.

    A damaged library is left out. A damaged picture row is answered as a placeholder in the state DAMAGED, so that it
    can be replaced or removed.
    """

    def __init__(self, database: Database, damaged: DamagedRows) -> None:
        self._database = database
        self._damaged = damaged

    def holds_pictures(self) -> bool:
        """Return whether there are live pictures."""
        with self._database.reading() as connection:
            return connection.execute("SELECT 1 FROM pictures WHERE state = 'live' LIMIT 1").fetchone() is not None

    def library(self, tenant: str, name: str) -> Library | None:
        return next(iter(self._libraries("tenant = ? AND name = ?", tenant, name)), None)

    def libraries(self, tenant: str) -> Sequence[Library]:
        return self._libraries("tenant = ?", tenant)

    def create_library(self, library: Library) -> None:
        row = library_row.row_of(library)

        def create(connection: sqlite3.Connection) -> None:
            done = connection.execute(
                f"INSERT INTO libraries ({library_row.COLUMNS}) VALUES ({library_row.VALUES}) "
                "ON CONFLICT (tenant, name) DO NOTHING",
                row,
            )
            if done.rowcount == 0:
                raise LibraryExists(library.name)

        self._database.write(create)

    def change_library(self, library: Library) -> None:
        def change(connection: sqlite3.Connection) -> None:
            done = connection.execute(
                "UPDATE libraries SET capacity = ? WHERE tenant = ? AND name = ? AND uid = ?",
                (library.capacity, library.tenant, library.name, library.uid),
            )
            if done.rowcount == 0:
                raise LibraryNotFound(library.name)

        self._database.write(change)

    def remove_library(self, library: Library, now: int) -> None:
        def remove(connection: sqlite3.Connection) -> None:
            done = connection.execute(
                "DELETE FROM libraries WHERE tenant = ? AND name = ? AND uid = ?",
                (library.tenant, library.name, library.uid),
            )
            if done.rowcount == 0:
                raise LibraryNotFound(library.name)
            connection.execute(
                f"INSERT INTO removed_libraries ({library_row.REMOVED_COLUMNS}) VALUES (?, ?, ?)",
                (library.uid, library.kind, now),
            )

        self._database.write(remove)

    def removed_libraries(self, before: int, limit: int) -> Sequence[RemovedLibrary]:
        rows = self._rows(
            f"SELECT {library_row.REMOVED_COLUMNS} FROM removed_libraries WHERE removed < ? "
            "ORDER BY removed, uid LIMIT ?",
            (before, limit),
        )
        decode = library_row.removed_library_of
        return self._damaged.decode_all("removed_libraries", library_row.REMOVED_NAME_POSITION, decode, rows)

    def forget_library(self, uid: str) -> None:
        def forget(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM aliases WHERE library = ?", (uid,))
            connection.execute("DELETE FROM removed_libraries WHERE uid = ?", (uid,))

        self._database.write(forget)

    def alias(self, library: str, name: str) -> str | None:
        rows = self._rows("SELECT id FROM aliases WHERE library = ? AND alias = ?", (library, name))
        return str(rows[0][0]) if rows else None

    def aliases(self, library: str, after: str, limit: int) -> Sequence[tuple[str, str]]:
        statement = "SELECT alias, id FROM aliases WHERE library = ? AND alias > ? ORDER BY alias LIMIT ?"
        return [(str(name), str(id_)) for name, id_ in self._rows(statement, (library, after, limit))]

    def save_aliases(self, library: str, aliases: Mapping[str, str]) -> None:
        rows = [(library, name, id_) for name, id_ in aliases.items()]
        statement = "INSERT OR REPLACE INTO aliases (library, alias, id) VALUES (?, ?, ?)"
        self._database.write(lambda connection: connection.executemany(statement, rows))

    def claim_alias(self, library: str, name: str, id_: str, instead: str | None) -> bool:
        statement, given = "INSERT OR IGNORE INTO aliases (library, alias, id) VALUES (?, ?, ?)", [library, name, id_]
        if instead is not None:
            statement = (
                "UPDATE aliases SET id = ? WHERE library = ? AND alias = ? AND id = ? AND NOT EXISTS "
                "(SELECT 1 FROM pictures WHERE library = ? AND id = ? AND state = 'live')"
            )
            given = [id_, library, name, instead, library, instead]
        return self._database.write(lambda connection: connection.execute(statement, given).rowcount) == 1

    def remove_alias(self, library: str, name: str, id_: str) -> None:
        statement, given = "DELETE FROM aliases WHERE library = ? AND alias = ? AND id = ?", (library, name, id_)
        self._database.write(lambda connection: connection.execute(statement, given))

    def missing_libraries(self, uids: Set[str]) -> Set[str]:
        there = self._rows("SELECT uid FROM libraries UNION SELECT uid FROM removed_libraries", ())
        return uids - {uid for (uid,) in there}

    def picture(self, key: Key) -> Picture | None:
        return next(iter(self._pictures("library = ? AND id = ?", key.library, key.id)), None)

    def changed(self, revisions: Mapping[Key, int]) -> Mapping[Key, Picture | None]:
        with self._database.reading() as connection:
            others = [key for key, revision in revisions.items() if _revision(connection, key) != revision]
        return {key: self.picture(key) for key in others}

    def pictures(self, library: str, after: str | None, limit: int) -> Sequence[Picture]:
        behind, bounds = ("", ()) if after is None else (" AND id > ?", (after,))
        return self._pictures(f"library = ?{behind} ORDER BY id LIMIT ?", library, *bounds, limit)

    def pictures_at(self, keys: Sequence[Key]) -> Sequence[Picture]:
        """Return the rows of these keys that there are, in no order; one on an unreadable page is left out."""
        try:
            return self._pictures_at(keys)
        except Unavailable as error:
            if not is_damage(error.__cause__) or not keys:
                raise
            if len(keys) == 1:
                self._damaged.report("pictures", name_of((keys[0].library, keys[0].id)), "unreadable page")
                return []
        middle = len(keys) // 2
        return [*self.pictures_at(keys[:middle]), *self.pictures_at(keys[middle:])]

    def _pictures_at(self, keys: Sequence[Key]) -> Sequence[Picture]:
        if not keys:
            return []
        wanted = ", ".join(["(?, ?)"] * len(keys))
        statement = f"WITH wanted (library, id) AS (VALUES {wanted}) SELECT {COLUMNS} FROM wanted CROSS JOIN pictures USING (library, id)"
        rows = self._rows(statement, [value for key in keys for value in (key.library, key.id)])
        return pictures_of(rows, self._placeholder)

    def pictures_by_prefix(self, library: str, prefix: str, limit: int) -> Sequence[Picture]:
        end = _upper_bound(prefix)
        below, bounds = ("", ()) if end is None else (" AND id < ?", (end,))
        return self._pictures(f"library = ? AND id >= ?{below} ORDER BY id LIMIT ?", library, prefix, *bounds, limit)

    def put(self, picture: Picture, previous: int | None) -> None:
        self._change_row(*_put(picture, previous), picture.key)

    def put_called(self, picture: Picture, previous: int | None, name: str) -> None:
        self._change_row(*_put(picture, previous), picture.key, called=name)

    def remove(self, key: Key, revision: int) -> None:
        self._change_row(f"DELETE FROM pictures WHERE {AT_REVISION}", at_revision(key, revision), key)

    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        return self._pictures(
            "state <> 'live' AND deleted_at >= ? AND deleted_at < ? ORDER BY deleted_at, rowid LIMIT ?",
            since,
            before,
            limit,
        )

    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        """Yield all rows of a kind, in any state, in batches. Damaged rows are left out and reported.

        Each batch is a read of its own, so that a slow consumer blocks no checkpoint. A row written during the scan is
        yielded with its old or its new revision.
        """
        last = 0
        while True:
            try:
                rows = self._rows(
                    f"SELECT {COLUMNS}, rowid FROM pictures WHERE kind = ? AND rowid > ? ORDER BY rowid LIMIT ?",
                    (kind, last, _SCAN_ROWS),
                )
            except Unavailable as error:
                if not is_damage(error.__cause__):
                    raise
                rows = list(self._readable_rows(kind, last))
            if not rows:
                return
            last = rows[-1][-1]
            yield pictures_of([row for row in rows if len(row) > 1], self._report_damaged)

    def every_row(self) -> Iterator[Sequence[Picture]]:
        """Yield all rows in batches, damaged ones as placeholders; rows on unreadable pages are reported and left out."""
        last = 0
        while rows := self._batch_of_all(last):
            last = rows[-1][-1]
            yield pictures_of([row for row in rows if len(row) > 1], self._placeholder)

    def _batch_of_all(self, last: int) -> list[Row]:
        try:
            return self._rows(
                f"SELECT {COLUMNS}, rowid FROM pictures WHERE rowid > ? ORDER BY rowid LIMIT ?", (last, _SCAN_ROWS)
            )
        except Unavailable as error:
            if not is_damage(error.__cause__):
                raise
        numbers = self._rows("SELECT rowid FROM pictures WHERE rowid > ? ORDER BY rowid LIMIT ?", (last, _SCAN_ROWS))
        return list(self._readable(numbers))

    def report_unknown_kinds(self) -> None:
        """Report the rows of unknown kinds, which no scan reads."""
        for row in self._rows(f"SELECT library, id FROM pictures WHERE {_none_of('kind', sorted(map(str, Kind)))}", ()):
            self._damaged.report("pictures", name_of(row), "unknown kind")

    def _readable_rows(self, kind: Kind, last: int) -> Iterator[Row]:
        """Yield the rows of a batch one by one; of each row on an unreadable page, only its rowid."""
        numbers = self._rows(
            "SELECT rowid FROM pictures WHERE kind = ? AND rowid > ? ORDER BY rowid LIMIT ?", (kind, last, _SCAN_ROWS)
        )
        return self._readable(numbers)

    def _readable(self, numbers: Sequence[Row]) -> Iterator[Row]:
        for number in numbers:
            try:
                yield from self._rows(f"SELECT {COLUMNS}, rowid FROM pictures WHERE rowid = ?", number)
            except Unavailable as error:
                if not is_damage(error.__cause__):
                    raise
                self._damaged.report("pictures", self._name_of_rowid(number[0]), "unreadable page")
                yield number

    def _name_of_rowid(self, number: int) -> str:
        """Return the name of an unreadable row from the index of names, which SQLite scans because of the ``+``."""
        try:
            rows = self._rows("SELECT library, id FROM pictures WHERE +rowid = ?", (number,))
        except Unavailable:
            rows = []
        return name_of(rows[0]) if rows else f"row {number}"

    def _libraries(self, condition: str, *values: str) -> Sequence[Library]:
        rows = self._rows(f"SELECT {library_row.COLUMNS} FROM libraries WHERE {condition} ORDER BY name", values)
        return self._damaged.decode_all("libraries", library_row.NAME_POSITION, library_row.library_of, rows)

    def _pictures(self, condition: str, *values: object) -> list[Picture]:
        """Return the pictures of a condition, with placeholders for damaged rows."""
        return pictures_of(self._rows(f"SELECT {COLUMNS} FROM pictures WHERE {condition}", values), self._placeholder)

    def _placeholder(self, row: Row, reason: str) -> Picture | None:
        self._damaged.report("pictures", name_of(row), reason)
        return placeholder_of(row)

    def _report_damaged(self, row: Row, reason: str) -> None:
        self._damaged.report("pictures", name_of(row), reason)

    def _change_row(self, statement: str, values: Sequence[object], key: Key, called: str | None = None) -> None:
        given = "SELECT 1 FROM aliases WHERE library = ? AND alias = ? AND id = ?"

        def change(connection: sqlite3.Connection) -> None:
            if called is not None and not connection.execute(given, (key.library, called, key.id)).fetchone():
                raise RevisionConflict(f"{key.library}/{key.id}: {called} is another's")
            if connection.execute(statement, values).rowcount == 0:
                raise RevisionConflict(f"{key.library}/{key.id}")

        self._database.write(change)
        self._damaged.forget("pictures", lambda: name_of((key.library, key.id)))

    def _rows(self, statement: str, values: Sequence[object]) -> list[Row]:
        return fetch_all(self._database, statement, values)


def _put(picture: Picture, previous: int | None) -> tuple[str, Sequence[object]]:
    """Return the statement that writes a row in place of the one of that revision, and its values."""
    values = row_of(picture)
    if previous is None:
        return INSERT, values
    statement = f"UPDATE pictures SET ({COLUMNS}) = ({VALUES}) WHERE {AT_REVISION}"
    return statement, (*values, *at_revision(picture.key, previous))


def _revision(connection: sqlite3.Connection, key: Key) -> int | None:
    row = connection.execute(
        "SELECT revision FROM pictures WHERE library = ? AND id = ?", (key.library, key.id)
    ).fetchone()
    return None if row is None else int(row[0])


def _none_of(column: str, names: Sequence[str]) -> str:
    """Return a condition, answered by an index, that a column is none of these sorted names."""
    between = [f"({column} > '{one}' AND {column} < '{next_}')" for one, next_ in pairwise(names)]
    return " OR ".join([f"{column} < '{names[0]}'", *between, f"{column} > '{names[-1]}'"])


def _upper_bound(prefix: str) -> str | None:
    """Return the least text greater than all texts that start with ``prefix``; None if there is none.

    SQLite compares text as UTF-8 bytes, which order as code points do. Surrogates are skipped, as UTF-8 has none.
    """
    for end in range(len(prefix), 0, -1):
        point = ord(prefix[end - 1]) + 1
        if point <= sys.maxunicode:
            return prefix[: end - 1] + chr(0xE000 if point == 0xD800 else point)
    return None
