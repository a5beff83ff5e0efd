"""Merging segments into one, while the sources are still searched and changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.segments.columns import Columns
from lookalike.stores.segments.inner_products import Float16Vectors, Rows, to_float32
from lookalike.stores.vectors import listed_codes, scans
from lookalike.stores.vectors.scans import Codebook
from lookalike.stores.vectors.sealed_segment import MAX_UNINDEXED_ROWS, SealedSegment
from lookalike.stores.vectors.segment_protocol import TOMBSTONE, Segment

#: Rows copied at a time.
_BLOCK_ROWS = 8192

#: Puts a segment in memory into a file, and returns the same one mapped; or the one in memory, where that cannot be.
Keep = Callable[[SealedSegment], SealedSegment]


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
        count = self.segment.count
        revisions, live = np.empty(count, np.int64), np.empty(count, np.bool_)
        for source in self.sources:
            revisions[source.places] = source.segment.revisions[source.rows]
            live[source.places] = source.segment.live[source.rows]
        self.segment.set_states(np.arange(count), revisions, live)
        return self.segment


def merge_segments(segments: Sequence[Segment], codebook: Codebook | None, keep: Keep) -> Compaction | None:
    """Merge all rows but tombstones into one segment; None if there are none. Raises DamagedSegmentError.

    The segments must no longer grow. They may be searched and changed meanwhile, as nothing of them is locked.
    """
    kept = [np.flatnonzero(segment.revisions[: segment.count] != TOMBSTONE) for segment in segments]
    hashes = np.concatenate([segment.hashes()[rows] for segment, rows in zip(segments, kept, strict=True)])
    if not len(hashes):
        return None
    rows = [_RowsOf(*one) for one in zip(segments, kept, strict=True)]
    centroids = _centroids(rows, len(hashes)) if codebook is not None else None
    order = _order(rows, hashes, centroids)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    bounds = np.cumsum([len(one.rows) for one in rows])[:-1]
    sources = [
        SourceRows(one.segment, one.rows, some) for one, some in zip(rows, np.split(places, bounds), strict=True)
    ]
    flat_index, vectors = scans.allocate_flat_index(len(order), MAX_UNINDEXED_ROWS + 1)
    _copy_vectors(sources, vectors)
    codes = scans.build_codes(vectors, codebook, centroids) if flat_index is not None else None
    columns = _columns(sources, order, hashes, vectors)
    merged = keep(SealedSegment(segments[0].space, columns, flat_index, codes))
    merged.logged = merged.file is not None or all(segment.logged for segment in segments)
    return Compaction(merged, sources)


@dataclass(frozen=True, slots=True, eq=False)
class _RowsOf:
    """The rows of a source that are merged."""

    segment: Segment
    rows: Rows

    def vectors(self, some: Rows | slice) -> Float16Vectors:
        """Return the vectors of some of these rows. Raises DamagedSegmentError."""
        rows = self.rows[some]
        self.segment.require_vectors(rows)
        return self.segment.vectors[rows]


def _centroids(sources: Sequence[_RowsOf], count: int) -> NDArray[np.float32] | None:
    """Return the centroids of the new segment's lists; None if it is too small for any."""
    lists = listed_codes.lists_of(count)
    if not lists:
        return None
    wanted = listed_codes.trained_rows(count)
    start, sample = 0, []
    for source in sources:
        end = start + len(source.rows)
        sample.append(to_float32(source.vectors(wanted[(wanted >= start) & (wanted < end)] - start)))
        start = end
    return listed_codes.train_centroids(np.concatenate(sample), lists)


def _order(
    sources: Sequence[_RowsOf], hashes: NDArray[np.int64], centroids: NDArray[np.float32] | None
) -> NDArray[np.int64]:
    """Return the order of the sources' rows in the new segment: by list, so that near ones lie together, then by hash."""
    if centroids is None:
        return np.argsort(hashes, kind="stable")
    lists = [
        listed_codes.nearest_lists(source.vectors(slice(start, start + _BLOCK_ROWS)), centroids)
        for source in sources
        for start in range(0, len(source.rows), _BLOCK_ROWS)
    ]
    return np.lexsort((hashes, np.concatenate(lists)))


def _columns(sources: Sequence[SourceRows], order: Rows, hashes: NDArray[np.int64], vectors: Float16Vectors) -> Columns:
    """Return the columns of the rows in their new order; the revisions and live flags are those of this moment."""
    records, record_offsets = _records(sources, order)
    tag_hashes, tag_rows = _tags(sources)
    revisions = np.concatenate([source.segment.revisions[source.rows] for source in sources])[order]
    live = np.concatenate([source.segment.live[source.rows] for source in sources])[order]
    by_hash = np.argsort(hashes[order], kind="stable")
    return Columns(
        vectors=vectors,
        hashes=hashes[order][by_hash],
        hash_rows=by_hash.astype(np.int32),
        revisions=revisions,
        live=live,
        records=records,
        record_offsets=record_offsets,
        tag_hashes=tag_hashes,
        tag_rows=tag_rows,
    )


def _copy_vectors(sources: Sequence[SourceRows], vectors: Float16Vectors) -> None:
    """Copy block by block, so that no third copy of all vectors is ever in memory."""
    for source in sources:
        for start in range(0, len(source.rows), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            source.segment.require_vectors(source.rows[block])
            vectors[source.places[block]] = source.segment.vectors[source.rows[block]]


def _records(sources: Sequence[SourceRows], order: Rows) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the records end to end, in the new segment's order, and their offsets."""
    records = [source.segment.record(row) for source in sources for row in source.rows.tolist()]
    ordered = [records[place] for place in order.tolist()]
    record_offsets = np.zeros(len(ordered) + 1, np.int64)
    np.cumsum([len(record) for record in ordered], out=record_offsets[1:])
    return np.frombuffer(b"".join(ordered), np.uint8), record_offsets


def _tags(sources: Sequence[SourceRows]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the sorted hashes of all tags, and the row of each in the new segment."""
    hashes, rows = [], []
    for source in sources:
        place = np.full(source.segment.count, -1, np.int32)
        place[source.rows] = source.places
        tag_hashes, tag_rows = source.segment.tag_pairs()
        kept = place[tag_rows] >= 0
        hashes.append(tag_hashes[kept])
        rows.append(place[tag_rows[kept]])
    all_hashes, all_rows = np.concatenate(hashes), np.concatenate(rows)
    order = np.argsort(all_hashes, kind="stable")
    return all_hashes[order], all_rows[order]
