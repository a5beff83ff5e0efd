"""The stores of one machine, in its data folder."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

from lookalike.domain.library import Kind
from lookalike.observability import logger
from lookalike.ports import Embedder, Stores
from lookalike.ports.clock import unix_milliseconds
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.dead_letter_file import FileDeadLetters
from lookalike.stores.local.local_backlog import LocalBacklog
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.sqlite_applications import SqliteApplications
from lookalike.stores.local.sqlite_catalog import SqliteCatalog
from lookalike.stores.local.sqlite_counters import SqliteCounters
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
            codebooks = {kind: codebook for kind in Kind if (codebook := embedder.codebook(kind)) is not None}
            keeper = FileKeeper(SegmentFolder(folder.segments), self._sqlite.changes)
            self._index = opened.enter_context(closing(FaissIndex(codebooks, embedder.model, keeper=keeper)))
            keeper.start(self._index)
            _report(self._index, self._sqlite, embedder.model, data)
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
        return self._index

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


def _report(index: FaissIndex, sqlite: SqliteStores, model: str, data: Path) -> None:
    """Find what is wrong with the catalog's pictures, and log a warning about those that another model has embedded."""
    sqlite.catalog.report_unknown_kinds()
    sqlite.report_orphaned_pictures()
    for other, pictures in sorted(index.live_by_model().items()):
        if pictures and other != model:
            logger.warning(
                f"{pictures} pictures in {data} were added with the model {other}: {model} does not find them; give it a "
                "folder of its own, and add them again"
            )
