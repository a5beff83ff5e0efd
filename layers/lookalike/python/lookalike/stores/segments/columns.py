"""The columns of a sealed segment's rows, as files and objects hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.segments.inner_products import Float16Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What never changes of a sealed segment's rows, and the revisions and live flags that they were sealed with.

    Attributes
    ----------
    vectors : shape (n, DIMENSION).
    hashes : hashes of the rows' ids, sorted, shape (n,).
    hash_rows : the row of each of ``hashes``, shape (n,).
    revisions : ``TOMBSTONE`` for dead rows, shape (n,).
    live : shape (n,).
    records : the packed candidates end to end, bytes; row r's is ``records[record_offsets[r] : record_offsets[r + 1]]``.
    record_offsets : shape (n + 1,).
    tag_hashes : hashes of all rows' tags, sorted, shape (m,).
    tag_rows : the row of each of ``tag_hashes``, shape (m,).
    """

    vectors: Float16Vectors
    hashes: NDArray[np.int64]
    hash_rows: NDArray[np.int32]
    revisions: NDArray[np.int64]
    live: NDArray[np.bool_]
    records: NDArray[np.uint8]
    record_offsets: NDArray[np.int64]
    tag_hashes: NDArray[np.int64]
    tag_rows: NDArray[np.int32]

    #: The columns that are too large to be compared when a file is opened.
    LARGE: ClassVar = ("vectors", "records")

    def sections(self) -> dict[str, NDArray[Any]]:
        """Return all columns by their names."""
        return {name: getattr(self, name) for name in self.__slots__}
