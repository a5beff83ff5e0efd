"""A segment that takes no more rows, laid out for scanning by FAISS, in memory or mapped from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.domain.search import TagFilter
from lookalike.stores.segments.checked_blocks import CheckedBlocks
from lookalike.stores.segments.columns import Columns
from lookalike.stores.segments.inner_products import Rows
from lookalike.stores.segments.packed_candidate import id_of
from lookalike.stores.segments.text_hash import hash_of, tag_hash
from lookalike.stores.vectors.listed_codes import ListedCodes
from lookalike.stores.vectors.segment_protocol import TOMBSTONE, CandidateRows, Depth, Mask, Segment, Space

#: Rows. Up to this number NumPy scores each as fast as FAISS scans them, and without a bitmap of the allowed rows.
MAX_UNINDEXED_ROWS = 1024

#: A scan of codes ignores the mask of allowed rows. It fetches this multiple of the number of rows among which the
#: allowed ones are expected to be enough.
_OVERFETCH = 1.3

#: Lists of codes are read where more than the rows divided by this are allowed, else the allowed rows themselves.
_MIN_LISTED_SHARE = 32

#: Bytes of a vector.
_VECTOR_BYTES = 512


class SealedSegment(Segment):
    """Rows of one library and space.

    Search takes one of three ways: FAISS's scan of all rows' 4-bit product codes, whose best are then rescored exactly;
    FAISS's exact scan of the allowed rows; or, where few are allowed, none: all of them are candidates.

    Parameters
    ----------
    flat_index : a FAISS index over the memory of the vectors; None in a small segment.
    pq_index : a FAISS index over the vectors' 4-bit codes, in lists if it is large; None in a small segment or without a
        codebook.
    checked : for columns of a mapped file, what compares them as they are read.
    file : name of the file that holds the segment; None: it is in memory alone.
    """

    def __init__(
        self,
        space: Space,
        columns: Columns,
        flat_index: Any,
        pq_index: Any,
        checked: Mapping[str, CheckedBlocks] | None = None,
        file: str | None = None,
    ) -> None:
        self.space = space
        self.columns = columns
        self.flat_index = flat_index
        self.pq_index = pq_index
        self._listed = ListedCodes(pq_index) if isinstance(pq_index, faiss.IndexIVFPQFastScan) else None
        self.file = file
        self.logged = True
        self._checked = dict(checked or {})
        self._records = memoryview(columns.records)
        self.vectors = columns.vectors
        self.revisions = columns.revisions.copy()
        self.live = columns.live.copy()
        self.tombstones = self._count_tombstones()

    @property
    def count(self) -> int:
        return len(self.columns.hashes)

    def set_states(self, rows: Rows, revisions: NDArray[np.int64], live: Mask) -> None:
        """Replace the revisions and live flags of some rows."""
        self.revisions[rows] = revisions
        self.live[rows] = live
        self.tombstones = self._count_tombstones()

    def changed_rows(self) -> Rows:
        """Return the rows whose revision or live flag is not what they were sealed with."""
        return np.flatnonzero((self.revisions != self.columns.revisions) | (self.live != self.columns.live))

    def hashes(self) -> NDArray[np.int64]:
        hashes = np.empty(self.count, np.int64)
        hashes[self.columns.hash_rows] = self.columns.hashes
        return hashes

    def contains(self, hashes: NDArray[np.int64]) -> Mask:
        """Return the mask of those id hashes that have a row, tombstones included."""
        places = np.searchsorted(self.columns.hashes, hashes)
        return np.equal(self.columns.hashes[np.minimum(places, self.count - 1)], hashes)

    def find(self, id_: str) -> int | None:
        wanted = hash_of(id_)
        place = int(np.searchsorted(self.columns.hashes, wanted))
        while place < self.count and self.columns.hashes[place] == wanted:
            row = self.columns.hash_rows.item(place)
            if self.revisions[row] != TOMBSTONE and id_of(self.record(row)) == id_:
                return row
            place += 1
        return None

    def record(self, row: int) -> memoryview:
        start, end = self.columns.record_offsets.item(row), self.columns.record_offsets.item(row + 1)
        if self._checked:
            self._checked["records"].require_range(start, end)
        return self._records[start:end]

    def require_vectors(self, rows: Rows | None = None) -> None:
        if not self._checked:
            return
        if rows is None:
            self._checked["vectors"].require_range(0, self.vectors.nbytes)
        else:
            self._checked["vectors"].require(rows * _VECTOR_BYTES, _VECTOR_BYTES)

    def require_records(self) -> None:
        if self._checked:
            self._checked["records"].require_range(0, len(self._records))

    def tag_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        return self.columns.tag_hashes, self.columns.tag_rows

    def tag_mask(self, tags: TagFilter, count: int) -> Mask:
        mask = np.ones(count, np.bool_)
        if tags.all_of:
            mask &= self._tag_counts(tags.all_of)[:count] == len(tags.all_of)
        if tags.any_of:
            mask &= self._tag_counts(tags.any_of)[:count] > 0
        if tags.none_of:
            mask &= self._tag_counts(tags.none_of)[:count] == 0
        return mask

    def _tag_counts(self, tags: frozenset[str]) -> NDArray[np.int32]:
        """Return of each row how many of these tags it has, shape (count,)."""
        counts = np.zeros(self.count, np.int32)
        hashes = self.columns.tag_hashes
        for wanted in map(tag_hash, tags):
            start, end = np.searchsorted(hashes, wanted, "left"), np.searchsorted(hashes, wanted, "right")
            counts[self.columns.tag_rows[start:end]] += 1
        return counts

    def first_look(self, views: NDArray[np.float32], allowed: Mask, depth: int) -> CandidateRows | None:
        if self._listed is None or self._is_scored_exactly(int(np.count_nonzero(allowed)), depth):
            return None
        return _merged(*self._listed.first_look(views, _bitmap(allowed), depth), self.count)

    def candidates(
        self, views: NDArray[np.float32], allowed: Mask, depth: Depth, least: float = -np.inf
    ) -> CandidateRows:
        wanted = int(np.count_nonzero(allowed))
        if self.flat_index is None or wanted <= max(MAX_UNINDEXED_ROWS, depth.exact):
            return CandidateRows(np.flatnonzero(allowed))
        if self._listed is not None and not self._is_scored_exactly(wanted, depth.exact):
            return _merged(*self._listed.search(views, _bitmap(allowed), depth.estimated, least), self.count)
        # The scan of codes takes longer the fewer rows are allowed, as more must be fetched; the exact scan takes
        # longer the more are allowed. Measured, both take the same time at about wanted² = 8 · depth · count.
        if self._listed is None and self.pq_index is not None and wanted * wanted > 8 * depth.estimated * self.count:
            return self._search_pq(views, allowed, int(depth.estimated * self._overfetch(wanted)))
        return self._search_flat(views, allowed, depth.exact)

    def _is_scored_exactly(self, wanted: int, depth: int) -> bool:
        """Return whether so few rows are allowed that the exact scan of them takes less time than lists do."""
        return wanted <= max(MAX_UNINDEXED_ROWS, depth, self.count // _MIN_LISTED_SHARE)

    def _overfetch(self, wanted: int) -> float:
        return 1 if wanted == self.count else _OVERFETCH * self.count / wanted

    def _search_pq(self, views: NDArray[np.float32], allowed: Mask, depth: int) -> CandidateRows:
        """Return the allowed rows among the ``depth`` best by code."""
        estimates, rows = self.pq_index.search(views, min(depth, self.count))
        found = _merged(estimates, rows, self.count)
        kept = allowed[found.rows]
        bound = found.bound if depth < self.count else -np.inf
        return CandidateRows(found.rows[kept], None if found.estimates is None else found.estimates[kept], bound)

    def _search_flat(self, views: NDArray[np.float32], allowed: Mask, depth: int) -> CandidateRows:
        """Return the ``depth`` best of the allowed rows."""
        some = None
        if not allowed.all():
            bitmap = _bitmap(allowed)
            some = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))  # type: ignore[call-arg, arg-type]
        self.require_vectors()
        found, rows = self.flat_index.search(views, depth, params=some)
        return CandidateRows(np.unique(rows), bound=float(found[:, -1].max()))

    def _count_tombstones(self) -> int:
        return int(np.count_nonzero(self.revisions == TOMBSTONE))


def _bitmap(allowed: Mask) -> NDArray[np.uint8] | None:
    """Return the mask as FAISS reads it; None if it allows all rows."""
    return None if allowed.all() else np.packbits(allowed, bitorder="little")


def _merged(estimates: NDArray[np.float32], rows: Rows, count: int) -> CandidateRows:
    """Return the rows that scans found for any view, each with its greatest estimate.

    Parameters
    ----------
    estimates, rows : of each view, shape (V, n), best first. A view has no row twice; -1 stands for none.
    count : rows of the segment.
    """
    bound = float(np.max(estimates[:, -1], where=rows[:, -1] >= 0, initial=-np.inf))
    if len(rows) == 1:
        found = rows >= 0
        return CandidateRows(rows[found], estimates[found], bound)
    best = np.full(count, -np.inf, np.float32)
    distinct = []
    for found, some, estimated in zip(rows >= 0, rows, estimates, strict=True):
        mine = some[found]
        known = best[mine]
        best[mine] = np.maximum(known, estimated[found])
        distinct.append(mine[known == -np.inf])
    every = np.concatenate(distinct)
    return CandidateRows(every, best[every], bound)
