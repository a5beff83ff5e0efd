"""The index of one library as this process knows it, brought up to the log before each use."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lookalike.domain.picture import Picture
from lookalike.errors import Unavailable
from lookalike.observability import logger
from lookalike.ports import Clock
from lookalike.stores.aws.dynamodb_keys import Item
from lookalike.stores.aws.segment_compaction import Compactor, Limits, NewSegments
from lookalike.stores.aws.segment_log import Entry, SegmentLog, UnusableLogError, in_entries
from lookalike.stores.aws.segment_manifest import (
    Manifest,
    UnusableManifestError,
    identity_of,
    manifest_attributes,
    manifest_of,
    number_of,
)
from lookalike.stores.aws.segment_objects import SegmentObjects
from lookalike.stores.segments.index_row import IndexRow
from lookalike.stores.segments.layers import Layers
from lookalike.stores.segments.segment_file import UnusableFileError

#: Attempts to append an entry, or to find a list of segments that stays: another writer is first at most so often.
_MAX_ATTEMPTS = 60

#: Seconds: bound of the random pause after an attempt.
_MAX_PAUSE = 0.02

T = TypeVar("T")

#: Returns all rows of a library, as the catalog has them now.
PicturesOf = Callable[[str], Iterator[Sequence[Picture]]]


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What was read: the list of segments and its item, the entries behind it, and what they come to together.

    Attributes
    ----------
    last : number of the last entry that was read.
    is_shared : whether others read these segments, too. Those that could not be written are in this process alone.
    """

    item: Item | None
    manifest: Manifest
    base: Layers
    entries: tuple[Entry, ...]
    layers: Layers
    last: int
    is_shared: bool = True

    def newer(self, rows: Sequence[IndexRow]) -> list[IndexRow]:
        """Return those of these rows that others cannot have read yet."""
        return (self.layers if self.is_shared else replace(self.layers, segments=(), current=())).newer(rows)

    def with_entries(self, entries: Sequence[Entry]) -> _State:
        """Return the state with the entries after its last one. Raises UnusableLogError."""
        rows = list(self.layers.log.values())
        for entry in entries:
            if entry.rows is None:
                raise UnusableLogError(f"entry {entry.number} of its log is damaged")
            rows += entry.rows
        every = (*self.entries, *entries)
        last = every[-1].number if every else self.last
        return replace(self, entries=every, layers=self.base.under(rows), last=last)


class SegmentLibrary:
    """Reads and writes the index of a library. Safe to use from several threads and processes.

    What cannot be used, or is not there, is made again from the catalog, whose rows are written before the index's.

    Parameters
    ----------
    pictures_of : reads the catalog.
    """

    def __init__(
        self,
        library: str,
        log: SegmentLog,
        objects: SegmentObjects,
        pictures_of: PicturesOf,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self.library = library
        self._log = log
        self._objects = objects
        self._pictures_of = pictures_of
        self._limits = limits
        self._compactor = Compactor(library, log, objects, clock, limits)
        self._lock = threading.RLock()
        self._state: _State | None = None

    @property
    def resident(self) -> int:
        """Bytes in memory."""
        state = self._state
        return 0 if state is None else sum(one.resident for one in state.base.segments)

    def use(self, work: Callable[[Layers], T]) -> T:
        """Return the result of ``work``, given all that was written before this call. Raises Unavailable."""
        layers = self._current().layers
        try:
            return work(layers)
        except UnusableFileError as error:
            return work(self.make_again(str(error), layers))

    def append(self, rows: Sequence[IndexRow]) -> None:
        """Write rows, but those of which the index has the same revision or a newer one. Raises Unavailable."""
        for some in in_entries(rows):
            self._append(some)

    def compact(self) -> None:
        """Bring the log into segments if it is long, and merge segments if they are many. Raises Unavailable."""
        with self._lock:
            state = self._current()
            rows = sum(len(entry.rows or ()) for entry in state.entries)
            if rows < self._limits.log_rows:
                return
            if not state.is_shared:
                self.make_again()
                return
            try:
                self._compactor.compact(state.item, state.manifest, state.layers, state.last)
            except UnusableFileError as error:
                self.make_again(str(error), state.layers)

    def make_again(self, reason: str = "", seen: Layers | None = None) -> Layers:
        """Make the index from the catalog, unless that was done since ``seen``; return it. Raises Unavailable.

        Parameters
        ----------
        reason : for the log; empty if nothing is wrong.
        """
        with self._lock:
            state = self._state
            if state is not None and seen is not None and state.layers.segments != seen.segments:
                return state.layers
            self._state = self._made_again(reason)
            return self._state.layers

    def forget(self) -> None:
        """Delete the log, its list and the segments."""
        with self._lock:
            self._log.forget()
            self._objects.remove(self._objects.stored(self.library, self._log.space))
            self._state = None

    def _append(self, rows: Sequence[IndexRow]) -> None:
        for _ in range(_MAX_ATTEMPTS):
            with self._lock:
                state = self._current()
                new = state.newer(rows)
                if not new:
                    return
                if self._log.append(state.last + 1, new):
                    self._state = state.with_entries([Entry(state.last + 1, new)])
                    return
            time.sleep(random.uniform(0, _MAX_PAUSE))  # noqa: S311  # no secret
        raise Unavailable("the index: other writers are always first")

    def _current(self) -> _State:
        with self._lock:
            try:
                state = self._read(self._state)
            except (UnusableFileError, UnusableManifestError, UnusableLogError) as error:
                state = self._made_again(str(error))
            except _NoListError:
                state = self._made_again()
            self._state = state
            return state

    def _read(self, state: _State | None) -> _State:
        """Return the state brought up to the log."""
        for _ in range(_MAX_ATTEMPTS):
            is_new = state is None
            if state is None:
                state = self._opened(self._log.manifest())
            tail = self._log.read(state.last)
            if identity_of(tail.manifest) != identity_of(state.item):
                state = self._opened(tail.manifest, state)
            entries = [one for one in tail.entries if one.number > state.last]
            if not entries:
                return state
            if [one.number for one in entries] == list(range(state.last + 1, state.last + 1 + len(entries))):
                return state.with_entries(entries)
            if is_new:
                raise UnusableLogError("its log lacks entries")
            state = None  # so far behind that entries are gone, which segments have by now
        raise Unavailable("the index: its list of segments changes all the time")

    def _opened(self, item: Item | None, before: _State | None = None) -> _State:
        """Return the state of a list of segments, with the entries behind it that were read before."""
        if item is None:
            raise _NoListError
        manifest = manifest_of(item)
        is_later = before is not None and before.manifest.lineage == manifest.lineage
        known = {one.name: one for one in before.base.segments} if before is not None and is_later else {}
        segments = [known.get(ref.object) or self._objects.open(ref, self.library) for ref in manifest.segments]
        base = Layers.of(self.library, segments)
        state = _State(item, manifest, base, (), base, manifest.cut)
        if before is None or not is_later:
            return state
        return state.with_entries([one for one in before.entries if one.number > manifest.cut])

    def _made_again(self, reason: str = "") -> _State:
        """Return the state made from the catalog, which is published if it can be."""
        if reason:
            logger.warning(
                f"the index of a library is made again from the catalog: {reason}",
                extra={"operation": "index", "library": self.library},
            )
        item = self._log.manifest()
        previous = _readable(item)
        last = max([previous.cut, *(one.number for one in self._log.read(0).entries)])
        rows = [IndexRow.of(picture) for pictures in self._pictures_of(self.library) for picture in pictures]
        new = NewSegments.of(self.library, rows)
        manifest = self._compactor.publish(item, previous, last, (), new)
        base = Layers.of(self.library, new.in_memory(manifest))
        if manifest is None:
            return _State(item, replace(previous, cut=last), base, (), base, last, is_shared=False)
        return _State(manifest_attributes(manifest), manifest, base, (), base, last)


def _readable(item: Item | None) -> Manifest:
    """Return the list of an item; of one that cannot be read, or is not there, its number alone."""
    try:
        if item is not None:
            return manifest_of(item)
    except UnusableManifestError:
        pass
    return Manifest(number_of(item), 0, secrets.token_hex(8))


class _NoListError(Exception):
    """There is no list of segments: the library is new here."""
