"""Brings a library's log into segments, merges segments, and publishes the list of those that count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Unavailable
from lookalike.observability import logger
from lookalike.ports import Clock
from lookalike.stores.aws.dynamodb_keys import Item
from lookalike.stores.aws.segment_log import SegmentLog
from lookalike.stores.aws.segment_manifest import Manifest, Outdated, SegmentRef
from lookalike.stores.aws.segment_objects import SegmentObjects
from lookalike.stores.segments.index_row import IndexRow
from lookalike.stores.segments.layers import Layers
from lookalike.stores.segments.lazy_segment import LazySegment
from lookalike.stores.segments.row_batch import RowBatch

#: A segment is merged with the log and with smaller ones if it has at most so many times as many rows as these together.
#: So each segment has more rows than all smaller ones, and a library few of them.
_MERGED_UP_TO = 2

#: Entries deleted after one publication.
_MAX_DELETED = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """When segments are made and merged.

    Attributes
    ----------
    log_rows : rows of a log from which it becomes a segment.
    dead_share : share of rows that no longer count from which all segments are merged.
    max_rows : rows of a segment; larger ones are not made by merging.
    kept_ms : milliseconds for which readers may go on with an older list: what it names is kept as long.
    """

    log_rows: int = 256
    dead_share: float = 0.25
    max_rows: int = 131_072
    kept_ms: int = 60 * 60 * 1000


@dataclass(frozen=True, slots=True, eq=False)
class NewSegments:
    """Segments in memory, by their space: model and kind."""

    library: str
    sections: Mapping[tuple[str, str], dict[str, NDArray[Any]]]

    @classmethod
    def of(
        cls, library: str, rows: Iterable[IndexRow], batches: Sequence[tuple[str, str, RowBatch]] = ()
    ) -> NewSegments:
        """Return the segments of rows and of batches of each model and kind."""
        logged: dict[tuple[str, str], list[IndexRow]] = {}
        for row in rows:
            logged.setdefault((row.model, row.kind), []).append(row)
        found: dict[tuple[str, str], list[RowBatch]] = {space: [RowBatch.of(some)] for space, some in logged.items()}
        for model, kind, batch in batches:
            if len(batch.hashes):
                found.setdefault((model, kind), []).append(batch)
        return cls(library, {space: RowBatch.joined(some).sections() for space, some in found.items()})

    def in_memory(self, manifest: Manifest | None) -> list[LazySegment]:
        """Return the segments, by the names of their objects if they are in a list."""
        names = {} if manifest is None else {(one.model, one.kind): one.object for one in manifest.segments}
        return [
            LazySegment(model, kind, len(some["hashes"]), names.get((model, kind), "in memory"), some.__getitem__)
            for (model, kind), some in self.sections.items()
        ]


class Compactor:
    """Writes segments and lists of them. Several may work at once: one list wins, and what the others have made goes.

    Parameters
    ----------
    clock : tells how long something has been outdated.
    """

    def __init__(self, library: str, log: SegmentLog, objects: SegmentObjects, clock: Clock, limits: Limits) -> None:
        self._library = library
        self._log = log
        self._objects = objects
        self._clock = clock
        self._limits = limits

    def compact(self, item: Item | None, manifest: Manifest, layers: Layers, last: int) -> bool:
        """Put the log up to an entry into segments; return False if another was first.

        Raises Unavailable or UnusableFileError.
        """
        merged = self._merged(layers)
        is_whole = len(merged) == len(layers.segments)
        batches = [
            (
                segment.model,
                segment.kind,
                segment.batch(np.flatnonzero(current & ~segment.removed if is_whole else current)),
            )
            for segment, current in zip(layers.segments, layers.current, strict=True)
            if segment.name in merged
        ]
        rows = [row for row in layers.log.values() if not (is_whole and row.removed)]
        kept = [one for one in manifest.segments if one.object not in merged]
        return self.publish(item, manifest, last, kept, NewSegments.of(self._library, rows, batches)) is not None

    def publish(
        self, item: Item | None, manifest: Manifest, cut: int, kept: Sequence[SegmentRef], new: NewSegments
    ) -> Manifest | None:
        """Make a list of these segments that replaces another; return it, or None if that could not be done.

        Parameters
        ----------
        item : the stored list; None if there is none.
        manifest : what it says, as far as it can be read.
        cut : number of the entry up to which the segments hold everything.
        """
        made: list[SegmentRef] = []
        try:
            made += (
                self._objects.put(self._library, self._log.space, model, kind, sections)
                for (model, kind), sections in new.sections.items()
            )
            published = self._following(manifest, cut, [*kept, *made])
            if self._log.publish(published, item):
                self._sweep(manifest, published)
                return published
        except Unavailable as error:
            logger.warning(
                f"segments of the index could not be written: {error}",
                extra={"operation": "index", "library": self._library},
            )
        self._remove([one.object for one in made])
        return None

    def _merged(self, layers: Layers) -> set[str]:
        """Return the names of the segments to be merged with the log."""
        total = sum(segment.count for segment in layers.segments)
        if layers.dead_rows() > self._limits.dead_share * total and total <= self._limits.max_rows:
            return {segment.name for segment in layers.segments}
        rows, names = len(layers.log), set()
        for segment in sorted(layers.segments, key=lambda one: one.count):
            if segment.count > _MERGED_UP_TO * rows or rows + segment.count > self._limits.max_rows:
                break
            rows += segment.count
            names.add(segment.name)
        return names

    def _following(self, manifest: Manifest, cut: int, segments: Sequence[SegmentRef]) -> Manifest:
        now = self._clock()
        named = {one.object for one in segments}
        gone = [one.object for one in manifest.segments if one.object not in named]
        outdated = [one for one in manifest.outdated if one.since > now - self._limits.kept_ms]
        done = [one for one in manifest.outdated if one.since <= now - self._limits.kept_ms]
        return Manifest(
            number=manifest.number + 1,
            cut=cut,
            lineage=manifest.lineage,
            swept=max([manifest.swept, *(one.cut for one in done)]),
            segments=segments,
            outdated=[*outdated, Outdated(now, cut, gone)],
        )

    def _sweep(self, before: Manifest, after: Manifest) -> None:
        """Delete what has been outdated for long. What fails here is left until the next time, and harms nothing."""
        self._remove_unnamed(after)
        numbers = range(before.swept + 1, after.swept + 1)[-_MAX_DELETED:]
        try:
            self._log.drop(numbers)
        except Unavailable as error:
            logger.warning(f"entries of an index's log are left: {error}", extra={"library": self._library})

    def _remove_unnamed(self, manifest: Manifest) -> None:
        """Delete segments that the list does not name and readers of older lists do not read.

        Whoever was killed between writing a segment and publishing it has left one that no list has ever named.
        """
        named = {one.object for one in manifest.segments} | {name for one in manifest.outdated for name in one.objects}
        before = self._clock() - self._limits.kept_ms
        try:
            stored = self._objects.stored(self._library, self._log.space)
        except Unavailable as error:
            logger.warning(f"segments of the index are left: {error}", extra={"library": self._library})
        else:
            self._remove([name for name, written in stored.items() if written < before and name not in named])

    def _remove(self, objects: Sequence[str]) -> None:
        try:
            self._objects.remove(objects)
        except Unavailable as error:
            logger.warning(f"segments of the index are left: {error}", extra={"library": self._library})
