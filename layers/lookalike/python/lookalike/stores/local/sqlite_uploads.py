"""Records of uploads in SQLite."""

# ruff: noqa: S608  # statements are put together from constants; every value is bound

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from lookalike.domain.picture import Key
from lookalike.domain.upload import Upload
from lookalike.errors import RevisionConflict, Unavailable
from lookalike.observability import printable
from lookalike.ports import Uploads
from lookalike.stores.local.sqlite_database import Database
from lookalike.stores.local.sqlite_rows import DECODE_ERRORS, DamagedRows, fetch_all
from lookalike.stores.local.upload_row import COLUMNS, VALUES, row_of, upload_of

#: Holders of a picture that are read at a time. Most pictures have one, and seldom is more than one asked for.
_HOLDERS_PAGE = 50


class SqliteUploads(Uploads):
    """Records of uploads in one table.

    A damaged record raises Unavailable: it is unknown which picture it holds, so none may be removed.
    """

    def __init__(self, database: Database, damaged: DamagedRows) -> None:
        self._database = database
        self._damaged = damaged

    def upload(self, source: str) -> Upload | None:
        return next(self._select("source = ?", source), None)

    def save_upload(self, upload: Upload, known: Upload | None) -> None:
        values = row_of(upload)

        def save(connection: sqlite3.Connection) -> None:
            if known is None:
                insert = f"INSERT INTO uploads ({COLUMNS}) VALUES ({VALUES}) ON CONFLICT (source) DO NOTHING"
                done = connection.execute(insert, values)
            else:
                added = None if known.holds is None else known.holds.added
                done = connection.execute(
                    f"UPDATE uploads SET ({COLUMNS}) = ({VALUES}) "
                    "WHERE source = ? AND sequencer = ? AND state = ? AND added IS ?",
                    (*values, known.source, known.sequencer, known.state, added),
                )
            if done.rowcount == 0:
                raise RevisionConflict(upload.source)

        self._database.write(save)

    def holders(self, picture: Key) -> Iterator[Upload]:
        """Yield the uploads that hold this picture, by source; each page of them is read when it is needed."""
        after = ""
        while True:
            held = ("library = ? AND id = ? AND source > ? ORDER BY source LIMIT ?", picture.library, picture.id)
            page = list(self._select(*held, after, _HOLDERS_PAGE))
            yield from page
            if len(page) < _HOLDERS_PAGE:
                return
            after = page[-1].source

    def _select(self, condition: str, *values: object) -> Iterator[Upload]:
        for row in fetch_all(self._database, f"SELECT {COLUMNS} FROM uploads WHERE {condition}", values):
            try:
                yield upload_of(row)
            except DECODE_ERRORS as error:
                name = printable(str(row[0]))
                self._damaged.report("uploads", name, "unreadable")
                raise Unavailable(f"the record of the upload {name} is damaged") from error
