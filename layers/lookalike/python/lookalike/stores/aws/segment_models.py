"""An index of segments for each model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from lookalike.domain.picture import Picture
from lookalike.ports import Catalog, Embedder, Embeddings, Indices
from lookalike.stores.aws.dynamodb_attributes import text
from lookalike.stores.aws.dynamodb_keys import generation_key
from lookalike.stores.aws.dynamodb_table import Table
from lookalike.stores.aws.segment_compaction import Limits
from lookalike.stores.aws.segment_index import LIMITS, SegmentIndex
from lookalike.stores.aws.segment_objects import SegmentObjects

#: Seconds for which a process remembers whose log is the one without a name, as it does the names of other indices.
_REMEMBERED_SECONDS = 30.0

#: Rows read from the catalog at a time.
_PAGE = 1000

#: Name of the item that says which log all indices use that are no model's own. There is none until a model is dropped.
_SHARED = "segments"


class SegmentModels(Indices):
    """A further model's index has a log of its own, beside the one in use.

    The log in use belongs to the model that was there first. Dropping that model gives its place to the log of the one that
    is live.

    Parameters
    ----------
    catalog, embeddings : what indices are made from where they are missing or damaged.
    clock : monotonic, in seconds.
    """

    def __init__(
        self,
        table: Table,
        objects: SegmentObjects,
        catalog: Catalog,
        embeddings: Embeddings,
        *,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits = LIMITS,
    ) -> None:
        self._table = table
        self._objects = objects
        self._catalog = catalog
        self._embeddings = embeddings
        self._clock = clock
        self._limits = limits
        self._lock = threading.Lock()
        self._indices: dict[tuple[str, str], SegmentIndex] = {}
        self._names: dict[str, tuple[float, str | None]] = {}

    @property
    def shared(self) -> SegmentIndex:
        """The index in use while there is one model."""
        return self._index(self._name(_SHARED) or "", "")

    def of(self, model: Embedder) -> SegmentIndex:
        return self.of_name(model.model)

    def of_name(self, name: str) -> SegmentIndex:
        """Return the index of the model of this name."""
        own = self._name(_own(name))
        return self._index(own if own is not None else self._name(_SHARED) or "", name)

    def make(self, model: Embedder) -> None:
        if self._read(_own(model.model)) is None:
            self._index(model.model, model.model).forget()  # left by one that was given up
            self._save(_own(model.model), model.model)

    def drop(self, model: str, live: str) -> None:
        of_dropped, of_live = self._read(_own(model)), self._read(_own(live))
        if of_live is None:  # the live model is the first one
            if of_dropped is not None:
                self._index(of_dropped, model).forget()
                self._remove(_own(model))
            return
        shared = self._read(_SHARED) or ""
        if shared != of_live:
            self._save(_SHARED, of_live)
            self._index(shared, "").forget()
        self._remove(_own(live))

    def _index(self, space: str, model: str) -> SegmentIndex:
        """Return the index of a log, in which the pictures of a model count, or all of them."""
        with self._lock:
            if (space, model) not in self._indices:
                self._indices[space, model] = SegmentIndex(
                    self._table,
                    self._objects,
                    lambda library: self._pictures_of(library, model),
                    limits=self._limits,
                    space=space,
                    model=model,
                )
            return self._indices[space, model]

    def _pictures_of(self, library: str, model: str) -> Iterator[Sequence[Picture]]:
        """Yield a library's rows; given a model, those that have a vector of it, and those that are not live."""
        after: str | None = None
        while rows := self._catalog.pictures(library, after, _PAGE):
            yield _with_vectors_of(model, rows, self._embeddings) if model else rows
            after = rows[-1].key.id

    def _name(self, item: str) -> str | None:
        """Return what an item says, as it is or was a short while ago."""
        known = self._names.get(item)
        if known is None or self._clock() >= known[0]:
            known = self._clock() + _REMEMBERED_SECONDS, self._read(item)
            self._names[item] = known
        return known[1]

    def _read(self, item: str) -> str | None:
        found = self._table.get(generation_key(item))
        return None if found is None else str(found["log"]["S"])

    def _save(self, item: str, name: str) -> None:
        self._table.put(generation_key(item).values | {"log": text(name)})
        self._names.pop(item, None)

    def _remove(self, item: str) -> None:
        self._table.delete(generation_key(item))
        self._names.pop(item, None)


def _own(model: str) -> str:
    """Return the name of the item that says which log is the model's own."""
    return f"{_SHARED}@{model}"


def _with_vectors_of(model: str, rows: Sequence[Picture], embeddings: Embeddings) -> Sequence[Picture]:
    lacking = [row.object_key for row in rows if row.model != model and row.live]
    vectors = embeddings.vectors(model, lacking) if lacking else {}
    return [
        row if row.model == model or not row.live else row.shown_with(model, vectors[row.object_key])
        for row in rows
        if row.model == model or not row.live or row.object_key in vectors
    ]
