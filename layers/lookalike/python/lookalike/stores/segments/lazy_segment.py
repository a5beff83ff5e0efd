"""A segment whose sections are read where they are first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.search import TagFilter
from lookalike.stores.segments.inner_products import Rows, to_float32
from lookalike.stores.segments.packed_candidate import Buffer
from lookalike.stores.segments.row_batch import REMOVED, RowBatch
from lookalike.stores.segments.text_hash import tag_hash

#: Rows converted at a time.
_BLOCK_ROWS = 8192


class LazySegment:
    """Rows of one library and space that never change. Safe to use from several threads.

    Every method may raise what ``read`` raises.

    Parameters
    ----------
    model, kind : the space.
    count : number of rows.
    name : of what holds the segment.
    read : returns a section by its name; called once for each.
    """

    def __init__(self, model: str, kind: str, count: int, name: str, read: Callable[[str], NDArray[Any]]) -> None:
        self.model = model
        self.kind = kind
        self.count = count
        self.name = name
        self._read = read
        self._lock = threading.Lock()
        self._sections: dict[str, NDArray[Any]] = {}

    @property
    def resident(self) -> int:
        """Bytes of what has been read."""
        return sum(one.nbytes for one in list(self._sections.values()))

    @property
    def hashes(self) -> NDArray[np.int64]:
        """Sorted hashes of the rows' ids, shape (n,)."""
        return self._section("hashes")

    @property
    def hash_rows(self) -> NDArray[np.int32]:
        """The row of each hash, shape (n,)."""
        return self._section("hash_rows")

    @property
    def revisions(self) -> NDArray[np.int64]:
        """Shape (n,)."""
        return self._section("revisions")

    @property
    def live(self) -> NDArray[np.bool_]:
        """Shape (n,)."""
        return self._section("live")

    @property
    def removed(self) -> NDArray[np.bool_]:
        """Whether a row says that its picture was removed for good, shape (n,)."""
        return self._section(REMOVED)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """The vectors as float32, which hold float16 numbers exactly, shape (n, DIMENSION)."""
        return self._section("vectors")

    def record(self, row: int) -> Buffer:
        """Return a row's packed candidate."""
        offsets = self._section("record_offsets")
        return memoryview(self._section("records"))[offsets.item(row) : offsets.item(row + 1)]

    def find(self, hashes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each of these hashes, -1 where there is none, shape (n,)."""
        if not self.count:
            return np.full(len(hashes), -1, np.int64)
        places = np.minimum(np.searchsorted(self.hashes, hashes), self.count - 1)
        return np.where(self.hashes[places] == hashes, self.hash_rows[places].astype(np.int64), -1)

    def tag_mask(self, tags: TagFilter) -> NDArray[np.bool_]:
        """Return the mask of the rows that pass the filter."""
        mask = np.ones(self.count, np.bool_)
        if tags.all_of:
            mask &= self._tag_counts(tags.all_of) == len(tags.all_of)
        if tags.any_of:
            mask &= self._tag_counts(tags.any_of) > 0
        if tags.none_of:
            mask &= self._tag_counts(tags.none_of) == 0
        return mask

    def batch(self, rows: Rows) -> RowBatch:
        """Return some rows for a new segment."""
        places = np.full(self.count, -1, np.int64)
        places[rows] = np.arange(len(rows))
        tag_places = places[self._section("tag_rows")]
        kept = tag_places >= 0
        hashes = np.empty(self.count, np.int64)
        hashes[self.hash_rows] = self.hashes
        return RowBatch(
            vectors=self.vectors[rows].astype(np.float16),
            hashes=hashes[rows],
            revisions=self.revisions[rows],
            live=self.live[rows],
            removed=self.removed[rows],
            records=[self.record(row) for row in rows.tolist()],
            tag_hashes=self._section("tag_hashes")[kept],
            tag_rows=tag_places[kept],
        )

    def _tag_counts(self, tags: Sequence[str] | frozenset[str]) -> NDArray[np.int32]:
        """Return of each row how many of these tags it has, shape (n,)."""
        counts = np.zeros(self.count, np.int32)
        hashes, rows = self._section("tag_hashes"), self._section("tag_rows")
        for wanted in map(tag_hash, tags):
            start, end = np.searchsorted(hashes, wanted, "left"), np.searchsorted(hashes, wanted, "right")
            counts[rows[start:end]] += 1
        return counts

    def _section(self, name: str) -> NDArray[Any]:
        found = self._sections.get(name)
        if found is None:
            with self._lock:
                if name not in self._sections:
                    read = self._read(name)
                    self._sections[name] = _to_float32(read) if name == "vectors" else read
                found = self._sections[name]
        return found


def _to_float32(vectors: NDArray[np.float16]) -> NDArray[np.float32]:
    converted = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        converted[start : start + _BLOCK_ROWS] = to_float32(vectors[start : start + _BLOCK_ROWS])
    return converted
