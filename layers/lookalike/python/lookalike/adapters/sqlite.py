"""Applications, the catalog and the local maps of one machine, in SQLite."""

# ruff: noqa: S608  # statements are put together from constants; every value is bound

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.adapters.database import Database
from lookalike.adapters.holding import holding_of, holding_text
from lookalike.adapters.policy import policy_of, policy_text
from lookalike.errors import LibraryExists, LibraryNotFound, RevisionConflict
from lookalike.model import (
    Application,
    Holding,
    Identity,
    Key,
    Kind,
    Library,
    Picture,
    RemovedLibrary,
    State,
    Upload,
    UploadState,
)

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
    (
        "ALTER TABLE uploads ADD COLUMN state TEXT NOT NULL DEFAULT 'settled'",
        "ALTER TABLE uploads ADD COLUMN words TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE uploads ADD COLUMN leaves TEXT",
        "ALTER TABLE uploads ADD COLUMN cleared INTEGER NOT NULL DEFAULT 0",
        "UPDATE uploads SET state = CASE WHEN foretold THEN 'adding' WHEN library IS NULL THEN 'unsure' ELSE state END",
        "ALTER TABLE uploads DROP COLUMN foretold",
        "CREATE INDEX uploads_holding ON uploads (library, id, source) WHERE library IS NOT NULL",
    ),
)

_APPLICATION = "access_key, secret_key, app_id, tenant, name, active, created, policy"
_APPLICATION_VALUES = ", ".join("?" * (_APPLICATION.count(",") + 1))

_COLUMNS = (
    "library, id, kind, revision, added, state, digest, file_digest, model, vector, "
    "brief, label, desc, tags, sign_version, deleted_at"
)
_VALUES = ", ".join("?" * (_COLUMNS.count(",") + 1))

_UPLOAD = "source, sequencer, library, id, added, words, state, leaves, cleared"
_UPLOAD_VALUES = ", ".join("?" * (_UPLOAD.count(",") + 1))

#: Makes a picture's row of :func:`row_of`, where there is none.
INSERT = f"INSERT INTO pictures ({_COLUMNS}) VALUES ({_VALUES}) ON CONFLICT (library, id) DO NOTHING"

#: Vectors in a row: IEEE 754 half precision, little-endian, whatever the machine.
_FLOAT16 = np.dtype("<f2")

_KINDS = {str(kind): kind for kind in Kind}  # plain look-ups: an enum's own is slower, and scans make many
_STATES = {str(state): state for state in State}

#: Rows of one step of a scan: long enough to make the step's own cost nothing, short enough to stream.
_BATCH = 4096

#: Holders of a picture that are read at a time: of most pictures there is one, and seldom is more than one asked for.
_HOLDERS = 50


class SqliteCatalog:
    """Everything but originals and vectors' index, in one SQLite file.

    It is the ports Applications, Catalog, MapStore, Uploads and Counters.

    Several processes may have the file open, and each sees at once what another has written. Maps have a table of
    their own in the same file, so that one flush serves the map of one add and the row of another.

    Parameters
    ----------
    path : the file, made if missing. Raises SettingsError if it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _MIGRATIONS)

    def close(self) -> None:
        """Finish. Calls after this raise Unavailable."""
        self._database.close()

    def application(self, access_key: str) -> Application | None:
        """The application with that access key."""
        return self._application("access_key = ?", access_key)

    def application_by_id(self, app_id: str) -> Application | None:
        """The application with that app id."""
        return self._application("app_id = ?", app_id)

    def applications(self) -> Sequence[Application]:
        """All of them, by creation time."""
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT {_APPLICATION} FROM applications ORDER BY created, app_id").fetchall()
        return [_application(row) for row in rows]

    def save_application(self, application: Application) -> None:
        """Create it, or replace the one with the same access key. Durable on return.

        Raises RevisionConflict if another application has that app id or that name, and then nothing has changed.
        """
        row = (
            application.access_key,
            application.secret_key,
            application.app_id,
            application.tenant,
            application.name,
            application.active,
            application.created,
            policy_text(application.policy),
        )

        def save(connection: sqlite3.Connection) -> None:
            taken = connection.execute(
                "SELECT 1 FROM applications WHERE access_key <> ? AND (app_id = ? OR name = ?)",
                (application.access_key, application.app_id, application.name),
            ).fetchone()
            if taken is not None:
                raise RevisionConflict(f"app id {application.app_id} or name {application.name}: another application's")
            connection.execute(
                f"INSERT OR REPLACE INTO applications ({_APPLICATION}) VALUES ({_APPLICATION_VALUES})", row
            )

        self._database.write(save)

    def remove_application(self, access_key: str) -> None:
        """Take it away; an unknown key does not matter. Durable on return."""
        self._database.write(
            lambda connection: connection.execute("DELETE FROM applications WHERE access_key = ?", (access_key,))
        )

    def library(self, tenant: str, name: str) -> Library | None:
        """The tenant's library of that name."""
        return next(iter(self._libraries("tenant = ? AND name = ?", tenant, name)), None)

    def libraries(self, tenant: str) -> Sequence[Library]:
        """All libraries of a tenant, by name."""
        return self._libraries("tenant = ?", tenant)

    def create_library(self, library: Library) -> None:
        """Make it. Raises LibraryExists if the tenant has one of that name; two racing calls make one."""
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
        """Take it away at once, however much it holds: its name is free, and its rows wait for a sweep.

        ``now`` is Unix milliseconds. Raises LibraryNotFound if the tenant's library of that name has another uid, or
        there is none.
        """

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
        """Libraries removed before that Unix millisecond and not forgotten, oldest first, ``limit`` at most."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT uid, kind, removed FROM removed_libraries WHERE removed < ? ORDER BY removed, uid LIMIT ?",
                (before, limit),
            ).fetchall()
        return [RemovedLibrary(uid, _KINDS[kind], removed) for uid, kind, removed in rows]

    def forget_library(self, uid: str) -> None:
        """Nothing is left of a removed library: it no longer waits to be swept. An unknown uid does not matter."""
        self._database.write(
            lambda connection: connection.execute("DELETE FROM removed_libraries WHERE uid = ?", (uid,))
        )

    def picture(self, key: Key) -> Picture | None:
        """The row, in whatever state."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM pictures WHERE library = ? AND id = ?", (key.library, key.id)
            ).fetchone()
        return None if row is None else _picture(row)

    def pictures(self, library: str, after: str | None, limit: int) -> Sequence[Picture]:
        """Rows of a library (uid) in whatever state, by id, ``limit`` at most, from behind ``after`` on."""
        behind, bounds = ("", ()) if after is None else (" AND id > ?", (after,))
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM pictures WHERE library = ?{behind} ORDER BY id LIMIT ?",
                (library, *bounds, limit),
            ).fetchall()
        return [_picture(row) for row in rows]

    def pictures_by_prefix(self, library: str, prefix: str, limit: int) -> Sequence[Picture]:
        """Rows of a library whose id starts with ``prefix``, in whatever state, by id, ``limit`` at most."""
        end = _after(prefix)
        below, bounds = ("", ()) if end is None else (" AND id < ?", (end,))
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM pictures WHERE library = ? AND id >= ?{below} ORDER BY id LIMIT ?",
                (library, prefix, *bounds, limit),
            ).fetchall()
        return [_picture(row) for row in rows]

    def put(self, picture: Picture, previous: int | None) -> None:
        """Write the row if its stored revision is ``previous`` (None: there is no row).

        Raises RevisionConflict otherwise, and then nothing has changed.
        """
        key, values = picture.key, row_of(picture)
        if previous is None:
            self._change(INSERT, values, key)
        else:
            statement = f"UPDATE pictures SET ({_COLUMNS}) = ({_VALUES}) WHERE library = ? AND id = ? AND revision = ?"
            self._change(statement, (*values, key.library, key.id, previous), key)

    def remove(self, key: Key, revision: int) -> None:
        """Take the row away for good if its stored revision is ``revision``; RevisionConflict otherwise."""
        self._change(
            "DELETE FROM pictures WHERE library = ? AND id = ? AND revision = ?", (key.library, key.id, revision), key
        )

    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        """Rows not live whose ``deleted_at`` is from ``since`` on and before ``before``, both Unix milliseconds.

        Oldest first, ``limit`` at most.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM pictures WHERE state <> 'live' AND deleted_at >= ? AND deleted_at < ? "
                "ORDER BY deleted_at, rowid LIMIT ?",
                (since, before, limit),
            ).fetchall()
        return [_picture(row) for row in rows]

    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        """Every row of a kind in whatever state, in batches, to fill an index from.

        Each batch is a read of its own, so that a slow reader holds nothing back. A row written while the scan
        runs comes with either its old or its new revision.
        """
        last = 0
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(
                    f"SELECT {_COLUMNS}, rowid FROM pictures WHERE kind = ? AND rowid > ? ORDER BY rowid LIMIT ?",
                    (kind, last, _BATCH),
                ).fetchall()
            if not rows:
                return
            last = rows[-1][-1]
            yield [_picture(row) for row in rows]

    def put_map(self, key: str, data: bytes) -> None:
        """Keep a map."""
        self._database.write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO maps (key, data) VALUES (?, ?)", (key, data))
        )

    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """Those of the maps that are there."""
        found: dict[str, bytes] = {}
        with self._database.reading() as connection:
            for key in keys:
                found |= connection.execute("SELECT key, data FROM maps WHERE key = ?", (key,)).fetchall()
        return found

    def remove_maps(self, keys: Sequence[str]) -> None:
        """Forget them; unknown keys do not matter."""
        self._database.write(
            lambda connection: connection.executemany("DELETE FROM maps WHERE key = ?", [(key,) for key in keys])
        )

    def upload(self, source: str) -> Upload | None:
        """What is known of that object."""
        with self._database.reading() as connection:
            row = connection.execute(f"SELECT {_UPLOAD} FROM uploads WHERE source = ?", (source,)).fetchone()
        return None if row is None else _upload(row)

    def save_upload(self, upload: Upload, known: Upload | None) -> None:
        """Remember it if what is stored of its source is still ``known`` (None: nothing).

        Raises RevisionConflict otherwise, and then nothing has changed.
        """
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
            with self._database.reading() as connection:
                rows = connection.execute(
                    f"SELECT {_UPLOAD} FROM uploads WHERE library = ? AND id = ? AND source > ? ORDER BY source LIMIT ?",
                    (picture.library, picture.id, after, _HOLDERS),
                ).fetchall()
            yield from (_upload(row) for row in rows)
            if len(rows) < _HOLDERS:
                return
            after = rows[-1][0]

    def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None) -> int:
        """Raise the count by ``wanted`` or, where it would pass ``limit``, by what is left; by how much."""
        given = 0

        def take(connection: sqlite3.Connection) -> None:
            nonlocal given
            row = connection.execute("SELECT count FROM counts WHERE name = ?", (name,)).fetchone()
            count = 0 if row is None else row[0]
            given = wanted if limit is None else max(0, min(wanted, limit - count))
            if given:
                connection.execute(
                    "INSERT OR REPLACE INTO counts (name, count, expires) VALUES (?, ?, ?)",
                    (name, count + given, expires),
                )

        self._database.write(take)
        return given

    def counted(self, name: str) -> int:
        """Where the count of that name stands."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT count FROM counts WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def forget_counts(self, now: int) -> None:
        """Forget those that have expired."""
        self._database.write(lambda connection: connection.execute("DELETE FROM counts WHERE expires <= ?", (now,)))

    def _application(self, condition: str, value: str) -> Application | None:
        with self._database.reading() as connection:
            row = connection.execute(f"SELECT {_APPLICATION} FROM applications WHERE {condition}", (value,)).fetchone()
        return None if row is None else _application(row)

    def _libraries(self, condition: str, *values: str) -> Sequence[Library]:
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT tenant, name, uid, kind, identity, created FROM libraries WHERE {condition} ORDER BY name",
                values,
            ).fetchall()
        return [Library(row[0], row[1], row[2], Kind(row[3]), Identity(row[4]), row[5]) for row in rows]

    def _change(self, statement: str, values: Sequence[object], key: Key) -> None:
        def change(connection: sqlite3.Connection) -> None:
            if connection.execute(statement, values).rowcount == 0:
                raise RevisionConflict(f"{key.library}/{key.id}")

        self._database.write(change)


def _upload_row(upload: Upload) -> tuple[object, ...]:
    held: tuple[object, ...] = (None, None, None, "")
    if (holds := upload.holds) is not None:
        held = (holds.picture.library, holds.picture.id, holds.added, holds.words)
    leaves = None if upload.leaves is None else holding_text(upload.leaves)
    return (upload.source, upload.sequencer, *held, upload.state, leaves, upload.cleared)


def _upload(row: Sequence[Any]) -> Upload:
    source, sequencer, library, picture, added, words, state, leaves, cleared = row
    holds = None if library is None else Holding(Key(library, picture), added, words)
    left = None if leaves is None else holding_of(leaves)
    return Upload(source, sequencer, holds, UploadState(state), left, bool(cleared))


def _application(row: Sequence[str]) -> Application:
    access_key, secret_key, app_id, tenant, name, active, created, policy = row
    return Application(access_key, secret_key, app_id, tenant, name, bool(active), int(created), policy_of(policy))


def row_of(picture: Picture) -> tuple[object, ...]:
    """A picture's columns, in their order."""
    return (
        picture.key.library,
        picture.key.id,
        picture.kind,
        picture.revision,
        picture.added,
        picture.state,
        picture.digest,
        picture.file_digest,
        picture.model,
        picture.vector.astype(_FLOAT16, copy=False).tobytes(),
        picture.brief,
        picture.label,
        picture.desc,
        json.dumps(picture.tags),
        picture.sign_version,
        picture.deleted_at,
    )


def _picture(row: Sequence[Any]) -> Picture:
    return Picture(
        key=Key(row[0], row[1]),
        kind=_KINDS[row[2]],
        revision=row[3],
        added=row[4],
        state=_STATES[row[5]],
        digest=row[6],
        file_digest=row[7],
        model=row[8],
        vector=np.frombuffer(row[9], _FLOAT16),
        brief=row[10],
        label=row[11],
        desc=row[12],
        tags=_tags(row[13]),
        sign_version=row[14],
        deleted_at=row[15],
    )


@lru_cache(4096)  # few lists of tags are many rows', and then they share one tuple
def _tags(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def _after(prefix: str) -> str | None:
    """The least text greater than every text that starts with ``prefix``; None if there is none.

    SQLite compares text as UTF-8 bytes, whose order is that of the code points; surrogates are none.
    """
    for end in range(len(prefix), 0, -1):
        point = ord(prefix[end - 1]) + 1
        if point <= sys.maxunicode:
            return prefix[: end - 1] + chr(0xE000 if point == 0xD800 else point)
    return None
