"""The segment that new rows are appended to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import Picture
from lookalike.domain.search import TagFilter
from lookalike.stores.segments import inner_products
from lookalike.stores.segments.inner_products import Float16Vectors, Rows
from lookalike.stores.segments.packed_candidate import pack
from lookalike.stores.segments.text_hash import hashes_of, tag_hash
from lookalike.stores.vectors.segment_protocol import TOMBSTONE, CandidateRows, Depth, Mask, Segment, Space

G = TypeVar("G", bound=np.generic)

#: Rows that fit before the first reallocation.
_INITIAL_CAPACITY = 16


class MutableSegment(Segment):
    """The latest rows of one library and space, in order of arrival. Searched exactly, row by row.

    Appending never changes an existing row, so searches of the first ``count`` rows may run at the same time.
    """

    def __init__(self, space: Space, *, logged: bool = True) -> None:
        self.space = space
        self.logged = logged
        self.tombstones = 0
        self.vectors: Float16Vectors = inner_products.empty_vectors(_INITIAL_CAPACITY)
        self._hashes: NDArray[np.int64] = np.zeros(_INITIAL_CAPACITY, np.int64)
        self.revisions: NDArray[np.int64] = np.zeros(_INITIAL_CAPACITY, np.int64)
        self.live: Mask = np.zeros(_INITIAL_CAPACITY, np.bool_)
        self._records: list[bytes] = []
        self._tags: list[tuple[str, ...]] = []
        self._rows: dict[str, int] = {}

    @property
    def count(self) -> int:
        return len(self._records)

    def append(self, pictures: Sequence[Picture]) -> None:
        """Append rows. Their ids must differ from each other and from those of all current rows."""
        first, end = self.count, self.count + len(pictures)
        while end > len(self.vectors):
            self._grow()
        ids = [picture.key.id for picture in pictures]
        np.concatenate([picture.vector for picture in pictures], out=self.vectors[first:end].reshape(-1))
        self._hashes[first:end] = hashes_of(ids)
        self.revisions[first:end] = [picture.revision for picture in pictures]
        self.live[first:end] = [picture.live for picture in pictures]
        self._rows.update(zip(ids, range(first, end), strict=True))
        self._tags.extend(picture.metadata.tags for picture in pictures)
        self._records.extend(map(pack, pictures))

    def contains(self, ids: Sequence[str]) -> Mask:
        """Return the mask of those ids that have a row, tombstones included."""
        return np.fromiter(map(self._rows.__contains__, ids), np.bool_, len(ids))

    def find(self, id_: str) -> int | None:
        row = self._rows.get(id_)
        return None if row is None or self.revisions[row] == TOMBSTONE else row

    def hashes(self) -> NDArray[np.int64]:
        return self._hashes[: self.count]

    def record(self, row: int) -> bytes:
        return self._records[row]

    def require_vectors(self, rows: Rows | None = None) -> None:
        """Nothing to compare: they are in memory."""

    def require_records(self) -> None:
        """Nothing to compare: they are in memory."""

    def tag_pairs(self) -> tuple[NDArray[np.int64], Rows]:
        pairs = [(tag_hash(tag), row) for row, tags in enumerate(self._tags) for tag in dict.fromkeys(tags)]
        columns = np.array(pairs, np.int64).reshape(-1, 2)
        return columns[:, 0], columns[:, 1]

    def tag_mask(self, tags: TagFilter, count: int) -> Mask:
        return np.fromiter((tags.keeps(have) for have in self._tags[:count]), np.bool_, count)

    def first_look(self, views: NDArray[np.float32], allowed: Mask, depth: int) -> CandidateRows | None:
        return None

    def candidates(
        self, views: NDArray[np.float32], allowed: Mask, depth: Depth, least: float = -np.inf
    ) -> CandidateRows:
        # A mutable segment is small, so every row is scored.
        return CandidateRows(np.flatnonzero(allowed))

    def _grow(self) -> None:
        self.vectors = _doubled(self.vectors)
        self._hashes = _doubled(self._hashes)
        self.revisions = _doubled(self.revisions)
        self.live = _doubled(self.live)


def _doubled(old: NDArray[G]) -> NDArray[G]:
    new = np.zeros((2 * len(old), *old.shape[1:]), old.dtype)
    new[: len(old)] = old
    return new
