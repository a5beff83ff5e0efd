"""A segment that takes no more rows, laid out for scanning by FAISS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import DIMENSION
from lookalike.domain.search import TagFilter
from lookalike.stores.vectors import inner_products
from lookalike.stores.vectors.inner_products import Float16Vectors, Rows, to_float32
from lookalike.stores.vectors.packed_candidate import id_of
from lookalike.stores.vectors.segment_protocol import TOMBSTONE, CandidateRows, Depth, Mask, Segment, Space

Codebook = NDArray[np.float32]
"""A 4-bit product quantiser: 16 centroids for each pair of a vector's components, shape (DIMENSION / 2, 16, 2)."""

#: Rows. Up to this number NumPy scores each as fast as FAISS scans them, and without a bitmap of the allowed rows.
_MAX_UNINDEXED_ROWS = 1024

#: A scan of codes ignores the mask of allowed rows. It fetches this multiple of the number of rows among which the
#: allowed ones are expected to be enough.
_OVERFETCH = 1.3

#: Rows encoded at a time.
_BLOCK_ROWS = 8192


@dataclass(slots=True, eq=False)
class SealedSegment(Segment):
    """Rows of one library and space, ordered by the hash of their ids.

    Search takes one of three ways: FAISS's scan of all rows' 4-bit product codes, whose best are then rescored exactly;
    FAISS's exact scan of the allowed rows; or, where few are allowed, none: all of them are candidates.

    Attributes
    ----------
    records : the packed candidates end to end; row r's is ``records[record_offsets[r] : record_offsets[r + 1]]``.
    record_offsets : shape (count + 1,).
    tag_hashes : hashes of all rows' tags, sorted, shape (n,).
    tag_rows : the row of each of ``tag_hashes``, shape (n,).
    flat_index : a FAISS index over the memory of ``vectors``; None in a small segment.
    pq_index : a FAISS index over the vectors' 4-bit codes; None in a small segment or without a codebook.
    """

    space: Space
    vectors: Float16Vectors
    id_hashes: NDArray[np.int64]
    revisions: NDArray[np.int64]
    live: Mask
    records: bytes
    record_offsets: NDArray[np.int64]
    tag_hashes: NDArray[np.int64]
    tag_rows: Rows
    flat_index: Any
    pq_index: Any
    tombstones: int = 0

    @property
    def count(self) -> int:
        return len(self.id_hashes)

    def contains(self, hashes: NDArray[np.int64]) -> Mask:
        """Return the mask of those id hashes that have a row, tombstones included."""
        places = np.searchsorted(self.id_hashes, hashes)
        return np.equal(self.id_hashes[np.minimum(places, self.count - 1)], hashes)

    def find(self, id_: str) -> int | None:
        wanted = hash(id_)
        row = int(np.searchsorted(self.id_hashes, wanted))
        while row < self.count and self.id_hashes[row] == wanted:
            if self.revisions[row] != TOMBSTONE and id_of(self.record(row)) == id_:
                return row
            row += 1
        return None

    def record(self, row: int) -> bytes:
        return self.records[self.record_offsets.item(row) : self.record_offsets.item(row + 1)]

    def tag_pairs(self) -> tuple[NDArray[np.int64], Rows]:
        return self.tag_hashes, self.tag_rows

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
        for tag in tags:
            start, end = (
                np.searchsorted(self.tag_hashes, hash(tag), "left"),
                np.searchsorted(self.tag_hashes, hash(tag), "right"),
            )
            counts[self.tag_rows[start:end]] += 1
        return counts

    def candidates(self, views: NDArray[np.float32], allowed: Mask, depth: Depth) -> CandidateRows:
        wanted = int(np.count_nonzero(allowed))
        if self.flat_index is None or wanted <= max(_MAX_UNINDEXED_ROWS, depth.exact):
            return CandidateRows(np.flatnonzero(allowed))
        # The scan of codes takes longer the fewer rows are allowed, as more must be fetched; the exact scan takes
        # longer the more are allowed. Measured, both take the same time at about wanted² = 8 · depth · count.
        if self.pq_index is not None and wanted * wanted > 8 * depth.estimated * self.count:
            return self._search_pq(views, allowed, int(depth.estimated * self._overfetch(wanted)))
        return self._search_flat(views, allowed, depth.exact)

    def _overfetch(self, wanted: int) -> float:
        return 1 if wanted == self.count else _OVERFETCH * self.count / wanted

    def _search_pq(self, views: NDArray[np.float32], allowed: Mask, depth: int) -> CandidateRows:
        """Return the allowed rows among the ``depth`` best by code."""
        found, rows = self.pq_index.search(views, min(depth, self.count))
        best = np.full(self.count, -np.inf, np.float32)
        for some, estimates in zip(rows, found, strict=True):
            best[some] = np.maximum(best[some], estimates)
        kept = np.flatnonzero(best > -np.inf)
        kept = kept[allowed[kept]]
        return CandidateRows(kept, best[kept], bound=float(found[:, -1].max()) if depth < self.count else -np.inf)

    def _search_flat(self, views: NDArray[np.float32], allowed: Mask, depth: int) -> CandidateRows:
        """Return the ``depth`` best of the allowed rows."""
        some = None
        if not allowed.all():
            bitmap = np.packbits(allowed, bitorder="little")
            some = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))  # type: ignore[call-arg, arg-type]
        found, rows = self.flat_index.search(views, depth, params=some)
        return CandidateRows(np.unique(rows), bound=float(found[:, -1].max()))


def allocate_flat_index(rows: int) -> tuple[Any, Float16Vectors]:
    """Return a FAISS index of ``rows`` float16 vectors and its memory as an array, for the caller to fill.

    The array is valid as long as the index is. The index of a small segment is None.
    """
    if rows <= _MAX_UNINDEXED_ROWS:
        return None, inner_products.empty_vectors(rows)
    scan = faiss.IndexScalarQuantizer(DIMENSION, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    size = rows * DIMENSION * np.dtype(np.float16).itemsize
    scan.codes.resize(size)
    scan.ntotal = rows
    memory = faiss.rev_swig_ptr(scan.codes.data(), size)
    return scan, memory.view(np.float16).reshape(rows, DIMENSION)


def build_pq_index(vectors: Float16Vectors, codebook: Codebook | None) -> Any:
    """Return a FAISS index over the vectors' 4-bit codes; None without a codebook or for a small segment."""
    if codebook is None or len(vectors) <= _MAX_UNINDEXED_ROWS:
        return None
    codes = faiss.IndexPQFastScan(DIMENSION, DIMENSION // 2, 4, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(np.ascontiguousarray(codebook, np.float32).ravel(), codes.pq.centroids)
    codes.is_trained = True
    for start in range(0, len(vectors), _BLOCK_ROWS):
        codes.add(to_float32(vectors[start : start + _BLOCK_ROWS]))
    return codes
