"""Making a segment out of other parts, while these go on being searched and changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.vectors.inner_products import Halves, Rows
from lookalike.stores.vectors.sealed_segment import Codebook, Segment, encoded, scannable
from lookalike.stores.vectors.segment_protocol import GONE, Part

_BLOCK = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """The rows of a part that go into a new segment, and their places there."""

    part: Part
    rows: Rows
    places: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Sealing:
    """A segment in the making. Nothing of its sources is locked; :meth:`finish` catches up with their changes."""

    segment: Segment
    sources: Sequence[Taken] = field(default=())

    def finish(self) -> Segment:
        """The segment with its sources' revisions and states as they are now. Call under the collection's lock."""
        for source in self.sources:
            self.segment.revisions[source.places] = source.part.revisions[source.rows]
            self.segment.live[source.places] = source.part.live[source.rows]
        self.segment.gone = int(np.count_nonzero(self.segment.revisions == GONE))
        return self.segment


def seal(parts: Sequence[Part], codebook: Codebook | None) -> Sealing | None:
    """One segment of all rows that are not gone; None if there are none. The parts must no longer grow."""
    kept = [np.flatnonzero(part.revisions[: part.count] != GONE) for part in parts]
    hashes = np.concatenate([part.hashes[rows] for part, rows in zip(parts, kept, strict=True)])
    if not len(hashes):
        return None
    order = np.argsort(hashes, kind="stable")
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    bounds = np.cumsum([len(rows) for rows in kept])[:-1]
    sources = [Taken(*one) for one in zip(parts, kept, np.split(places, bounds), strict=True)]
    scan, vectors = scannable(len(order))
    _copy_vectors(sources, vectors)
    records, ends = _records(sources, order)
    tag_hashes, tag_rows = _tags(sources)
    segment = Segment(
        space=parts[0].space,
        vectors=vectors,
        hashes=hashes[order],
        revisions=np.zeros(len(order), np.int64),
        live=np.zeros(len(order), np.bool_),
        records=records,
        ends=ends,
        tag_hashes=tag_hashes,
        tag_rows=tag_rows,
        scan=scan,
        codes=encoded(vectors, codebook),
    )
    return Sealing(segment, sources)


def _copy_vectors(sources: Sequence[Taken], vectors: Halves) -> None:
    """Block by block, so that no third copy of them is ever needed."""
    for source in sources:
        for start in range(0, len(source.rows), _BLOCK):
            block = slice(start, start + _BLOCK)
            vectors[source.places[block]] = source.part.vectors[source.rows[block]]


def _records(sources: Sequence[Taken], order: Rows) -> tuple[bytes, NDArray[np.int64]]:
    records = [source.part.record(row) for source in sources for row in source.rows.tolist()]
    ordered = [records[place] for place in order.tolist()]
    ends = np.zeros(len(ordered) + 1, np.int64)
    np.cumsum([len(record) for record in ordered], out=ends[1:])
    return b"".join(ordered), ends


def _tags(sources: Sequence[Taken]) -> tuple[NDArray[np.int64], Rows]:
    """All tags' hashes in order, and the row in the new segment each belongs to."""
    hashes, rows = [], []
    for source in sources:
        place = np.full(source.part.count, -1, np.int64)
        place[source.rows] = source.places
        tag_hashes, tag_rows = source.part.tagged()
        kept = place[tag_rows] >= 0
        hashes.append(tag_hashes[kept])
        rows.append(place[tag_rows[kept]])
    all_hashes, all_rows = np.concatenate(hashes), np.concatenate(rows)
    order = np.argsort(all_hashes, kind="stable")
    return all_hashes[order], all_rows[order]
