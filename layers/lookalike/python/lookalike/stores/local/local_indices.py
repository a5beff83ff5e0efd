"""The vector indices of one machine: one in memory for each model, filled from the catalog when it is first asked for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lookalike.domain.library import Kind
from lookalike.domain.picture import Picture
from lookalike.observability import logger
from lookalike.ports import Embedder, Indices
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.vectors.index import FaissIndex


class LocalIndices(Indices):
    """Opens an index for each model that is asked for.

    Parameters
    ----------
    sqlite : where the rows are.
    data : the data folder, which a warning names.
    """

    def __init__(self, sqlite: SqliteStores, data: Path) -> None:
        self._sqlite = sqlite
        self._data = data
        self._lock = threading.Lock()
        self._filling: dict[str, threading.Lock] = {}
        self._indices: dict[str, FaissIndex] = {}

    def of(self, model: Embedder) -> FaissIndex:
        """Return the model's index, filled with all rows that have a vector of it."""
        models = self._sqlite.embeddings.models() if model.model not in self._indices else None
        return self._opened(model, further=models is not None and models.has_two)

    def _opened(self, model: Embedder, *, further: bool) -> FaissIndex:
        """Return the model's index. ``further``: rows that have no vector of it are left out, as they will have one."""
        name = model.model
        known = self._indices.get(name)
        if known is not None:
            return known
        with self._lock:
            filling = self._filling.setdefault(name, threading.Lock())
        with filling:
            if name not in self._indices:
                self._indices[name] = self._filled(model, further=further)
            return self._indices[name]

    def make(self, model: Embedder) -> None:
        """Open the model's index."""
        self._opened(model, further=True)

    def drop(self, model: str, live: str) -> None:
        """Close a model's index, and free its memory once no search uses it."""
        with self._lock:
            index = self._indices.pop(model, None)
            self._filling.pop(model, None)
        if index is not None and model != live:
            index.close()

    def close(self) -> None:
        """Close all indices."""
        for index in self._indices.values():
            index.close()

    def _filled(self, model: Embedder, *, further: bool) -> FaissIndex:
        codebooks = {kind: codebook for kind in Kind if (codebook := model.codebook(kind)) is not None}
        index = FaissIndex(codebooks, model.model)
        try:
            if further:
                for kind in Kind:
                    index.fill(self._with_vectors_of(model.model, self._sqlite.catalog.scan(kind)))
            else:
                self._fill_with_all(index, model.model)
        except BaseException:
            index.close()
            raise
        return index

    def _with_vectors_of(self, model: str, batches: Iterable[Sequence[Picture]]) -> Iterator[Sequence[Picture]]:
        """Yield the rows that have a vector of the model, each with it, and those that are not live."""
        for batch in batches:
            lacking = [row.object_key for row in batch if row.model != model and row.live]
            vectors = self._sqlite.embeddings.vectors(model, lacking)
            yield [
                row if row.model == model or not row.live else row.shown_with(model, vectors[row.object_key])
                for row in batch
                if row.model == model or not row.live or row.object_key in vectors
            ]

    def _fill_with_all(self, index: FaissIndex, model: str) -> None:
        """Fill the index with all pictures, and log a warning about those that another model has embedded."""
        rows_of_other_models: Counter[str] = Counter()
        for kind in Kind:
            index.fill(_count_models(self._sqlite.catalog.scan(kind), rows_of_other_models))
        rows_of_other_models.pop(model, None)
        for other, pictures in sorted(rows_of_other_models.items()):
            logger.warning(
                f"{pictures} pictures in {self._data} were added with the model {other}: {model} does not find them; give it "
                "a folder of its own, and add them again"
            )


def _count_models(batches: Iterable[Sequence[Picture]], models: Counter[str]) -> Iterator[Sequence[Picture]]:
    """Yield the batches, counting the live pictures of each model in ``models``."""
    for batch in batches:
        models.update(picture.model for picture in batch if picture.live)
        yield batch
