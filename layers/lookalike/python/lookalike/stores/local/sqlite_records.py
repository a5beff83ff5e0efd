"""Records in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lookalike.domain.record import Record
from lookalike.errors import RevisionConflict, Unavailable
from lookalike.observability import printable
from lookalike.ports import Records
from lookalike.stores.local.sqlite_database import Database
from lookalike.stores.local.sqlite_rows import DamagedRows, Row, fetch_all, is_text

_SAVE = "INSERT OR REPLACE INTO records (partition, key, revision, body) VALUES (?, ?, ?, ?)"


class SqliteRecords(Records):
    """Records in one table. A damaged one raises Unavailable: what was done is unknown, and must not be done anew."""

    def __init__(self, database: Database, damaged: DamagedRows) -> None:
        self._database = database
        self._damaged = damaged

    def record(self, partition: str, key: str) -> Record | None:
        return next(iter(self._select("partition = ? AND key = ?", partition, key)), None)

    def records(self, partition: str, after: str, limit: int) -> Sequence[Record]:
        return self._select("partition = ? AND key > ? ORDER BY key LIMIT ?", partition, after, limit)

    def put_record(self, record: Record, previous: int | None) -> None:
        row = (record.partition, record.key, record.revision, record.body)

        def put(connection: sqlite3.Connection) -> None:
            if previous is None:
                done = connection.execute(
                    "INSERT INTO records (partition, key, revision, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    row,
                )
            else:
                done = connection.execute(
                    "UPDATE records SET revision = ?, body = ? WHERE partition = ? AND key = ? AND revision = ?",
                    (record.revision, record.body, record.partition, record.key, previous),
                )
            if done.rowcount == 0:
                raise RevisionConflict(f"{record.partition}/{record.key}")

        self._database.write(put)

    def save_records(self, records: Sequence[Record]) -> None:
        rows = [(record.partition, record.key, record.revision, record.body) for record in records]
        if rows:
            self._database.write(lambda connection: connection.executemany(_SAVE, rows))

    def remove_records(self, partition: str, keys: Sequence[str]) -> None:
        names = [(partition, key) for key in keys]
        if names:
            self._database.write(
                lambda connection: connection.executemany("DELETE FROM records WHERE partition = ? AND key = ?", names)
            )

    def _select(self, condition: str, *values: object) -> list[Record]:
        statement = f"SELECT partition, key, body, revision FROM records WHERE {condition}"  # noqa: S608 - of constants
        return [self._record_of(row) for row in fetch_all(self._database, statement, values)]

    def _record_of(self, row: Row) -> Record:
        if not all(is_text(text) for text in row[:3]) or not isinstance(row[3], int):
            name = printable(f"{row[0]}/{row[1]}")
            self._damaged.report("records", name, "unreadable")
            raise Unavailable(f"the record {name} is damaged")
        return Record(*row)
