"""The stores of one machine, in its data folder."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

from lookalike.ports import Embedder, Stores
from lookalike.ports.clock import unix_milliseconds
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.dead_letter_file import FileDeadLetters
from lookalike.stores.local.local_backlog import LocalBacklog
from lookalike.stores.local.local_indices import LocalIndices
from lookalike.stores.local.model_folder import ModelFolder
from lookalike.stores.local.original_files import FolderStore
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
from lookalike.stores.vectors.file_keeper import FileKeeper
from lookalike.stores.vectors.index import FaissIndex
from lookalike.stores.vectors.segment_folder import SegmentFolder


class LocalStores(Stores):
    """Opens SQLite, FAISS filled from it, and the folder of originals: all of them, or none.

    Parameters
    ----------
    data : the data folder, which one process at a time may open.
    embedder : its model is the one whose pictures the index finds; its codebooks compress their vectors.
    watch : the folder whose files are uploads; None: there is none.

    Raises
    ------
    SettingsError : the folder cannot be used.
    """

    def __init__(self, data: Path, embedder: Embedder, watch: Path | None = None) -> None:
        with ExitStack() as opened:
            folder = DataFolder(data)
            folder.lock()
            opened.callback(folder.unlock)
            self._sqlite = opened.enter_context(closing(SqliteStores(folder.catalog, existing=folder.used)))
            if self._sqlite.catalog.holds_pictures():
                folder.require_originals()
            else:
                folder.mark_as_used()
            self._originals = FolderStore(folder.originals)
            self._embedder = embedder
            keeper = FileKeeper(SegmentFolder(folder.segments), self._sqlite.changes)
            self._indices = opened.enter_context(closing(LocalIndices(self._sqlite, data, keeper)))
            if self._sqlite.embeddings.models() is None:  # else the live model may be another one
                self._indices.of(embedder)
            self._sqlite.catalog.report_unknown_kinds()
            self._sqlite.report_orphaned_pictures()
            self._model_files = ModelFolder(folder.models)
            self._objects = WatchedFolder(watch)
            self._staged = StagedFolder(folder.staged)
            self._dead_letters = FileDeadLetters(folder.dead_letters, unix_milliseconds)
            self._opened = opened.pop_all()

    @property
    def applications(self) -> SqliteApplications:
        return self._sqlite.applications

    @property
    def catalog(self) -> SqliteCatalog:
        return self._sqlite.catalog

    @property
    def index(self) -> FaissIndex:
        return self._indices.of(self._embedder)

    @property
    def indices(self) -> LocalIndices:
        return self._indices

    @property
    def model_files(self) -> ModelFolder:
        return self._model_files

    @property
    def embeddings(self) -> SqliteEmbeddings:
        return self._sqlite.embeddings

    @property
    def originals(self) -> FolderStore:
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
    def records(self) -> SqliteRecords:
        return self._sqlite.records

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

    def problems(self) -> list[str]:
        return [*self._sqlite.problems(), *self._originals.problems()]

    def unreachable(self) -> list[str]:
        return self._sqlite.unreachable()

    def close(self) -> None:
        self._opened.close()
