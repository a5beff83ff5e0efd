"""A vector index without a service: segments in S3 beside a log in the table, scanned exactly where it is asked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from lookalike.domain.inventory import IndexEntry
from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.domain.search import Candidate, Query
from lookalike.errors import Unavailable
from lookalike.observability import logger
from lookalike.ports import Clock, VectorIndex
from lookalike.ports.clock import unix_milliseconds
from lookalike.stores.aws.dynamodb_table import Table
from lookalike.stores.aws.segment_compaction import Limits
from lookalike.stores.aws.segment_library import PicturesOf, SegmentLibrary
from lookalike.stores.aws.segment_log import SegmentLog, logged_libraries
from lookalike.stores.aws.segment_objects import SegmentObjects
from lookalike.stores.segments.exact_search import nearest
from lookalike.stores.segments.index_row import IndexRow
from lookalike.stores.segments.layers import HeldRow

T = TypeVar("T")

#: Bytes of segments that a process keeps in memory: what a function of 1,769 MB has beside its models.
MAX_RESIDENT = 600 << 20

#: Rows of a listing's batch.
_BATCH_ROWS = 1000

#: Default limits of all libraries.
LIMITS = Limits()


class SegmentIndex(VectorIndex):
    """Every search sees every write that had returned before it, and compares the query with every picture.

    A write that nobody waits for brings a long log into segments, too: those are background functions'.

    Parameters
    ----------
    pictures_of : returns a library's rows in the catalog, from which its index is made where it is missing or damaged.
    clock : Unix milliseconds.
    limits : when segments are made.
    space : name of the logs; empty: those of the model that was there first.
    model : the model whose pictures are counted, as searches find no others; empty: all are counted.
    max_resident : bytes of segments in memory, above which libraries are forgotten that were not used for longest.
    """

    def __init__(
        self,
        table: Table,
        objects: SegmentObjects,
        pictures_of: PicturesOf,
        *,
        clock: Clock = unix_milliseconds,
        limits: Limits = LIMITS,
        space: str = "",
        model: str = "",
        max_resident: int = MAX_RESIDENT,
    ) -> None:
        self._table = table
        self._objects = objects
        self._pictures_of = pictures_of
        self._clock = clock
        self._limits = limits
        self._space = space
        self._model = model
        self._max_resident = max_resident
        self._lock = threading.Lock()
        self._libraries: OrderedDict[str, SegmentLibrary] = OrderedDict()

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        self._append([(picture.key.library, IndexRow.of(picture)) for picture in pictures], compacts=not wait)

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        rows = [(picture.key.library, IndexRow.of(picture, removed=True)) for picture in pictures]
        self._append(rows, compacts=not wait)

    def search(self, query: Query) -> Sequence[Candidate]:
        found = [
            candidate
            for uid in dict.fromkeys(query.libraries)
            for candidate in self._library(uid).use(lambda layers: nearest(layers, query))
        ]
        found.sort(key=lambda one: (-one.cosine, one.key.library, one.key.id))
        return found[: query.k]

    def count(self, *libraries: str) -> int:
        model = self._model or None
        return sum(self._library(one).use(lambda layers: layers.live_rows(model)) for one in dict.fromkeys(libraries))

    def generations(self) -> Mapping[Kind, str]:
        return {}

    def entries(self) -> Iterator[Sequence[IndexEntry]]:
        for uid in self.libraries():
            held = self._library(uid).use(lambda layers: list(layers.all()))
            for begin in range(0, len(held), _BATCH_ROWS):
                yield [_entry(uid, row) for row in held[begin : begin + _BATCH_ROWS]]

    def held(self, kind: Kind, keys: Sequence[Key]) -> Sequence[IndexEntry]:
        found = []
        for uid, ids in _by_library((key.library, key.id) for key in keys).items():
            found += [_entry(uid, row) for row in self._rows(uid, ids) if row.kind == kind]
        return found

    def libraries(self) -> Sequence[str]:
        """Return the uids of the libraries that this index has something of. Raises Unavailable."""
        return [uid for uid, space in logged_libraries(self._table) if space == self._space]

    def make_again(self, library: str) -> int:
        """Make a library's index from the catalog, whatever is there; return the number of its live rows."""
        return self._library(library).make_again().live_rows(self._model or None)

    def forget(self) -> None:
        """Delete this index of all libraries."""
        for uid in self.libraries():
            self._library(uid).forget()
        with self._lock:
            self._libraries.clear()

    def _rows(self, uid: str, ids: Sequence[str]) -> Sequence[HeldRow]:
        return self._library(uid).use(lambda layers: list(layers.find(ids)))

    def _append(self, rows: Iterable[tuple[str, IndexRow]], *, compacts: bool) -> None:
        for uid, some in _by_library(rows).items():
            library = self._library(uid)
            library.append(some)
            if compacts:
                try:
                    library.compact()
                except Unavailable:
                    logger.exception("an index's log stays as it is", extra={"operation": "index", "library": uid})

    def _library(self, uid: str) -> SegmentLibrary:
        """Return a library as this process knows it, and forget others if memory is short."""
        with self._lock:
            if uid not in self._libraries:
                log = SegmentLog(self._table, uid, self._space)
                self._libraries[uid] = SegmentLibrary(
                    uid, log, self._objects, self._pictures_of, self._clock, self._limits
                )
            self._libraries.move_to_end(uid)
            while (
                len(self._libraries) > 1 and sum(one.resident for one in self._libraries.values()) > self._max_resident
            ):
                self._libraries.popitem(last=False)
            return self._libraries[uid]


def _by_library(pairs: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {}
    for uid, one in pairs:
        found.setdefault(uid, []).append(one)
    return found


def _entry(library: str, row: HeldRow) -> IndexEntry:
    return IndexEntry(Key(library, row.id), Kind(row.kind), row.revision, row.live, row.model)
