"""Making a segment out of other segments, while these go on being searched and changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.vectors.inner_products import Float16Vectors, Rows
from lookalike.stores.vectors.sealed_segment import Codebook, SealedSegment, allocate_flat_index, build_pq_index
from lookalike.stores.vectors.segment_protocol import TOMBSTONE, Segment

_BLOCK_ROWS = 8192


@dataclass(frozen=True, slots=True, eq=False)
class SourceRows:
    """The rows of a segment that go into a new segment, and their places there."""

    segment: Segment
    rows: Rows
    places: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Compaction:
    """A segment in the making. Nothing of its sources is locked; :meth:`finish` catches up with their changes."""

    segment: SealedSegment
    sources: Sequence[SourceRows] = field(default=())

    def finish(self) -> SealedSegment:
        """The segment with its sources' revisions and states as they are now. Call under the collection's lock."""
        for source in self.sources:
            self.segment.revisions[source.places] = source.segment.revisions[source.rows]
            self.segment.live[source.places] = source.segment.live[source.rows]
        self.segment.tombstones = int(np.count_nonzero(self.segment.revisions == TOMBSTONE))
        return self.segment


def merge_segments(segments: Sequence[Segment], codebook: Codebook | None) -> Compaction | None:
    """One segment of all rows that are not gone; None if there are none. The segments must no longer grow."""
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
    """Block by block, so that no third copy of them is ever needed."""
    for source in sources:
        for start in range(0, len(source.rows), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            vectors[source.places[block]] = source.segment.vectors[source.rows[block]]


def _records(sources: Sequence[SourceRows], order: Rows) -> tuple[bytes, NDArray[np.int64]]:
    records = [source.segment.record(row) for source in sources for row in source.rows.tolist()]
    ordered = [records[place] for place in order.tolist()]
    record_offsets = np.zeros(len(ordered) + 1, np.int64)
    np.cumsum([len(record) for record in ordered], out=record_offsets[1:])
    return b"".join(ordered), record_offsets


def _tags(sources: Sequence[SourceRows]) -> tuple[NDArray[np.int64], Rows]:
    """All tags' hashes in order, and the row in the new segment each belongs to."""
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
