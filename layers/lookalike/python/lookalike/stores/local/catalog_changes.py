"""The log of changes of the pictures' rows, by which an index in files is brought up to the catalog."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture, State
from lookalike.stores.local.sqlite_catalog import SqliteCatalog
from lookalike.stores.local.sqlite_database import Database
from lookalike.stores.local.sqlite_rows import fetch_all
from lookalike.stores.vectors.catalog_source import CatalogSource, Change, Mark

#: Rows of a batch.
_BATCH = 4096

#: The library of a mark.
_NO_LIBRARY = ""

_CHANGES = (
    "SELECT number, changes.library, changes.id, revision FROM changes LEFT JOIN pictures "
    "ON pictures.library = changes.library AND pictures.id = changes.id "
    "WHERE number > ? AND number < ? ORDER BY number LIMIT ?"
)


class CatalogChanges(CatalogSource):
    """Reads the log that triggers of the database write, whoever changes a row, and puts marks into it."""

    def __init__(self, database: Database, catalog: SqliteCatalog) -> None:
        self._database = database
        self._catalog = catalog

    def everything(self) -> Iterator[Sequence[Picture]]:
        for kind in Kind:
            yield from self._catalog.scan(kind)

    def pictures_of(self, library: str) -> Iterator[Sequence[Picture]]:
        after: str | None = None
        while found := self._catalog.pictures(library, after, _BATCH):
            after = found[-1].key.id
            yield [picture for picture in found if picture.state is not State.DAMAGED]

    def changed_pictures(self) -> Iterator[tuple[Sequence[Picture], Sequence[Key]]]:
        after, statement = 0, "SELECT number, library, id FROM changes WHERE number > ? ORDER BY number LIMIT ?"
        while rows := fetch_all(self._database, statement, (after, _BATCH)):
            after = rows[-1][0]
            keys = list(dict.fromkeys(Key(library, id_) for _, library, id_ in rows if library != _NO_LIBRARY))
            found = [picture for picture in self._catalog.pictures_at(keys) if picture.state is not State.DAMAGED]
            sound = {picture.key for picture in found}
            yield found, [key for key in keys if key not in sound]

    def changes(self, mark: Mark) -> Iterator[Sequence[Change]]:
        after = 0
        while rows := fetch_all(self._database, _CHANGES, (after, mark.number, _BATCH)):
            after = rows[-1][0]
            yield [Change(number, Key(library, id_), revision) for number, library, id_, revision in rows if library]

    def log_length(self, since: Mark | None) -> int:
        (last,) = fetch_all(self._database, "SELECT max(number) FROM changes", ())[0]
        return int(last or 0) - (since.number if since else 0)

    def new_mark(self) -> Mark:
        token = secrets.randbits(62)

        def put(connection: sqlite3.Connection) -> int | None:
            statement = "INSERT INTO changes (library, id, token) VALUES (?, '', ?)"
            return connection.execute(statement, (_NO_LIBRARY, token)).lastrowid

        return Mark(int(self._database.write(put) or 0), token)

    def has_mark(self, mark: Mark) -> bool:
        statement = "SELECT 1 FROM changes WHERE number = ? AND library = ? AND token = ?"
        return bool(fetch_all(self._database, statement, (mark.number, _NO_LIBRARY, mark.token)))

    def has_marks(self) -> bool:
        return bool(fetch_all(self._database, "SELECT 1 FROM changes WHERE library = ? LIMIT 1", (_NO_LIBRARY,)))

    def drop_marks(self, mark: Mark) -> None:
        statement = "DELETE FROM changes WHERE library = ? AND number < ?"
        self._database.write(lambda connection: connection.execute(statement, (_NO_LIBRARY, mark.number)))

    def drop(self, changes: Sequence[int]) -> None:
        statement = "DELETE FROM changes WHERE number = ?"
        numbers = [(number,) for number in changes]
        self._database.write(lambda connection: connection.executemany(statement, numbers))
