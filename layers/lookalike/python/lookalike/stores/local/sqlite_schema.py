"""The schema of the SQLite file that holds all rows of one machine, as migrations."""

from __future__ import annotations

from lookalike.stores import metadata_codec

#: The SQL statements of each migration. A released migration never changes; new ones are appended.
MIGRATIONS = (
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
    ("ALTER TABLE libraries ADD COLUMN capacity INTEGER",),
    (
        """
        CREATE TABLE records (
            partition TEXT NOT NULL,
            key TEXT NOT NULL,
            revision INTEGER NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (partition, key)
        ) STRICT
        """,
    ),
    (
        "ALTER TABLE applications ADD COLUMN old_secret_key TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE applications ADD COLUMN old_secret_until INTEGER NOT NULL DEFAULT 0",
    ),
    (
        "CREATE TABLE changes (number INTEGER PRIMARY KEY, library TEXT NOT NULL, id TEXT NOT NULL, token INTEGER) STRICT",
        """
        CREATE TRIGGER picture_added AFTER INSERT ON pictures
        BEGIN INSERT INTO changes (library, id) VALUES (NEW.library, NEW.id); END
        """,
        """
        CREATE TRIGGER picture_changed AFTER UPDATE ON pictures
        BEGIN INSERT INTO changes (library, id) VALUES (NEW.library, NEW.id); END
        """,
        """
        CREATE TRIGGER picture_removed AFTER DELETE ON pictures
        BEGIN INSERT INTO changes (library, id) VALUES (OLD.library, OLD.id); END
        """,
    ),
    (
        """
        CREATE TABLE aliases (
            library TEXT NOT NULL,
            alias TEXT NOT NULL,
            id TEXT NOT NULL,
            PRIMARY KEY (library, alias)
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE embeddings (
            model TEXT NOT NULL,
            key TEXT NOT NULL,
            vector BLOB NOT NULL,
            map BLOB NOT NULL,
            UNIQUE (model, key)
        ) STRICT
        """,
    ),
    ("ALTER TABLE pictures ADD COLUMN file_size INTEGER",),
    *metadata_codec.SQLITE_MIGRATIONS,
)
