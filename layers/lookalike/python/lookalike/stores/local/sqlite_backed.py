"""Stores of one machine whose rows lie in SQLite."""

from __future__ import annotations

from pathlib import Path

from lookalike.ports import Stores
from lookalike.ports.clock import unix_milliseconds
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.dead_letter_file import FileDeadLetters
from lookalike.stores.local.local_backlog import LocalBacklog
from lookalike.stores.local.model_folder import ModelFolder
from lookalike.stores.local.sqlite_applications import SqliteApplications
from lookalike.stores.local.sqlite_catalog import SqliteCatalog
from lookalike.stores.local.sqlite_counters import SqliteCounters
from lookalike.stores.local.sqlite_embeddings import SqliteEmbeddings
from lookalike.stores.local.sqlite_maps import SqliteMaps
from lookalike.stores.local.sqlite_records import SqliteRecords
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.local.sqlite_uploads import SqliteUploads
from lookalike.stores.local.staged_files import StagedFolder
from lookalike.stores.local.watched_folder import WatchedFolder


class SqliteBacked(Stores):
    """The rows; index, originals and files are of the class that derives from this one."""

    def __init__(self, sqlite: SqliteStores) -> None:
        self._sqlite = sqlite

    @property
    def applications(self) -> SqliteApplications:
        return self._sqlite.applications

    @property
    def catalog(self) -> SqliteCatalog:
        return self._sqlite.catalog

    @property
    def maps(self) -> SqliteMaps:
        return self._sqlite.maps

    @property
    def embeddings(self) -> SqliteEmbeddings:
        return self._sqlite.embeddings

    @property
    def uploads(self) -> SqliteUploads:
        return self._sqlite.uploads

    @property
    def counters(self) -> SqliteCounters:
        return self._sqlite.counters

    @property
    def records(self) -> SqliteRecords:
        return self._sqlite.records

    def problems(self) -> list[str]:
        return self._sqlite.problems()

    def unreachable(self) -> list[str]:
        return self._sqlite.unreachable()


class FolderBacked(SqliteBacked):
    """The rows, and the files beside them in a data folder. ``watch``: the folder whose files are uploads, if there is one."""

    def __init__(self, sqlite: SqliteStores, folder: DataFolder, watch: Path | None = None) -> None:
        super().__init__(sqlite)
        self._model_files = ModelFolder(folder.models)
        self._objects = WatchedFolder(watch)
        self._staged = StagedFolder(folder.staged)
        self._dead_letters = FileDeadLetters(folder.dead_letters, unix_milliseconds)

    @property
    def model_files(self) -> ModelFolder:
        return self._model_files

    @property
    def objects(self) -> WatchedFolder:
        return self._objects

    @property
    def staged(self) -> StagedFolder:
        return self._staged

    @property
    def dead_letters(self) -> FileDeadLetters:
        return self._dead_letters

    @property
    def backlogs(self) -> LocalBacklog:
        return LocalBacklog(self._dead_letters)
