"""A bare folder of pictures as stores: it is read and never written; what is made of it is kept in a folder beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from lookalike.ports import Embedder
from lookalike.ports.listing import UnlistedPictures
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.single_index import SingleIndex
from lookalike.stores.local.sqlite_backed import FolderBacked
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.vectors.file_keeper import FileKeeper
from lookalike.stores.vectors.index import FaissIndex
from lookalike.stores.vectors.segment_folder import SegmentFolder


class FolderOriginals(UnlistedPictures):
    """The files of the folder as originals. ``paths`` tells where each one is, by its key; nothing is written."""

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}

    def put(self, key: str, data: bytes) -> None:
        """Does nothing: the file is there."""

    def get(self, key: str) -> bytes | None:
        path = self.paths.get(key)
        try:
            return None if path is None else path.read_bytes()
        except OSError:
            return None

    def place(self, key: str, content_type: str, seconds: int) -> Path:
        """Return the path of the file."""
        return self.paths[key]

    def remove(self, keys: Sequence[str]) -> None:
        """Does nothing: the file is the user's."""


class PictureFolder(FolderBacked):
    """Stores of a bare folder's pictures: vectors and feature maps are kept in the folder ``kept``.

    Parameters
    ----------
    kept : the folder for what is made, which one process at a time may open.
    embedder : its model is the one whose pictures the index finds.

    Raises
    ------
    SettingsError : the folder cannot be used.
    """

    def __init__(self, kept: Path, embedder: Embedder) -> None:
        with ExitStack() as opened:
            folder = DataFolder(kept)
            folder.lock()
            opened.callback(folder.unlock)
            sqlite = opened.enter_context(closing(SqliteStores(folder.catalog, existing=folder.used)))
            super().__init__(sqlite, folder)
            keeper = FileKeeper(SegmentFolder(folder.segments), self._sqlite.changes)
            self._index = opened.enter_context(closing(FaissIndex({}, embedder.model, keeper=keeper)))
            keeper.start(self._index)
            self._originals = FolderOriginals()
            self._opened = opened.pop_all()

    @property
    def index(self) -> FaissIndex:
        return self._index

    @property
    def originals(self) -> FolderOriginals:
        return self._originals

    @property
    def indices(self) -> SingleIndex:
        return SingleIndex(self._index)

    def unreachable(self) -> list[str]:
        return []

    def close(self) -> None:
        self._opened.close()
