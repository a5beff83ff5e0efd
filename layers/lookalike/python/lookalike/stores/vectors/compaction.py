"""Merging segments into one, while the sources are still searched and changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.vectors.inner_products import Float16Vectors, Rows
from lookalike.stores.vectors.sealed_segment import Codebook, SealedSegment, allocate_flat_index, build_pq_index
from lookalike.stores.vectors.segment_protocol import TOMBSTONE, Segment

#: Rows copied at a time.
_BLOCK_ROWS = 8192


@dataclass(frozen=True, slots=True, eq=False)
class SourceRows:
    """The rows of a source that are merged, and their row numbers in the new segment.

    Attributes
    ----------
    rows : row numbers in the source, shape (n,).
    places : the same rows' numbers in the new segment, shape (n,).
    """

    segment: Segment
    rows: Rows
    places: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Compaction:
    """A merged segment that does not yet reflect its sources' latest changes; :meth:`finish` catches up with them."""

    segment: SealedSegment
    sources: Sequence[SourceRows] = field(default=())

    def finish(self) -> SealedSegment:
        """Return the segment with its sources' present revisions and live flags. Call under the library's lock."""
        for source in self.sources:
            self.segment.revisions[source.places] = source.segment.revisions[source.rows]
            self.segment.live[source.places] = source.segment.live[source.rows]
        self.segment.tombstones = int(np.count_nonzero(self.segment.revisions == TOMBSTONE))
        return self.segment


def merge_segments(segments: Sequence[Segment], codebook: Codebook | None) -> Compaction | None:
    """Merge all rows but tombstones into one segment; None if there are none.

    The segments must no longer grow. They may be searched and changed meanwhile, as nothing of them is locked.
    """
    kept = [np.flatnonzero(segment.revisions[: segment.count] != TOMBSTONE) for segment in segments]
    hashes = np.concatenate([segment.id_hashes[rows] for segment, rows in zip(segments, kept, strict=True)])
    if not len(hashes):
        return None
    order = np.argsort(hashes, kind="stable")
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    bounds = np.cumsum([len(rows) for rows in kept])[:-1]
    sources = [SourceRows(*one) for one in zip(segments, kept, np.split(places, bounds), strict=True)]
    flat_index, vectors = allocate_flat_index(len(order))
    _copy_vectors(sources, vectors)
    records, record_offsets = _records(sources, order)
    tag_hashes, tag_rows = _tags(sources)
    segment = SealedSegment(
        space=segments[0].space,
        vectors=vectors,
        id_hashes=hashes[order],
        revisions=np.zeros(len(order), np.int64),
        live=np.zeros(len(order), np.bool_),
        records=records,
        record_offsets=record_offsets,
        tag_hashes=tag_hashes,
        tag_rows=tag_rows,
        flat_index=flat_index,
        pq_index=build_pq_index(vectors, codebook),
    )
    return Compaction(segment, sources)


def _copy_vectors(sources: Sequence[SourceRows], vectors: Float16Vectors) -> None:
    """Copy block by block, so that no third copy of all vectors is ever in memory."""
    for source in sources:
        for start in range(0, len(source.rows), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            vectors[source.places[block]] = source.segment.vectors[source.rows[block]]


def _records(sources: Sequence[SourceRows], order: Rows) -> tuple[bytes, NDArray[np.int64]]:
    """Return the records end to end, in the new segment's order, and their offsets."""
    records = [source.segment.record(row) for source in sources for row in source.rows.tolist()]
    ordered = [records[place] for place in order.tolist()]
    record_offsets = np.zeros(len(ordered) + 1, np.int64)
    np.cumsum([len(record) for record in ordered], out=record_offsets[1:])
    return b"".join(ordered), record_offsets


def _tags(sources: Sequence[SourceRows]) -> tuple[NDArray[np.int64], Rows]:
    """Return the sorted hashes of all tags, and the row of each in the new segment."""
    hashes, rows = [], []
    for source in sources:
        place = np.full(source.segment.count, -1, np.int64)
        place[source.rows] = source.places
        tag_hashes, tag_rows = source.segment.tag_pairs()
        kept = place[tag_rows] >= 0
        hashes.append(tag_hashes[kept])
        rows.append(place[tag_rows[kept]])
    all_hashes, all_rows = np.concatenate(hashes), np.concatenate(rows)
    order = np.argsort(all_hashes, kind="stable")
    return all_hashes[order], all_rows[order]
