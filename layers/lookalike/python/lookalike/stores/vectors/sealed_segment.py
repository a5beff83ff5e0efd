"""The parts of a library's index that no longer grow, laid out for scanning by FAISS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import DIMENSION
from lookalike.domain.search import TagFilter
from lookalike.stores.vectors import inner_products
from lookalike.stores.vectors.inner_products import Halves, Rows, widened
from lookalike.stores.vectors.packed_candidate import id_of
from lookalike.stores.vectors.segment_protocol import GONE, Depth, Mask, Near, Space

Codebook = NDArray[np.float32]
"""A 4-bit product quantiser: 16 centroids for each pair of a vector's numbers, shape (DIMENSION / 2, 16, 2)."""

#: Up to so many rows NumPy looks at each as fast as FAISS scans them, and needs no bitmap.
_FEW = 1024

#: How much more than needed is taken from a scan of codes of which a mask then keeps a part.
_SPARE = 1.3

_BLOCK = 8192


@dataclass(slots=True, eq=False)
class Segment:
    """Sealed rows of one library and space, ordered by the hash of their ids.

    Three ways lead to the nearest: a scan of 4-bit product codes over everything, whose best are then looked at
    exactly; FAISS's exact scan of the allowed rows; and, where few are allowed, simply all of them.

    ``records`` holds the packed pictures end to end, the one of row r from ``ends[r]`` to ``ends[r + 1]``.
    ``tag_hashes`` is sorted, and ``tag_rows`` says which row has the tag. ``scan`` is a FAISS index over
    ``vectors`` (the same memory), ``codes`` one over their 4-bit codes; both None in a small segment.
    """

    space: Space
    vectors: Halves
    hashes: NDArray[np.int64]
    revisions: NDArray[np.int64]
    live: Mask
    records: bytes
    ends: NDArray[np.int64]
    tag_hashes: NDArray[np.int64]
    tag_rows: Rows
    scan: Any
    codes: Any
    gone: int = 0

    @property
    def count(self) -> int:
        """Rows, those that are gone included."""
        return len(self.hashes)

    def holding(self, hashes: NDArray[np.int64]) -> Mask:
        """Which of these hashes of ids are some row's."""
        places = np.searchsorted(self.hashes, hashes)
        return np.equal(self.hashes[np.minimum(places, self.count - 1)], hashes)

    def find(self, id_: str) -> int | None:
        """The row that counts for a picture id."""
        wanted = hash(id_)
        row = int(np.searchsorted(self.hashes, wanted))
        while row < self.count and self.hashes[row] == wanted:
            if self.revisions[row] != GONE and id_of(self.record(row)) == id_:
                return row
            row += 1
        return None

    def record(self, row: int) -> bytes:
        """A row's packed picture."""
        return self.records[self.ends.item(row) : self.ends.item(row + 1)]

    def tagged(self) -> tuple[NDArray[np.int64], Rows]:
        """Hash and row of every tag of every row, two arrays of one length."""
        return self.tag_hashes, self.tag_rows

    def passing(self, tags: TagFilter, count: int) -> Mask:
        """Which of the first ``count`` rows pass a filter."""
        hits = np.zeros(self.count, np.int32)
        for tag in tags.tags:
            start, end = (
                np.searchsorted(self.tag_hashes, hash(tag), "left"),
                np.searchsorted(self.tag_hashes, hash(tag), "right"),
            )
            hits[self.tag_rows[start:end]] += 1
        return hits[:count] >= (1 if tags.any_of else len(tags.tags))

    def near(self, views: NDArray[np.float32], allowed: Mask, depth: Depth) -> Near:
        """Candidates among the allowed rows (a mask over all of them)."""
        wanted = int(np.count_nonzero(allowed))
        if self.scan is None or wanted <= max(_FEW, depth.exact):
            return Near(np.flatnonzero(allowed))
        # Codes take the longer the more must be fetched for enough of them to be allowed, the exact scan the longer
        # the more are allowed. Measured, they are equal about where wanted² = 8 · depth · count.
        if self.codes is not None and wanted * wanted > 8 * depth.rough * self.count:
            return self._by_codes(views, allowed, int(depth.rough * self._spare(wanted)))
        return self._by_scan(views, allowed, depth.exact)

    def _spare(self, wanted: int) -> float:
        return 1 if wanted == self.count else _SPARE * self.count / wanted

    def _by_codes(self, views: NDArray[np.float32], allowed: Mask, depth: int) -> Near:
        """The allowed among the ``depth`` best by code."""
        found, rows = self.codes.search(views, min(depth, self.count))
        best = np.full(self.count, -np.inf, np.float32)
        for some, estimates in zip(rows, found, strict=True):
            best[some] = np.maximum(best[some], estimates)
        kept = np.flatnonzero(best > -np.inf)
        kept = kept[allowed[kept]]
        return Near(kept, best[kept], bound=float(found[:, -1].max()) if depth < self.count else -np.inf)

    def _by_scan(self, views: NDArray[np.float32], allowed: Mask, depth: int) -> Near:
        """The ``depth`` best of the allowed."""
        some = None
        if not allowed.all():
            bitmap = np.packbits(allowed, bitorder="little")
            some = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))  # type: ignore[call-arg, arg-type]
        found, rows = self.scan.search(views, depth, params=some)
        return Near(np.unique(rows), bound=float(found[:, -1].max()))


def scannable(rows: int) -> tuple[Any, Halves]:
    """A FAISS index of that many float16 vectors, yet to be written, and its memory as an array.

    The array is valid as long as the index. A small segment needs no index.
    """
    if rows <= _FEW:
        return None, inner_products.empty(rows)
    scan = faiss.IndexScalarQuantizer(DIMENSION, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    size = rows * DIMENSION * np.dtype(np.float16).itemsize
    scan.codes.resize(size)
    scan.ntotal = rows
    memory = faiss.rev_swig_ptr(scan.codes.data(), size)
    return scan, memory.view(np.float16).reshape(rows, DIMENSION)


def encoded(vectors: Halves, codebook: Codebook | None) -> Any:
    """A FAISS index over the vectors' 4-bit codes; None without a codebook or where there are few vectors."""
    if codebook is None or len(vectors) <= _FEW:
        return None
    codes = faiss.IndexPQFastScan(DIMENSION, DIMENSION // 2, 4, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(np.ascontiguousarray(codebook, np.float32).ravel(), codes.pq.centroids)
    codes.is_trained = True
    for start in range(0, len(vectors), _BLOCK):
        codes.add(widened(vectors[start : start + _BLOCK]))
    return codes
