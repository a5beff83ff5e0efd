"""Applications, the catalog and the local maps of one machine, in SQLite."""

# ruff: noqa: S608  # statements are put together from constants; every value is bound

from __future__ import annotations

import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, Library, RemovedLibrary
from lookalike.domain.picture import Key, Picture
from lookalike.domain.upload import Holding, Upload, UploadState
from lookalike.errors import LibraryExists, LibraryNotFound, RevisionConflict, Unavailable
from lookalike.observability import logger, printable
from lookalike.ports import Applications, Catalog, Counters, MapStore, Uploads
from lookalike.stores import metadata_codec
from lookalike.stores.holding_text import holding_of, holding_text
from lookalike.stores.local import application_row, lost_rows
from lookalike.stores.local.picture_row import (
    AT_REVISION,
    COLUMNS,
    INSERT,
    VALUES,
    Row,
    at_revision,
    is_text,
    name_of,
    pictures_of,
    row_of,
    salvaged,
)
from lookalike.stores.local.sqlite_database import Database, is_damage

T = TypeVar("T")

_MIGRATIONS = (
    (
        """
        CREATE TABLE applications (
            access_key TEXT PRIMARY KEY,
            secret_key TEXT NOT NULL,
            app_id TEXT NOT NULL UNIQUE,
            tenant TEXT NOT NULL,
            name TEXT NOT NULL UNIQUE,
            active INTEGER NOT NULL,
            created INTEGER NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE libraries (
            tenant TEXT NOT NULL,
            name TEXT NOT NULL,
            uid TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            identity TEXT NOT NULL,
            created INTEGER NOT NULL,
            PRIMARY KEY (tenant, name)
        ) STRICT
        """,
        """
        CREATE TABLE pictures (
            library TEXT NOT NULL,
            id TEXT NOT NULL,
            kind TEXT NOT NULL,
            revision INTEGER NOT NULL,
            added INTEGER NOT NULL,
            state TEXT NOT NULL,
            digest TEXT NOT NULL,
            file_digest TEXT NOT NULL,
            model TEXT NOT NULL,
            vector BLOB NOT NULL,
            brief TEXT NOT NULL,
            label TEXT NOT NULL,
            desc TEXT NOT NULL,
            tags TEXT NOT NULL,
            sign_version INTEGER NOT NULL,
            deleted_at INTEGER,
            UNIQUE (library, id)
        ) STRICT
        """,
        "CREATE INDEX pictures_of_kind ON pictures (kind)",
        "CREATE INDEX pictures_not_live ON pictures (deleted_at) WHERE state <> 'live'",
        "CREATE TABLE maps (key TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT",
    ),
    (
        "CREATE TABLE removed_libraries (uid TEXT PRIMARY KEY, kind TEXT NOT NULL, removed INTEGER NOT NULL) STRICT",
        """
        CREATE TABLE uploads (
            source TEXT PRIMARY KEY,
            sequencer TEXT NOT NULL,
            library TEXT,
            id TEXT,
            added INTEGER,
            foretold INTEGER NOT NULL
        ) STRICT
        """,
    ),
    (
        "ALTER TABLE applications ADD COLUMN policy TEXT NOT NULL DEFAULT '{}'",
        "CREATE TABLE counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL, expires INTEGER) STRICT",
        "CREATE INDEX counts_expiring ON counts (expires) WHERE expires IS NOT NULL",
    ),
    ("ALTER TABLE pictures ADD COLUMN checksum INTEGER",),
    (
        "ALTER TABLE uploads ADD COLUMN state TEXT NOT NULL DEFAULT 'settled'",
        "ALTER TABLE uploads ADD COLUMN words TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE uploads ADD COLUMN leaves TEXT",
        "ALTER TABLE uploads ADD COLUMN cleared INTEGER NOT NULL DEFAULT 0",
        "UPDATE uploads SET state = CASE WHEN foretold THEN 'adding' WHEN library IS NULL THEN 'unsure' ELSE state END",
        "ALTER TABLE uploads DROP COLUMN foretold",
        "CREATE INDEX uploads_holding ON uploads (library, id, source) WHERE library IS NOT NULL",
    ),
    *metadata_codec.SQLITE_MIGRATIONS,
)

_UPLOAD = "source, sequencer, library, id, added, words, state, leaves, cleared"
_UPLOAD_VALUES = ", ".join("?" * (_UPLOAD.count(",") + 1))

_KINDS = {str(kind): kind for kind in Kind}

#: Rows of one step of a scan: long enough to make the step's own cost nothing, short enough to stream.
_BATCH = 4096

#: Damaged rows that are logged one by one, and those named where all problems are shown.
_LOGGED, _NAMED = 100, 3

#: The greatest count that is believed.
_MAX_COUNT = 1 << 53

#: Holders of a picture that are read at a time: of most pictures there is one, and seldom is more than one asked for.
_HOLDERS = 50


class SqliteCatalog(Applications, Catalog, MapStore, Uploads, Counters):
    """Everything but originals and vectors' index, in one SQLite file.

    Several processes may have the file open, and each sees at once what another has written. Maps have a table of
    their own in the same file, so that one flush serves the map of one add and the row of another.

    Parameters
    ----------
    path : the file, made if missing. Raises SettingsError if it cannot be used.
    existing : refuse a file that holds nothing, instead of making a catalog in it.
    """

    def __init__(self, path: Path, *, existing: bool = False) -> None:
        self._database = Database(path, _MIGRATIONS, existing=existing)
        self._damaged: dict[tuple[str, str], str] = {}  # what is wrong, by table and name of the row
        self._lost: list[str] = []
        self._uncounted: Counter[str] = Counter()  # what was taken while the disk took no writes
        self._uncounting = threading.Lock()

    def close(self) -> None:
        """Finish. Calls after this raise Unavailable."""
        self._database.close()

    def problems(self) -> list[str]:
        """What is wrong with the file and its rows, as far as has been seen, a line for each kind of thing."""
        lines = self._database.problems()
        for table in ("applications", "libraries", "removed_libraries", "uploads", "pictures"):
            damaged = [f"{name} ({reason})" for (where, name), reason in list(self._damaged.items()) if where == table]
            if damaged:
                more = "" if len(damaged) <= _NAMED else f" and {len(damaged) - _NAMED} more"
                lines.append(f"damaged {table} are left out ({len(damaged)}): {', '.join(damaged[:_NAMED])}{more}")
        return [*lines, *self._lost]

    def report_lost_libraries(self) -> None:
        """Find the pictures of libraries that are not there, for :meth:`problems`."""
        with suppress(Unavailable):  # of which another line says why
            self._lost = lost_rows.without_library(self._rows(lost_rows.OF_NO_LIBRARY, ()))

    def unreachable(self) -> list[str]:
        """A line about pictures that are there although no application is."""
        try:
            return [] if self.applications() else lost_rows.without_application(self._rows(lost_rows.OF_TENANTS, ()))
        except Unavailable:  # of which another line says why
            return []

    def holds_pictures(self) -> bool:
        """Whether there are live pictures."""
        with self._database.reading() as connection:
            return connection.execute("SELECT 1 FROM pictures WHERE state = 'live' LIMIT 1").fetchone() is not None

    def application(self, access_key: str) -> Application | None:
        return self._application("access_key = ?", access_key)

    def application_by_id(self, app_id: str) -> Application | None:
        return self._application("app_id = ?", app_id)

    def applications(self) -> Sequence[Application]:
        return self._applications("1 ORDER BY created, app_id")

    def save_application(self, application: Application) -> None:
        def save(connection: sqlite3.Connection) -> None:
            taken = connection.execute(
                "SELECT 1 FROM applications WHERE access_key <> ? AND (app_id = ? OR name = ?)",
                (application.access_key, application.app_id, application.name),
            ).fetchone()
            if taken is not None:
                raise RevisionConflict(f"app id {application.app_id} or name {application.name}: another application's")
            connection.execute(
                f"INSERT OR REPLACE INTO applications ({application_row.COLUMNS}) VALUES ({application_row.VALUES})",
                application_row.row_of(application),
            )

        self._database.write(save)
        self._damaged.pop(("applications", application.name), None)

    def remove_application(self, access_key: str) -> None:
        self._database.write(
            lambda connection: connection.execute("DELETE FROM applications WHERE access_key = ?", (access_key,))
        )

    def library(self, tenant: str, name: str) -> Library | None:
        return next(iter(self._libraries("tenant = ? AND name = ?", tenant, name)), None)

    def libraries(self, tenant: str) -> Sequence[Library]:
        return self._libraries("tenant = ?", tenant)

    def create_library(self, library: Library) -> None:
        row = (library.tenant, library.name, library.uid, library.kind, library.identity, library.created)

        def create(connection: sqlite3.Connection) -> None:
            done = connection.execute(
                "INSERT INTO libraries (tenant, name, uid, kind, identity, created) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (tenant, name) DO NOTHING",
                row,
            )
            if done.rowcount == 0:
                raise LibraryExists(library.name)

        self._database.write(create)

    def remove_library(self, library: Library, now: int) -> None:
        def remove(connection: sqlite3.Connection) -> None:
            done = connection.execute(
                "DELETE FROM libraries WHERE tenant = ? AND name = ? AND uid = ?",
                (library.tenant, library.name, library.uid),
            )
            if done.rowcount == 0:
                raise LibraryNotFound(library.name)
            connection.execute(
                "INSERT INTO removed_libraries (uid, kind, removed) VALUES (?, ?, ?)", (library.uid, library.kind, now)
            )

        self._database.write(remove)

    def removed_libraries(self, before: int, limit: int) -> Sequence[RemovedLibrary]:
        rows = self._rows(
            "SELECT uid, kind, removed FROM removed_libraries WHERE removed < ? ORDER BY removed, uid LIMIT ?",
            (before, limit),
        )
        return self._readable("removed_libraries", 0, _removed_library, rows)

    def forget_library(self, uid: str) -> None:
        self._database.write(
            lambda connection: connection.execute("DELETE FROM removed_libraries WHERE uid = ?", (uid,))
        )

    def picture(self, key: Key) -> Picture | None:
        return next(iter(self._pictures("library = ? AND id = ?", key.library, key.id)), None)

    def changed(self, revisions: Mapping[Key, int]) -> Mapping[Key, Picture | None]:
        with self._database.reading() as connection:
            others = [key for key, revision in revisions.items() if _revision(connection, key) != revision]
        return {key: self.picture(key) for key in others}

    def pictures(self, library: str, after: str | None, limit: int) -> Sequence[Picture]:
        """Rows of a library (uid) in whatever state, by id, ``limit`` at most, from behind ``after`` on."""
        behind, bounds = ("", ()) if after is None else (" AND id > ?", (after,))
        return self._pictures(f"library = ?{behind} ORDER BY id LIMIT ?", library, *bounds, limit)

    def pictures_by_prefix(self, library: str, prefix: str, limit: int) -> Sequence[Picture]:
        end = _after(prefix)
        below, bounds = ("", ()) if end is None else (" AND id < ?", (end,))
        return self._pictures(f"library = ? AND id >= ?{below} ORDER BY id LIMIT ?", library, prefix, *bounds, limit)

    def put(self, picture: Picture, previous: int | None) -> None:
        key, values = picture.key, row_of(picture)
        if previous is None:
            self._change(INSERT, values, key)
        else:
            statement = f"UPDATE pictures SET ({COLUMNS}) = ({VALUES}) WHERE {AT_REVISION}"
            self._change(statement, (*values, *at_revision(key, previous)), key)

    def remove(self, key: Key, revision: int) -> None:
        self._change(f"DELETE FROM pictures WHERE {AT_REVISION}", at_revision(key, revision), key)

    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        return self._pictures(
            "state <> 'live' AND deleted_at >= ? AND deleted_at < ? ORDER BY deleted_at, rowid LIMIT ?",
            since,
            before,
            limit,
        )

    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        """Every sound row of a kind in whatever state, in batches, to fill an index from.

        Each batch is a read of its own, so that a slow reader holds nothing back. A row written while the scan
        runs comes with either its old or its new revision. Damaged rows are left out, and reported.
        """
        last = 0
        while True:
            try:
                rows = self._rows(
                    f"SELECT {COLUMNS}, rowid FROM pictures WHERE kind = ? AND rowid > ? ORDER BY rowid LIMIT ?",
                    (kind, last, _BATCH),
                )
            except Unavailable as error:
                if not is_damage(error.__cause__):
                    raise
                rows = list(self._rows_one_by_one(kind, last))
            if not rows:
                return
            last = rows[-1][-1]
            yield pictures_of([row for row in rows if len(row) > 1], self._leave_out)

    def report_unknown_kinds(self) -> None:
        """Report the rows that no scan of a kind comes by."""
        for row in self._rows(f"SELECT library, id FROM pictures WHERE {_none_of('kind', sorted(_KINDS))}", ()):
            self._report("pictures", name_of(row), "unknown kind")

    def _rows_one_by_one(self, kind: Kind, last: int) -> Iterator[Row]:
        """A batch some of whose rows lie on a page that cannot be read; of those their number alone."""
        numbers = self._rows(
            "SELECT rowid FROM pictures WHERE kind = ? AND rowid > ? ORDER BY rowid LIMIT ?", (kind, last, _BATCH)
        )
        for number in numbers:
            try:
                yield from self._rows(f"SELECT {COLUMNS}, rowid FROM pictures WHERE rowid = ?", number)
            except Unavailable as error:
                if not is_damage(error.__cause__):
                    raise
                self._report("pictures", self._name_of_number(number[0]), "unreadable page")
                yield number

    def _name_of_number(self, number: int) -> str:
        """Library and id of a row that cannot be read, which stand in an index as well."""
        try:
            rows = self._rows("SELECT library, id FROM pictures WHERE +rowid = ?", (number,))
        except Unavailable:
            rows = []
        return name_of(rows[0]) if rows else f"row {number}"

    def put_map(self, key: str, data: bytes) -> None:
        self._database.write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO maps (key, data) VALUES (?, ?)", (key, data))
        )

    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        with self._database.reading() as connection:
            for key in keys:
                found |= connection.execute("SELECT key, data FROM maps WHERE key = ?", (key,)).fetchall()
        return found

    def remove_maps(self, keys: Sequence[str]) -> None:
        self._database.write(
            lambda connection: connection.executemany("DELETE FROM maps WHERE key = ?", [(key,) for key in keys])
        )

    def upload(self, source: str) -> Upload | None:
        return next(self._uploads("source = ?", source), None)

    def save_upload(self, upload: Upload, known: Upload | None) -> None:
        values = _upload_row(upload)

        def save(connection: sqlite3.Connection) -> None:
            if known is None:
                insert = f"INSERT INTO uploads ({_UPLOAD}) VALUES ({_UPLOAD_VALUES}) ON CONFLICT (source) DO NOTHING"
                done = connection.execute(insert, values)
            else:
                added = None if known.holds is None else known.holds.added
                done = connection.execute(
                    f"UPDATE uploads SET ({_UPLOAD}) = ({_UPLOAD_VALUES}) "
                    "WHERE source = ? AND sequencer = ? AND state = ? AND added IS ?",
                    (*values, known.source, known.sequencer, known.state, added),
                )
            if done.rowcount == 0:
                raise RevisionConflict(upload.source)

        self._database.write(save)

    def holders(self, picture: Key) -> Iterator[Upload]:
        """The uploads that hold this picture, by name; each page of them is read as it is asked for."""
        after = ""
        while True:
            held = ("library = ? AND id = ? AND source > ? ORDER BY source LIMIT ?", picture.library, picture.id)
            page = list(self._uploads(*held, after, _HOLDERS))
            yield from page
            if len(page) < _HOLDERS:
                return
            after = page[-1].source

    def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None) -> int:
        given, waiting = 0, self._uncounted.pop(name, 0)

        def take(connection: sqlite3.Connection) -> None:
            nonlocal given
            row = connection.execute("SELECT count FROM counts WHERE name = ?", (name,)).fetchone()
            count = waiting + (0 if row is None else _sane(row[0]))
            given = _within(limit, count, wanted)
            if given or waiting:
                connection.execute(
                    "INSERT OR REPLACE INTO counts (name, count, expires) VALUES (?, ?, ?)",
                    (name, count + given, expires),
                )

        try:
            self._database.write(take)
        except Unavailable:  # counted here until the disk takes it: a full one must not keep searches from being served
            with self._uncounting:
                self._uncounted[name] += waiting
                given = _within(limit, self.counted(name), wanted)
                self._uncounted[name] += given
        return given

    def counted(self, name: str) -> int:
        rows = self._rows("SELECT count FROM counts WHERE name = ?", (name,))
        return self._uncounted[name] + (_sane(rows[0][0]) if rows else 0)

    def forget_counts(self, now: int) -> None:
        self._database.write(lambda connection: connection.execute("DELETE FROM counts WHERE expires <= ?", (now,)))

    def _application(self, condition: str, value: str) -> Application | None:
        return next(iter(self._applications(condition, value)), None)

    def _applications(self, condition: str, *values: str) -> list[Application]:
        """One that cannot be read is left out: whose limits are lost may not call."""
        rows = self._rows(f"SELECT {application_row.COLUMNS} FROM applications WHERE {condition}", values)
        return self._readable("applications", application_row.NAME, application_row.application_of, rows)

    def _uploads(self, condition: str, *values: object) -> Iterator[Upload]:
        """Raises Unavailable for one that cannot be read: what it holds is not known, so nothing may be taken away."""
        for row in self._rows(f"SELECT {_UPLOAD} FROM uploads WHERE {condition}", values):
            try:
                yield _upload(row)
            except (KeyError, RecursionError, TypeError, ValueError) as error:
                name = printable(str(row[0]))
                self._report("uploads", name, "unreadable")
                raise Unavailable(f"the record of the upload {name} is damaged") from error

    def _libraries(self, condition: str, *values: str) -> Sequence[Library]:
        columns = "tenant, name, uid, kind, identity, created"
        rows = self._rows(f"SELECT {columns} FROM libraries WHERE {condition} ORDER BY name", values)
        return self._readable("libraries", 1, _library, rows)

    def _readable(self, table: str, name: int, made: Callable[[Row], T], rows: Sequence[Row]) -> list[T]:
        """What is made of the rows that can be read; the others are reported by the column that names them."""
        found = []
        for row in rows:
            try:
                found.append(made(row))
            except (KeyError, RecursionError, TypeError, ValueError):
                self._report(table, printable(str(row[name])), "unreadable")
        return found

    def _report(self, table: str, name: str, reason: str) -> None:
        """Remember a damaged row, and log it the first time."""
        if self._damaged.get((table, name)) != reason:
            self._damaged[table, name] = reason
            if len(self._damaged) <= _LOGGED:
                logger.error(f"a row of {table} is damaged and left out: {name} ({reason})")

    def _rows(self, statement: str, values: Sequence[object]) -> list[Row]:
        with self._database.reading() as connection:
            return _fetch(connection, statement, values)

    def _pictures(self, condition: str, *values: object) -> list[Picture]:
        """Rows of pictures, with what stands for the damaged ones among them."""

        def stand_in(row: Row, reason: str) -> Picture | None:
            self._report("pictures", name_of(row), reason)
            return salvaged(row)

        return pictures_of(self._rows(f"SELECT {COLUMNS} FROM pictures WHERE {condition}", values), stand_in)

    def _leave_out(self, row: Row, reason: str) -> None:
        self._report("pictures", name_of(row), reason)

    def _change(self, statement: str, values: Sequence[object], key: Key) -> None:
        def change(connection: sqlite3.Connection) -> None:
            if connection.execute(statement, values).rowcount == 0:
                raise RevisionConflict(f"{key.library}/{key.id}")

        self._database.write(change)
        if self._damaged:
            self._damaged.pop(("pictures", name_of((key.library, key.id))), None)


def _upload_row(upload: Upload) -> tuple[object, ...]:
    held: tuple[object, ...] = (None, None, None, "")
    if (holds := upload.holds) is not None:
        held = (holds.picture.library, holds.picture.id, holds.added, holds.words)
    leaves = None if upload.leaves is None else holding_text(upload.leaves)
    return (upload.source, upload.sequencer, *held, upload.state, leaves, upload.cleared)


def _upload(row: Row) -> Upload:
    source, sequencer, library, picture, added, words, state, leaves, cleared = row
    if not all(is_text(text) for text in (source, sequencer, library or "", picture or "", words)):
        raise ValueError("text that is not UTF-8")
    holds = None if library is None else Holding(Key(library, picture), added, words)
    left = None if leaves is None else holding_of(leaves)
    return Upload(source, sequencer, holds, UploadState(state), left, bool(cleared))


def _library(row: Row) -> Library:
    if not (is_text(row[0]) and is_text(row[1]) and row[2].isascii() and row[2].isprintable()):
        raise ValueError("text that is damaged")
    return Library(row[0], row[1], row[2], Kind(row[3]), Identity(row[4]), row[5])


def _removed_library(row: Row) -> RemovedLibrary:
    if not is_text(row[0]):
        raise ValueError("text that is not UTF-8")
    return RemovedLibrary(row[0], _KINDS.get(row[1], Kind.SIMILAR), row[2])


def _fetch(connection: sqlite3.Connection, statement: str, values: Sequence[object] = ()) -> list[Row]:
    """All rows. Text that is not UTF-8 keeps the bytes that are wrong as surrogates, which no other text has."""
    try:
        return connection.execute(statement, values).fetchall()
    except sqlite3.OperationalError as error:
        if hasattr(error, "sqlite_errorcode"):  # SQLite's own; that it could not decode a text says Python's module
            raise
    connection.text_factory = lambda data: data.decode(errors="surrogateescape")
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.text_factory = str


def _revision(connection: sqlite3.Connection, key: Key) -> int | None:
    row = connection.execute(
        "SELECT revision FROM pictures WHERE library = ? AND id = ?", (key.library, key.id)
    ).fetchone()
    return None if row is None else int(row[0])


def _sane(count: int) -> int:
    """A count that can be counted on from, whatever the row says: a damaged one may be too great to be written again."""
    return min(max(0, count), _MAX_COUNT)


def _within(limit: int | None, count: int, wanted: int) -> int:
    """How much of what is wanted a count may rise."""
    return wanted if limit is None else max(0, min(wanted, limit - count))


def _none_of(column: str, names: Sequence[str]) -> str:
    """A condition that no row meets whose ``column`` is one of these names (in order); an index can answer it."""
    between = [f"({column} > '{one}' AND {column} < '{next_}')" for one, next_ in pairwise(names)]
    return " OR ".join([f"{column} < '{names[0]}'", *between, f"{column} > '{names[-1]}'"])


def _after(prefix: str) -> str | None:
    """The least text greater than every text that starts with ``prefix``; None if there is none.

    SQLite compares text as UTF-8 bytes, whose order is that of the code points; surrogates are none.
    """
    for end in range(len(prefix), 0, -1):
        point = ord(prefix[end - 1]) + 1
        if point <= sys.maxunicode:
            return prefix[: end - 1] + chr(0xE000 if point == 0xD800 else point)
    return None
