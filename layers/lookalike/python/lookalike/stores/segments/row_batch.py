"""Rows gathered for a new segment: of a log, and of older segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import DIMENSION
from lookalike.stores.segments.columns import Columns
from lookalike.stores.segments.index_row import IndexRow
from lookalike.stores.segments.inner_products import Float16Vectors
from lookalike.stores.segments.packed_candidate import Buffer
from lookalike.stores.segments.text_hash import hashes_of, tag_hash

#: The section of rows that were removed for good, which hide older ones.
REMOVED = "removed"


@dataclass(frozen=True, slots=True, eq=False)
class RowBatch:
    """Rows of one space, in columns.

    Attributes
    ----------
    records : the packed candidate of each row.
    tag_hashes, tag_rows : the hash and the row of every tag.
    """

    vectors: Float16Vectors
    hashes: NDArray[np.int64]
    revisions: NDArray[np.int64]
    live: NDArray[np.bool_]
    removed: NDArray[np.bool_]
    records: Sequence[Buffer]
    tag_hashes: NDArray[np.int64]
    tag_rows: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[IndexRow]) -> RowBatch:
        """Return the batch of these rows."""
        tags = [(tag_hash(tag), place) for place, row in enumerate(rows) for tag in row.tags]
        return cls(
            vectors=np.array([row.vector for row in rows], np.float16).reshape(len(rows), DIMENSION),
            hashes=hashes_of(row.id for row in rows),
            revisions=np.array([row.revision for row in rows], np.int64),
            live=np.array([row.live for row in rows], np.bool_),
            removed=np.array([row.removed for row in rows], np.bool_),
            records=[row.record for row in rows],
            tag_hashes=np.array([one for one, _ in tags], np.int64),
            tag_rows=np.array([place for _, place in tags], np.int64),
        )

    @classmethod
    def joined(cls, batches: Sequence[RowBatch]) -> RowBatch:
        """Return all rows of batches."""
        starts = np.cumsum([0, *(len(one.hashes) for one in batches)])
        return cls(
            vectors=np.concatenate([one.vectors for one in batches]),
            hashes=np.concatenate([one.hashes for one in batches]),
            revisions=np.concatenate([one.revisions for one in batches]),
            live=np.concatenate([one.live for one in batches]),
            removed=np.concatenate([one.removed for one in batches]),
            records=[record for one in batches for record in one.records],
            tag_hashes=np.concatenate([one.tag_hashes for one in batches]),
            tag_rows=np.concatenate(
                [one.tag_rows + start for one, start in zip(batches, starts[:-1].tolist(), strict=True)]
            ),
        )

    def sections(self) -> dict[str, NDArray[Any]]:
        """Return the sections of a segment of these rows, ordered by their hashes."""
        order = np.argsort(self.hashes, kind="stable")
        places = np.empty(len(order), np.int32)
        places[order] = np.arange(len(order), dtype=np.int32)
        records = [self.records[row] for row in order.tolist()]
        offsets = np.zeros(len(records) + 1, np.int64)
        np.cumsum([len(record) for record in records], out=offsets[1:])
        by_tag = np.argsort(self.tag_hashes, kind="stable")
        columns = Columns(
            vectors=self.vectors[order],
            hashes=self.hashes[order],
            hash_rows=np.arange(len(order), dtype=np.int32),
            revisions=self.revisions[order],
            live=self.live[order],
            records=np.frombuffer(b"".join(records), np.uint8),
            record_offsets=offsets,
            tag_hashes=self.tag_hashes[by_tag],
            tag_rows=places[self.tag_rows[by_tag]],
        )
        return {**columns.sections(), REMOVED: self.removed[order]}
