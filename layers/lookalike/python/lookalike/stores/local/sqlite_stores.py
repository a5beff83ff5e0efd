"""The stores that share one SQLite file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from lookalike.errors import Unavailable
from lookalike.stores.local import orphaned_pictures, sqlite_schema
from lookalike.stores.local.catalog_changes import CatalogChanges
from lookalike.stores.local.sqlite_applications import SqliteApplications
from lookalike.stores.local.sqlite_catalog import SqliteCatalog
from lookalike.stores.local.sqlite_counters import SqliteCounters
from lookalike.stores.local.sqlite_database import Database
from lookalike.stores.local.sqlite_embeddings import SqliteEmbeddings
from lookalike.stores.local.sqlite_maps import SqliteMaps
from lookalike.stores.local.sqlite_records import SqliteRecords
from lookalike.stores.local.sqlite_rows import DamagedRows, fetch_all
from lookalike.stores.local.sqlite_uploads import SqliteUploads


class SqliteStores:
    """Everything but originals and the vectors' index, in one SQLite file.

    Several processes may have the file open, and each sees at once what another has written. All stores share one
    database, hence one group commit.

    Parameters
    ----------
    path : the file, made if missing.
    existing : refuse a file without a schema, instead of making a catalog in it.

    Raises
    ------
    SettingsError : the file cannot be used.
    """

    def __init__(self, path: Path, *, existing: bool = False) -> None:
        self.database = Database(path, sqlite_schema.MIGRATIONS, existing=existing)
        self._damaged = DamagedRows()
        self._orphaned: list[str] = []
        self.applications = SqliteApplications(self.database, self._damaged)
        self.catalog = SqliteCatalog(self.database, self._damaged)
        self.changes = CatalogChanges(self.database, self.catalog)
        self.maps = SqliteMaps(self.database)
        self.uploads = SqliteUploads(self.database, self._damaged)
        self.counters = SqliteCounters(self.database)
        self.records = SqliteRecords(self.database, self._damaged)
        self.embeddings = SqliteEmbeddings(self.database, self.records)

    def close(self) -> None:
        """Close the file. Calls after this raise Unavailable."""
        self.database.close()

    def problems(self) -> list[str]:
        """Return one line per problem with the file, and with its rows as far as they have been read."""
        return [*self.database.problems(), *self._damaged.problems(), *self._orphaned]

    def report_orphaned_pictures(self) -> None:
        """Find the pictures whose libraries are missing, for :meth:`problems`."""
        with suppress(Unavailable):  # the database's own problems say why
            rows = fetch_all(self.database, orphaned_pictures.COUNT_BY_MISSING_LIBRARY, ())
            self._orphaned = orphaned_pictures.missing_libraries(rows)

    def unreachable(self) -> list[str]:
        """Return a line about pictures in a catalog without applications."""
        try:
            if self.applications.applications():
                return []
            rows = fetch_all(self.database, orphaned_pictures.COUNT_BY_TENANT, ())
        except Unavailable:  # the database's own problems say why
            return []
        return orphaned_pictures.missing_applications(rows)
