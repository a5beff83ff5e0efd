"""The index of one library: sealed segments, and one mutable segment per space."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import Picture
from lookalike.stores.segments.packed_candidate import id_of
from lookalike.stores.segments.text_hash import hashes_of
from lookalike.stores.vectors.compaction import Compaction, SourceRows, merge_segments
from lookalike.stores.vectors.mutable_segment import MutableSegment
from lookalike.stores.vectors.scans import Codebook
from lookalike.stores.vectors.sealed_segment import SealedSegment
from lookalike.stores.vectors.segment_folder import ChangedRows
from lookalike.stores.vectors.segment_protocol import TOMBSTONE, Mask, Segment, Space, mark_hidden, mark_superseded

#: Rows of a segment at most, as a merge needs memory for the new segment beside the old ones.
MAX_SEGMENT_ROWS = 524_288

#: Share of tombstones above which a segment is rewritten.
_MAX_TOMBSTONE_SHARE = 0.25


class Keep(Protocol):
    """Puts a sealed segment into a file."""

    def __call__(self, segment: SealedSegment, codebook: Codebook | None) -> SealedSegment:
        """Return the same segment mapped, or the one in memory where that cannot be."""


@dataclass(frozen=True, slots=True, eq=False)
class CapturedSegment:
    """A segment in a file, and the states of its rows at one moment."""

    segment: SealedSegment
    changed: ChangedRows

    def revisions_of(self, hashes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the revisions of the rows with these id hashes, ``TOMBSTONE`` where there is none, shape (n,)."""
        columns = self.segment.columns
        places = np.minimum(np.searchsorted(columns.hashes, hashes), self.segment.count - 1)
        rows = columns.hash_rows[places]
        revisions = columns.revisions[rows].copy()
        if len(self.changed.rows):
            found = np.minimum(np.searchsorted(self.changed.rows, rows), len(self.changed.rows) - 1)
            later = self.changed.rows[found] == rows
            revisions[later] = self.changed.revisions[found[later]]
        revisions[columns.hashes[places] != hashes] = TOMBSTONE
        return revisions


class LibraryIndex:
    """All rows of one library. Safe to use from several threads.

    A write appends a row to a mutable segment and turns the row it replaces into a tombstone. A search takes a snapshot
    under the lock, the segments and copies of their live flags, and then works without the lock on data that no thread
    changes. :meth:`compact` seals full mutable segments, merges small ones and drops tombstones; it holds the lock only
    to plan and to publish.

    Parameters
    ----------
    codebook : returns a space's product quantiser, or None.
    on_compaction_due : called under the lock when :meth:`compact` has work, and not again before that has returned.
    keep : puts a new segment into a file.
    """

    def __init__(
        self,
        codebook: Callable[[Space], Codebook | None],
        on_compaction_due: Callable[[LibraryIndex], None],
        keep: Keep,
    ) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._codebook = codebook
        self._on_compaction_due = on_compaction_due
        self._compaction_scheduled = False
        self._sealed: list[SealedSegment] = []
        self._full: list[MutableSegment] = []  # waiting to be sealed
        self._mutable: dict[Space, MutableSegment] = {}
        self._live: Counter[Space] = Counter()
        self._unlogged = False  # whether new mutable segments take rows that the catalog's log does not have

    def write(self, pictures: Sequence[Picture], max_mutable_rows: int, *, logged: bool = True) -> None:
        """Write each row that is newer than the current one.

        Parameters
        ----------
        max_mutable_rows : rows of a mutable segment that is full.
        logged : whether the catalog's log has a change of each row.
        """
        with self._lock:
            if not logged:
                self._note_unlogged()
            held = self._maybe_held([picture.key.id for picture in pictures])
            self._append(
                [picture for picture, known in zip(pictures, held, strict=True) if not known], max_mutable_rows
            )
            for picture, known in zip(pictures, held, strict=True):
                if known:
                    self._write(picture, max_mutable_rows)
            self._schedule_compaction()

    def remove(self, pictures: Sequence[Picture]) -> None:
        """Remove each row unless the current one is newer."""
        with self._lock:
            for picture in pictures:
                place = self._find(picture.key.id)
                if place is not None and place[0].revisions[place[1]] <= picture.revision:
                    self._uncount(*place)
                    mark_superseded(*place)
            self._schedule_compaction()

    def forget(self, ids: Iterable[str]) -> None:
        """Remove rows of whatever revision."""
        with self._lock:
            for id_ in ids:
                place = self._find(id_)
                if place is not None:
                    self._uncount(*place)
                    mark_superseded(*place)
            self._schedule_compaction()

    def adopt(self, segment: SealedSegment) -> None:
        """Add a segment that was kept in a file."""
        with self._lock:
            self._sealed.append(segment)
            self._live[segment.space] += int(np.count_nonzero(segment.live))

    def remake(self, file: str, batches: Callable[[], Iterator[Sequence[Picture]]]) -> bool:
        """Write all rows anew if a segment is kept in this file; return whether one was. Searches wait meanwhile."""
        with self._lock:
            if not any(segment.file == file for segment in self._sealed):
                return False
            self._sealed, self._full, self._mutable, self._live = [], [], {}, Counter()
            self._unlogged = True
            for pictures in batches():
                self._append(pictures, MAX_SEGMENT_ROWS)
            self._full.extend(self._mutable.values())
            self._mutable = {}
            self._unlogged = False
            self._schedule_compaction()
            return True

    def captured(self) -> tuple[list[CapturedSegment], bool]:
        """Return the segments that are kept in files with the present states of their changed rows.

        Also return whether all other rows have a change in the catalog's log, so that nothing is lost without them.
        """
        with self._lock:
            others: list[Segment] = [*self._full, *self._mutable.values()]
            others += [segment for segment in self._sealed if segment.file is None]
            kept = [_captured(segment) for segment in self._sealed if segment.file is not None]
            return kept, all(segment.logged or not segment.count for segment in others)

    @property
    def has_sealed(self) -> bool:
        """Whether there are sealed segments, in files or in memory alone."""
        return bool(self._sealed)

    def keep_unkept(self) -> None:
        """Put the sealed segments into files that are in memory alone. Call from the thread that compacts."""
        for segment in [one for one in self._sealed if one.file is None]:
            kept = self._keep(segment, self._codebook(segment.space))
            rows = np.arange(segment.count)
            with self._lock:
                if kept is not segment and _among(segment, self._sealed):
                    self._sealed = [one for one in self._sealed if one is not segment]
                    self._sealed.append(Compaction(kept, [SourceRows(segment, rows, rows)]).finish())

    def live_by_model(self) -> Counter[str]:
        """Return the number of live rows of each model."""
        counts: Counter[str] = Counter()
        with self._lock:
            for (model, _), rows in self._live.items():
                counts[model] += rows
        return counts

    def count_live(self, model: str | None) -> int:
        """Return the number of live rows with vectors of a model; None: of any model."""
        with self._lock:
            return sum(rows for (of, _), rows in self._live.items() if model in (None, of))

    def snapshot(self, space: Space) -> list[tuple[Segment, Mask]]:
        """Return the segments of a space, and a copy of each one's live flags, shape (count,)."""
        with self._lock:
            segments: list[Segment] = [*self._sealed, *self._full, *self._mutable.values()]
            return [(segment, segment.live[: segment.count].copy()) for segment in segments if segment.space == space]

    def listed(self) -> Iterator[tuple[str, Space, int, bool]]:
        """Iterate over id, space, revision and live flag of every current row. Rows written meanwhile may be left out.

        Raises DamagedSegmentError at once, and not later.
        """
        with self._lock:
            segments: list[Segment] = [*self._sealed, *self._full, *self._mutable.values()]
            counted = [
                (segment, segment.revisions[: segment.count].copy(), segment.live[: segment.count].copy())
                for segment in segments
            ]
        for segment, _, _ in counted:
            segment.require_records()
        return (
            (id_of(segment.record(row)), segment.space, int(revisions[row]), bool(live[row]))
            for segment, revisions, live in counted
            for row in np.flatnonzero(revisions != TOMBSTONE).tolist()
        )

    def current(self, id_: str) -> tuple[Space, int, bool] | None:
        """Return space, revision and live flag of a picture's current row; None if there is none."""
        with self._lock:
            place = self._find(id_)
            if place is None:
                return None
            segment, row = place
            return segment.space, int(segment.revisions[row]), bool(segment.live[row])

    def seal(self, min_rows: int) -> None:
        """Schedule mutable segments of at least ``min_rows`` rows for sealing.

        Beside sealed ones, those are sealed, too, whose rows the next start would otherwise not find.
        """
        with self._lock:
            self._unlogged = False
            beside = {segment.space for segment in [*self._sealed, *self._full]}
            for space, mutable in list(self._mutable.items()):
                if mutable.count >= min_rows or (space in beside and not mutable.logged):
                    self._full.append(self._mutable.pop(space))
            self._schedule_compaction()

    def compact(self) -> None:
        """Seal, merge and rewrite segments until none is due. Call from one thread at a time. Raises DamagedSegmentError."""
        try:
            while segments := self._next_compaction():
                codebook = self._codebook(segments[0].space)
                compaction = merge_segments(segments, codebook, partial(self._keep, codebook=codebook))
                with self._lock:
                    if not all(_among(one, [*self._sealed, *self._full]) for one in segments):
                        continue  # all rows were made again meanwhile
                    self._sealed = [one for one in self._sealed if not _among(one, segments)]
                    self._full = [one for one in self._full if not _among(one, segments)]
                    if compaction is not None:
                        self._sealed.append(compaction.finish())
        finally:
            self._compaction_scheduled = False

    def _note_unlogged(self) -> None:
        """From here on the catalog's log does not have all rows; :meth:`seal` ends it."""
        self._unlogged = True
        for mutable in self._mutable.values():
            mutable.logged = False

    def _maybe_held(self, ids: Sequence[str]) -> list[bool]:
        """Return for each id whether it may have a row when its turn comes; all may if an id is given twice."""
        if len(set(ids)) < len(ids):
            return [True] * len(ids)
        held = np.zeros(len(ids), np.bool_)
        for mutable in (*self._mutable.values(), *self._full):
            held |= mutable.contains(ids)
        hashes = hashes_of(ids) if self._sealed else np.empty(0, np.int64)
        for segment in self._sealed:
            held |= segment.contains(hashes)
        return held.tolist()

    def _write(self, picture: Picture, max_mutable_rows: int) -> None:
        place = self._find(picture.key.id)
        if place is not None:
            segment, row = place
            if segment.revisions[row] >= picture.revision:
                return
            self._uncount(segment, row)
            if not picture.live:
                mark_hidden(segment, row, picture.revision)
                return
            mark_superseded(segment, row)
        self._append([picture], max_mutable_rows)

    def _append(self, pictures: Sequence[Picture], max_mutable_rows: int) -> None:
        """Append rows in slices that fill a mutable segment, as filling an index writes hundreds of thousands."""
        for space, group in groupby(pictures, key=lambda picture: (picture.model, picture.kind)):
            waiting = list(group)
            self._live[space] += sum(picture.live for picture in waiting)
            while waiting:
                mutable = self._mutable.get(space)
                if mutable is None:
                    mutable = self._mutable[space] = MutableSegment(space, logged=not self._unlogged)
                room = max(max_mutable_rows - mutable.count, 1)
                mutable.append(waiting[:room])
                waiting = waiting[room:]
                if mutable.count >= max_mutable_rows:
                    self._full.append(self._mutable.pop(space))

    def _uncount(self, segment: Segment, row: int) -> None:
        self._live[segment.space] -= bool(segment.live[row])

    def _find(self, id_: str) -> tuple[Segment, int] | None:
        """Return the segment and the number of a picture's current row; None if there is none."""
        segments: list[Segment] = [*self._mutable.values(), *self._full, *self._sealed]
        for segment in segments:
            row = segment.find(id_)
            if row is not None:
                return segment, row
        return None

    def _schedule_compaction(self) -> None:
        if not self._compaction_scheduled and self._plan_compaction():
            self._compaction_scheduled = True
            self._on_compaction_due(self)

    def _next_compaction(self) -> list[Segment]:
        with self._lock:
            segments = self._plan_compaction()
            self._compaction_scheduled = bool(segments)
            return segments

    def _plan_compaction(self) -> list[Segment]:
        """Return the segments to merge into one; none if no compaction is due.

        Full mutable segments are merged with sealed ones of up to twice their rows, so that few segments remain.
        Without a full one, a sealed segment with too many tombstones is rewritten.
        """
        if not self._full:
            holed: list[Segment] = [
                segment for segment in self._sealed if segment.tombstones > _MAX_TOMBSTONE_SHARE * segment.count
            ]
            return holed[:1]
        space = self._full[0].space
        segments: list[Segment] = []
        rows = 0
        for mutable in self._full:
            if mutable.space == space and (not segments or rows + mutable.count <= MAX_SEGMENT_ROWS):
                segments.append(mutable)
                rows += mutable.count
        for segment in sorted(self._sealed, key=lambda one: one.count):
            if segment.space == space and segment.count <= min(2 * rows, MAX_SEGMENT_ROWS - rows):
                segments.append(segment)
                rows += segment.count
        return segments


def _captured(segment: SealedSegment) -> CapturedSegment:
    rows = segment.changed_rows()
    return CapturedSegment(segment, ChangedRows(rows.astype(np.int32), segment.revisions[rows], segment.live[rows]))


def _among(segment: Segment, segments: Sequence[Segment]) -> bool:
    return any(segment is one for one in segments)
