"""Parts of a file whose checksums are compared where they are first read, as a start cannot read all of them."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.segments.packed_candidate import Buffer

#: Bytes of a block. Comparing one takes 7 µs; a search of a million rows reads about a thousand that it has not seen.
BLOCK_BYTES = 1 << 14


class DamagedSegmentError(Exception):
    """A segment's file is not what was written.

    Attributes
    ----------
    library : the library (uid) whose rows have to be made again.
    file : name of the file.
    """

    def __init__(self, library: str, file: str, what: str) -> None:
        super().__init__(f"{file}: {what}")
        self.library = library
        self.file = file


def block_sums(data: Buffer) -> NDArray[np.uint32]:
    """Return the CRC-32 of each block; the last one may be shorter."""
    return np.array(
        [zlib.crc32(data[start : start + BLOCK_BYTES]) for start in range(0, len(data), BLOCK_BYTES)], np.uint32
    )


class CheckedBlocks:
    """Bytes of which each block is compared with its checksum once, before it is read. Threads may share them.

    Parameters
    ----------
    data : all bytes.
    sums : of each block, from :func:`block_sums`.
    library, file : named by the error.
    """

    def __init__(self, data: memoryview, sums: NDArray[np.uint32], library: str, file: str) -> None:
        self._data = data
        self._sums = sums
        self._doubted = np.ones(len(sums), np.bool_)
        self._library = library
        self._file = file

    def require(self, starts: NDArray[np.int64], size: int) -> None:
        """Raise DamagedSegmentError unless ``size`` (at most a block) bytes from each of these offsets are as written."""
        blocks = starts // BLOCK_BYTES
        self._require_blocks(blocks[self._doubted[blocks]])
        ends = (starts + max(size - 1, 0)) // BLOCK_BYTES
        self._require_blocks(ends[self._doubted[ends]])

    def require_range(self, start: int, end: int) -> None:
        """Raise DamagedSegmentError unless the bytes from ``start`` to ``end`` are as written."""
        first, last = start // BLOCK_BYTES, -(-end // BLOCK_BYTES)
        if self._doubted[first:last].any():
            self._require_blocks(np.flatnonzero(self._doubted[first:last]) + first)

    def _require_blocks(self, blocks: NDArray[np.int64]) -> None:
        if not len(blocks):
            return
        for block in np.unique(blocks).tolist():
            start = block * BLOCK_BYTES
            if zlib.crc32(self._data[start : start + BLOCK_BYTES]) != self._sums.item(block):
                raise DamagedSegmentError(self._library, self._file, f"block {block} is not what was written")
            self._doubted[block] = False
