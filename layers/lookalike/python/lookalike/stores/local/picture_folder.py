"""A bare folder of pictures as stores: it is read and never written; what is made of it is kept in a folder beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from lookalike.domain.library import Kind
from lookalike.ports import Embedder, Stores
from lookalike.ports.clock import unix_milliseconds
from lookalike.ports.listing import UnlistedPictures
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.dead_letter_file import FileDeadLetters
from lookalike.stores.local.local_backlog import LocalBacklog
from lookalike.stores.local.model_folder import ModelFolder
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
from lookalike.stores.vectors.index import FaissIndex


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


class PictureFolder(Stores):
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
            self._sqlite = opened.enter_context(closing(SqliteStores(folder.catalog, existing=folder.used)))
            self._index = opened.enter_context(closing(FaissIndex({}, embedder.model)))
            self._index.fill(self._sqlite.catalog.scan(Kind.SAME))
            self._originals = FolderOriginals()
            self._model_files = ModelFolder(folder.models)
            self._objects = WatchedFolder(None)
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
    def originals(self) -> FolderOriginals:
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
        return []

    def close(self) -> None:
        self._opened.close()
