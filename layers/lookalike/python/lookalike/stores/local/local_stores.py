"""The stores of one machine, in its data folder."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

from lookalike.ports import Embedder
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.local_indices import LocalIndices
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.sqlite_backed import FolderBacked
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.vectors.file_keeper import FileKeeper
from lookalike.stores.vectors.index import FaissIndex
from lookalike.stores.vectors.segment_folder import SegmentFolder


class LocalStores(FolderBacked):
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
            sqlite = opened.enter_context(closing(SqliteStores(folder.catalog, existing=folder.used)))
            super().__init__(sqlite, folder, watch)
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
            self._opened = opened.pop_all()

    @property
    def index(self) -> FaissIndex:
        return self._indices.of(self._embedder)

    @property
    def indices(self) -> LocalIndices:
        return self._indices

    @property
    def originals(self) -> FolderStore:
        return self._originals

    def problems(self) -> list[str]:
        return [*self._sqlite.problems(), *self._originals.problems()]

    def close(self) -> None:
        self._opened.close()
