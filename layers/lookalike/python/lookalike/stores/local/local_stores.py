"""The stores of one machine, in its data folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from lookalike.clock import unix_milliseconds
from lookalike.domain.library import Kind
from lookalike.domain.picture import Picture
from lookalike.observability import logger
from lookalike.ports import Embedder, Stores
from lookalike.stores.local.data_folder import DataFolder
from lookalike.stores.local.dead_letter_file import FileDeadLetters
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.sqlite_catalog import SqliteCatalog
from lookalike.stores.local.watched_folder import WatchedFolder
from lookalike.stores.vectors.index import FaissIndex


class LocalStores(Stores):
    """SQLite, FAISS filled from it, and a folder of originals. All of it is opened at once, or none.

    Parameters
    ----------
    data : the folder that holds everything; one process at a time may have it.
    embedder : pictures of its model are found, compressed by its codebooks.
    watch : the folder whose files count as uploads.

    Raises
    ------
    SettingsError : the folder cannot be used.
    """

    def __init__(self, data: Path, embedder: Embedder, watch: Path | None = None) -> None:
        with ExitStack() as opened:
            folder = DataFolder(data)
            folder.lock()
            opened.callback(folder.unlock)
            self._catalog = opened.enter_context(closing(SqliteCatalog(folder.catalog, existing=folder.used)))
            if self._catalog.holds_pictures():
                folder.require_originals()
            else:
                folder.mark_as_used()
            self._originals = FolderStore(folder.originals)
            codebooks = {kind: codebook for kind in Kind if (codebook := embedder.codebook(kind)) is not None}
            self._index = opened.enter_context(closing(FaissIndex(codebooks, embedder.model)))
            _fill(self._index, self._catalog, embedder.model, data)
            self._objects = WatchedFolder(watch)
            self._dead_letters = FileDeadLetters(folder.dead_letters, unix_milliseconds)
            self._opened = opened.pop_all()

    @property
    def applications(self) -> SqliteCatalog:
        return self._catalog

    @property
    def catalog(self) -> SqliteCatalog:
        return self._catalog

    @property
    def index(self) -> FaissIndex:
        return self._index

    @property
    def originals(self) -> FolderStore:
        return self._originals

    @property
    def maps(self) -> SqliteCatalog:
        return self._catalog

    @property
    def uploads(self) -> SqliteCatalog:
        return self._catalog

    @property
    def counters(self) -> SqliteCatalog:
        return self._catalog

    @property
    def objects(self) -> WatchedFolder:
        return self._objects

    @property
    def dead_letters(self) -> FileDeadLetters:
        return self._dead_letters

    def problems(self) -> list[str]:
        return [*self._catalog.problems(), *self._originals.problems()]

    def unreachable(self) -> list[str]:
        return self._catalog.unreachable()

    def close(self) -> None:
        self._opened.close()


def _fill(index: FaissIndex, catalog: SqliteCatalog, model: str, data: Path) -> None:
    """Fill the index with all pictures, and warn of those that another model than this has embedded."""
    strange: Counter[str] = Counter()
    for kind in Kind:
        index.fill(_counting(catalog.scan(kind), strange))
    catalog.report_unknown_kinds()
    catalog.report_lost_libraries()
    strange.pop(model, None)
    for other, pictures in sorted(strange.items()):
        logger.warning(
            f"{pictures} pictures in {data} were added with the model {other}: {model} does not find them; give it a "
            "folder of its own, and add them again"
        )


def _counting(batches: Iterable[Sequence[Picture]], models: Counter[str]) -> Iterator[Sequence[Picture]]:
    """The same batches; ``models`` counts the live pictures of each model as they pass."""
    for batch in batches:
        models.update(picture.model for picture in batch if picture.live)
        yield batch
