"""FAISS's indices over a segment's vectors: an exact scan of them, and a scan of 4-bit codes."""

from __future__ import annotations

import hashlib
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import DIMENSION
from lookalike.stores.segments import inner_products
from lookalike.stores.segments.inner_products import Float16Vectors, to_float32
from lookalike.stores.vectors.listed_codes import build_listed_index

Codebook = NDArray[np.float32]
"""A 4-bit product quantiser: 16 centroids for each pair of a vector's components, shape (DIMENSION / 2, 16, 2)."""

#: Rows encoded at a time.
_BLOCK_ROWS = 8192


def allocate_flat_index(rows: int, min_rows: int) -> tuple[Any, Float16Vectors]:
    """Return a FAISS index of ``rows`` float16 vectors and its memory as an array, for the caller to fill.

    The array is valid as long as the index is. The index of fewer than ``min_rows`` is None.
    """
    if rows < min_rows:
        return None, inner_products.empty_vectors(rows)
    scan = _empty_flat_index()
    size = rows * DIMENSION * np.dtype(np.float16).itemsize
    scan.codes.resize(size)
    scan.ntotal = rows
    memory = faiss.rev_swig_ptr(scan.codes.data(), size)
    return scan, memory.view(np.float16).reshape(rows, DIMENSION)


def flat_index_over(memory: NDArray[np.uint8], start: int, rows: int) -> Any:
    """Return a FAISS index over vectors in the caller's memory, which must outlive it.

    Parameters
    ----------
    memory : holds the vectors from ``start`` on. The bytes in front of them, about a hundred, are overwritten with what
        FAISS reads first.
    """
    scan = _empty_flat_index()
    scan.ntotal = rows
    size = rows * DIMENSION * np.dtype(np.float16).itemsize
    head = faiss.serialize_index(scan)
    head[-8:] = np.frombuffer(np.uint64(size).tobytes(), np.uint8)  # the length of what follows
    memory[start - len(head) : start] = head
    read = memory[start - len(head) : start + size]
    reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(read), len(read))  # type: ignore[attr-defined]
    return faiss.read_index(reader)


def build_codes(vectors: Float16Vectors, codebook: Codebook | None, centroids: NDArray[np.float32] | None) -> Any:
    """Return a FAISS index over the vectors' 4-bit codes, in lists if there are centroids; None without a codebook."""
    if codebook is None:
        return None
    if centroids is not None:
        return build_listed_index(vectors, centroids, codebook)
    codes = faiss.IndexPQFastScan(DIMENSION, DIMENSION // 2, 4, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(np.ascontiguousarray(codebook, np.float32).ravel(), codes.pq.centroids)
    codes.is_trained = True
    for start in range(0, len(vectors), _BLOCK_ROWS):
        codes.add(to_float32(vectors[start : start + _BLOCK_ROWS]))
    return codes


def codes_name(codebook: Codebook | None) -> str:
    """Return what names the codes that a codebook makes; empty without one."""
    if codebook is None:
        return ""
    return f"pq4 {hashlib.sha256(np.ascontiguousarray(codebook, '<f4').tobytes()).hexdigest()[:16]}"


def to_bytes(index: Any) -> NDArray[np.uint8]:
    """Return FAISS's own form of an index; nothing if there is none."""
    return np.empty(0, np.uint8) if index is None else faiss.serialize_index(index)


def from_bytes(data: NDArray[np.uint8]) -> Any:
    """Return the index of :func:`to_bytes`. Raises ValueError."""
    try:
        return faiss.deserialize_index(data) if len(data) else None
    except RuntimeError as error:  # another version's
        raise ValueError("FAISS cannot read its codes") from error


def _empty_flat_index() -> Any:
    return faiss.IndexScalarQuantizer(DIMENSION, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
