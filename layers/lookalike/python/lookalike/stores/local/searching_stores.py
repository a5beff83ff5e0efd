"""What a process reads that searches beside the server: the server's stores, and another index."""

from __future__ import annotations

from pathlib import Path

from lookalike.ports import Stores, VectorIndex
from lookalike.ports.clock import unix_milliseconds
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.dead_letter_file import FileDeadLetters
from lookalike.stores.local.local_backlog import LocalBacklog
from lookalike.stores.local.model_folder import ModelFolder
from lookalike.stores.local.original_files import FolderReader
from lookalike.stores.local.single_index import SingleIndex
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


class SearchingStores(Stores):
    """Opens the catalog and the originals of a data folder that a server has locked.

    Parameters
    ----------
    data : the data folder.
    index : where nearest pictures are asked for.

    Raises
    ------
    SettingsError : the folder cannot be used.
    """

    def __init__(self, data: Path, index: VectorIndex) -> None:
        folder = DataFolder.existing(data)
        self._sqlite = SqliteStores(folder.catalog, existing=True)
        self._originals = FolderReader(folder.originals)
        self._index = index
        self._model_files = ModelFolder(folder.models)
        self._objects = WatchedFolder(None)
        self._staged = StagedFolder(folder.staged)
        self._dead_letters = FileDeadLetters(folder.dead_letters, unix_milliseconds)

    @property
    def applications(self) -> SqliteApplications:
        return self._sqlite.applications

    @property
    def catalog(self) -> SqliteCatalog:
        return self._sqlite.catalog

    @property
    def index(self) -> VectorIndex:
        return self._index

    @property
    def indices(self) -> SingleIndex:
        return SingleIndex(self._index)

    @property
    def model_files(self) -> ModelFolder:
        return self._model_files

    @property
    def embeddings(self) -> SqliteEmbeddings:
        return self._sqlite.embeddings

    @property
    def records(self) -> SqliteRecords:
        return self._sqlite.records

    @property
    def originals(self) -> FolderReader:
        return self._originals

    @property
    def maps(self) -> SqliteMaps:
        return self._sqlite.maps

    @property
    def uploads(self) -> SqliteUploads:
        return self._sqlite.uploads

    @property
    def counters(self) -> SqliteCounters:
        return self._sqlite.counters

    @property
    def objects(self) -> WatchedFolder:
        return self._objects

    @property
    def staged(self) -> StagedFolder:
        return self._staged

    @property
    def backlogs(self) -> LocalBacklog:
        return LocalBacklog(self._dead_letters)

    @property
    def dead_letters(self) -> FileDeadLetters:
        return self._dead_letters

    def problems(self) -> list[str]:
        return self._sqlite.problems()

    def unreachable(self) -> list[str]:
        return self._sqlite.unreachable()

    def close(self) -> None:
        self._sqlite.close()
