"""A library at one moment: segments that never change, and the newest rows of a log over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.segments.index_row import IndexRow
from lookalike.stores.segments.lazy_segment import LazySegment
from lookalike.stores.segments.packed_candidate import id_of
from lookalike.stores.segments.text_hash import hash_of, hashes_of

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HeldRow:
    """What an index holds of a picture, without its vector."""

    id: str
    kind: str
    model: str
    revision: int
    live: bool


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Of each picture the row of the greatest version counts, wherever it is.

    Attributes
    ----------
    library : uid.
    current : for each segment the mask of its rows that count.
    log : the rows that count, by picture id.
    """

    library: str
    segments: tuple[LazySegment, ...] = ()
    current: tuple[Mask, ...] = ()
    log: Mapping[str, IndexRow] = field(default_factory=dict)

    @classmethod
    def of(cls, library: str, segments: Sequence[LazySegment]) -> Layers:
        """Return segments without a log."""
        sizes = [one.count for one in segments]
        hashes = np.concatenate([np.empty(0, np.int64), *(_hash_of_rows(one) for one in segments)])
        versions = np.concatenate([np.empty(0, np.int64), *map(_versions, segments)])
        order = np.lexsort((versions, hashes))
        last = np.ones(len(order), np.bool_)
        last[:-1] = hashes[order][1:] != hashes[order][:-1]
        counts = np.zeros(len(order), np.bool_)
        counts[order[last]] = True
        bounds = np.cumsum(sizes)[:-1]
        return cls(library, tuple(segments), tuple(np.split(counts, bounds)) if segments else ())

    def under(self, rows: Iterable[IndexRow]) -> Layers:
        """Return these segments, which are under no log, under the rows of one, in any order."""
        log: dict[str, IndexRow] = {}
        for row in rows:
            if row.id not in log or row.version > log[row.id].version:
                log[row.id] = row
        if not log:
            return self
        written, hashes = list(log.values()), hashes_of(log)
        versions = np.array([2 * row.revision + row.removed for row in written], np.int64)
        beaten = np.zeros(len(written), np.bool_)
        current = []
        for segment, mask in zip(self.segments, self.current, strict=True):
            found = segment.find(hashes)
            there = found >= 0
            there[there] = mask[found[there]]
            newer = np.zeros(len(written), np.bool_)
            newer[there] = _versions(segment)[found[there]] > versions[there]
            beaten |= newer
            hidden = mask.copy()
            hidden[found[there & ~newer]] = False
            current.append(hidden)
        kept = {row.id: row for row, is_beaten in zip(written, beaten.tolist(), strict=True) if not is_beaten}
        return Layers(self.library, self.segments, tuple(current), kept)

    def newer(self, rows: Sequence[IndexRow]) -> list[IndexRow]:
        """Return those of these rows whose version is greater than the one that is held."""
        held = np.full(len(rows), -1, np.int64)
        hashes = hashes_of(row.id for row in rows)
        for segment, mask in zip(self.segments, self.current, strict=True):
            found = segment.find(hashes)
            there = found >= 0
            there[there] = mask[found[there]]
            held[there] = _versions(segment)[found[there]]
        return [
            row
            for row, version in zip(rows, held.tolist(), strict=True)
            if 2 * row.revision + row.removed > version
            and (row.id not in self.log or row.version > self.log[row.id].version)
        ]

    def live_rows(self, model: str | None = None) -> int:
        """Return the number of live pictures, of a model alone if it is given."""
        sealed = sum(
            int(np.count_nonzero(mask & segment.live))
            for segment, mask in zip(self.segments, self.current, strict=True)
            if model is None or segment.model == model
        )
        return sealed + sum(row.live for row in self.log.values() if model is None or row.model == model)

    def dead_rows(self) -> int:
        """Return the number of rows of segments that no longer count, or say that a picture was removed."""
        return sum(
            segment.count - int(np.count_nonzero(mask & ~segment.removed))
            for segment, mask in zip(self.segments, self.current, strict=True)
        )

    def find(self, ids: Sequence[str]) -> Iterator[HeldRow]:
        """Yield what is held of these pictures, hidden rows too."""
        for id_ in ids:
            row = self.log.get(id_)
            if row is not None:
                if not row.removed:
                    yield _held(row)
                continue
            wanted = np.array([hash_of(id_)], np.int64)
            for segment, mask in zip(self.segments, self.current, strict=True):
                place = int(segment.find(wanted)[0])
                if place >= 0 and mask[place] and not segment.removed[place]:
                    yield _held_in(segment, place)

    def all(self) -> Iterator[HeldRow]:
        """Yield everything that is held, hidden rows too."""
        yield from (_held(row) for row in self.log.values() if not row.removed)
        for segment, mask in zip(self.segments, self.current, strict=True):
            for place in np.flatnonzero(mask & ~segment.removed).tolist():
                yield _held_in(segment, place)


def _held(row: IndexRow) -> HeldRow:
    return HeldRow(row.id, row.kind, row.model, row.revision, row.live)


def _held_in(segment: LazySegment, place: int) -> HeldRow:
    id_ = id_of(segment.record(place))
    return HeldRow(id_, segment.kind, segment.model, segment.revisions.item(place), segment.live.item(place))


def _versions(segment: LazySegment) -> NDArray[np.int64]:
    """Return a number for each row that orders versions."""
    return 2 * segment.revisions + segment.removed


def _hash_of_rows(segment: LazySegment) -> NDArray[np.int64]:
    hashes = np.empty(segment.count, np.int64)
    hashes[segment.hash_rows] = segment.hashes
    return hashes
