"""The vector indices of one machine: one for each model, filled when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lookalike.domain.library import Kind
from lookalike.domain.picture import Picture
from lookalike.observability import logger
from lookalike.ports import Embedder, Indices
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.vectors.file_keeper import FileKeeper
from lookalike.stores.vectors.index import FaissIndex, SegmentKeeper
from lookalike.stores.vectors.scans import Codebook
from lookalike.stores.vectors.sealed_segment import SealedSegment


class LocalIndices(Indices):
    """Opens an index for each model that is asked for.

    While there are vectors of two models, no index is kept in files: these are of rows alone, and are brought up to them by
    the catalog's log once there is one model again.

    Parameters
    ----------
    sqlite : where the rows are.
    data : the data folder, which a warning names.
    keeper : keeps the only model's index in files.
    """

    def __init__(self, sqlite: SqliteStores, data: Path, keeper: FileKeeper) -> None:
        self._sqlite = sqlite
        self._data = data
        self._keeper = keeper
        self._lock = threading.Lock()
        self._filling: dict[str, threading.Lock] = {}
        self._indices: dict[str, FaissIndex] = {}

    def of(self, model: Embedder) -> FaissIndex:
        """Return the model's index, filled with all rows that have a vector of it."""
        known = self._indices.get(model.model)
        if known is not None:
            return known
        models = self._sqlite.embeddings.models()
        if models is not None and models.has_two:
            return self._opened(model, self._further)
        is_only = models is None or models.live.name == model.model
        return self._opened(model, self._kept if is_only else self._unkept)

    def make(self, model: Embedder) -> None:
        """Open a further model's index. From now on no index is kept in files."""
        for name, index in list(self._indices.items()):
            index.keep_by(_NoFiles(self._sqlite, name))
        self._opened(model, self._further)

    def drop(self, model: str, live: str) -> None:
        """Close a model's index, and free its memory once no search uses it."""
        with self._lock:
            index = self._indices.pop(model, None)
            self._filling.pop(model, None)
        if index is not None:
            index.close()

    def close(self) -> None:
        """Close all indices."""
        for index in self._indices.values():
            index.close()

    def _opened(self, model: Embedder, fill: Callable[[Embedder], FaissIndex]) -> FaissIndex:
        """Return the model's index, which is filled if it is not there."""
        name = model.model
        with self._lock:
            filling = self._filling.setdefault(name, threading.Lock())
        with filling:
            if name not in self._indices:
                self._indices[name] = fill(model)
            return self._indices[name]

    def _kept(self, model: Embedder) -> FaissIndex:
        """Return an index of all rows that is kept in files."""
        index = FaissIndex(_codebooks(model), model.model, keeper=self._keeper)
        with _closing_if_it_fails(index):
            self._keeper.start(index)
            self._report(index, model.model)
        return index

    def _unkept(self, model: Embedder) -> FaissIndex:
        """Return an index of all rows in memory."""
        index = FaissIndex(_codebooks(model), model.model)
        with _closing_if_it_fails(index):
            for kind in Kind:
                index.fill(self._sqlite.catalog.scan(kind))
            self._report(index, model.model)
        return index

    def _further(self, model: Embedder) -> FaissIndex:
        """Return an index of the rows that have a vector of the model; the others will have one."""
        index = FaissIndex(_codebooks(model), model.model, keeper=_NoFiles(self._sqlite, model.model))
        with _closing_if_it_fails(index):
            for kind in Kind:
                index.fill(_with_vectors_of(model.model, self._sqlite, self._sqlite.catalog.scan(kind)))
        return index

    def _report(self, index: FaissIndex, model: str) -> None:
        """Log a warning about the pictures that another model has embedded."""
        for other, pictures in sorted(index.live_by_model().items()):
            if pictures and other != model:
                logger.warning(
                    f"{pictures} pictures in {self._data} were added with the model {other}: {model} does not find them; give "
                    "it a folder of its own, and add them again"
                )


class _NoFiles(SegmentKeeper):
    """Keeps segments in memory. What is damaged in a file that is mapped still is made again with a model's vectors."""

    def __init__(self, sqlite: SqliteStores, model: str) -> None:
        self._sqlite = sqlite
        self._model = model

    def keep(self, segment: SealedSegment, library: str, codebook: Codebook | None) -> SealedSegment:
        return segment

    def keep_up(self, index: FaissIndex, *, last: bool = False) -> None:
        """Do nothing: there are no files."""

    def pictures_of(self, library: str) -> Iterator[Sequence[Picture]]:
        return _with_vectors_of(self._model, self._sqlite, self._sqlite.changes.pictures_of(library))


@contextmanager
def _closing_if_it_fails(index: FaissIndex) -> Iterator[None]:
    try:
        yield
    except BaseException:
        index.close()
        raise


def _codebooks(model: Embedder) -> dict[Kind, Codebook]:
    return {kind: codebook for kind in Kind if (codebook := model.codebook(kind)) is not None}


def _with_vectors_of(
    model: str, sqlite: SqliteStores, batches: Iterable[Sequence[Picture]]
) -> Iterator[Sequence[Picture]]:
    """Yield the rows that have a vector of the model, each with it, and those that are not live."""
    for batch in batches:
        lacking = [row.object_key for row in batch if row.model != model and row.live]
        vectors = sqlite.embeddings.vectors(model, lacking)
        yield [
            row if row.model == model or not row.live else row.shown_with(model, vectors[row.object_key])
            for row in batch
            if row.model == model or not row.live or row.object_key in vectors
        ]
