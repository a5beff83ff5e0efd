"""What a process reads that searches beside the server: the server's stores, and another index."""

from __future__ import annotations

from pathlib import Path

from lookalike.ports import VectorIndex
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.original_files import FolderReader
from lookalike.stores.local.single_index import SingleIndex
from lookalike.stores.local.sqlite_backed import FolderBacked
from lookalike.stores.local.sqlite_stores import SqliteStores


class SearchingStores(FolderBacked):
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
        super().__init__(SqliteStores(folder.catalog, existing=True), folder)
        self._originals = FolderReader(folder.originals)
        self._index = index

    @property
    def index(self) -> VectorIndex:
        return self._index

    @property
    def indices(self) -> SingleIndex:
        return SingleIndex(self._index)

    @property
    def originals(self) -> FolderReader:
        return self._originals

    def close(self) -> None:
        self._sqlite.close()
