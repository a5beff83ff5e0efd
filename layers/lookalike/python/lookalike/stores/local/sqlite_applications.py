"""Applications in SQLite."""

# ruff: noqa: S608  # statements are put together from constants; every value is bound

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lookalike.domain.application import Application
from lookalike.errors import RevisionConflict
from lookalike.ports import Applications
from lookalike.stores.local.application_row import COLUMNS, NAME_POSITION, VALUES, application_of, row_of
from lookalike.stores.local.sqlite_database import Database
from lookalike.stores.local.sqlite_rows import DamagedRows, fetch_all


class SqliteApplications(Applications):
    """Applications in one table. A damaged one is left out: an application whose limits are lost may not call."""

    def __init__(self, database: Database, damaged: DamagedRows) -> None:
        self._database = database
        self._damaged = damaged

    def application(self, access_key: str) -> Application | None:
        return next(iter(self._select("access_key = ?", access_key)), None)

    def application_by_id(self, app_id: str) -> Application | None:
        return next(iter(self._select("app_id = ?", app_id)), None)

    def applications(self) -> Sequence[Application]:
        return self._select("1 ORDER BY created, app_id")

    def save_application(self, application: Application) -> None:
        def save(connection: sqlite3.Connection) -> None:
            taken = connection.execute(
                "SELECT 1 FROM applications WHERE access_key <> ? AND (app_id = ? OR name = ?)",
                (application.access_key, application.app_id, application.name),
            ).fetchone()
            if taken is not None:
                raise RevisionConflict(f"app id {application.app_id} or name {application.name}: another application's")
            connection.execute(
                f"INSERT OR REPLACE INTO applications ({COLUMNS}) VALUES ({VALUES})", row_of(application)
            )

        self._database.write(save)
        self._damaged.forget("applications", lambda: application.name)

    def remove_application(self, access_key: str) -> None:
        self._database.write(
            lambda connection: connection.execute("DELETE FROM applications WHERE access_key = ?", (access_key,))
        )

    def _select(self, condition: str, *values: str) -> list[Application]:
        rows = fetch_all(self._database, f"SELECT {COLUMNS} FROM applications WHERE {condition}", values)
        return self._damaged.decode_all("applications", NAME_POSITION, application_of, rows)
