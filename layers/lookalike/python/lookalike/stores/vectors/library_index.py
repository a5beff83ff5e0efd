"""The index of one library: sealed segments and a tail per space."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from lookalike.domain.picture import Picture
from lookalike.stores.vectors.compaction import seal
from lookalike.stores.vectors.mutable_segment import Tail
from lookalike.stores.vectors.sealed_segment import Codebook, Segment
from lookalike.stores.vectors.segment_protocol import Mask, Part, Space, hide, retire

#: Rows of a segment that is not merged any further. A merge needs room for the new beside the old.
SEGMENT_ROWS = 131_072

#: A segment is rewritten when more than this share of its rows is gone.
_GONE_SHARE = 0.25


class Collection:
    """All rows of one library. Safe to use from several threads.

    A write appends to a tail and retires the row it replaces. A search takes a snapshot, the parts and which of
    their rows are live, under the lock, and then works on what no thread changes. Full tails are sealed, small
    segments merged and holes closed by :meth:`tidy`, which holds the lock only to begin and to end.

    Parameters
    ----------
    codebook : finds a space's product quantiser.
    untidy : told, under the lock, when :meth:`tidy` has something to do.
    """

    def __init__(self, codebook: Callable[[Space], Codebook | None], untidy: Callable[[Collection], None]) -> None:
        self._lock = threading.Lock()
        self._codebook = codebook
        self._untidy = untidy
        self._told = False
        self._segments: list[Segment] = []
        self._full: list[Tail] = []
        self._tails: dict[Space, Tail] = {}
        self._live: Counter[Space] = Counter()

    def write(self, pictures: Sequence[Picture], tail_rows: int) -> None:
        """Bring the collection to these rows, each if it is newer than what is held.

        A tail of ``tail_rows`` rows is full.
        """
        with self._lock:
            held = self._held([picture.key.id for picture in pictures])
            self._append([picture for picture, known in zip(pictures, held, strict=True) if not known], tail_rows)
            for picture, known in zip(pictures, held, strict=True):
                if known:
                    self._write(picture, tail_rows)
            self._look_around()

    def remove(self, pictures: Sequence[Picture]) -> None:
        """Forget these rows, each if nothing newer is held."""
        with self._lock:
            for picture in pictures:
                place = self._find(picture.key.id)
                if place is not None and place[0].revisions[place[1]] <= picture.revision:
                    self._take_away(*place)
                    retire(*place)
            self._look_around()

    def live(self, model: str | None) -> int:
        """How many live rows there are of a model's vectors; None: of all models'."""
        with self._lock:
            return sum(rows for (of, _), rows in self._live.items() if model in (None, of))

    def snapshot(self, space: Space) -> list[tuple[Part, Mask]]:
        """The parts of a space, and which of their rows are live at this moment."""
        with self._lock:
            parts: list[Part] = [*self._segments, *self._full, *self._tails.values()]
            return [(part, part.live[: part.count].copy()) for part in parts if part.space == space]

    def seal(self, at_least: int) -> None:
        """Let tails of that many rows be sealed now."""
        with self._lock:
            for space, tail in list(self._tails.items()):
                if tail.count >= at_least:
                    self._full.append(self._tails.pop(space))
            self._look_around()

    def tidy(self) -> None:
        """Seal, merge and rewrite until nothing needs it. One thread at a time."""
        try:
            while parts := self._to_rewrite():
                sealing = seal(parts, self._codebook(parts[0].space))
                with self._lock:
                    self._segments = [one for one in self._segments if not _among(one, parts)]
                    self._full = [one for one in self._full if not _among(one, parts)]
                    if sealing is not None:
                        self._segments.append(sealing.finish())
        finally:
            self._told = False

    def _held(self, ids: Sequence[str]) -> list[bool]:
        """Which of these ids may have a row already, or have one once those before them have."""
        if len(set(ids)) < len(ids):
            return [True] * len(ids)
        held = np.zeros(len(ids), np.bool_)
        for tail in (*self._tails.values(), *self._full):
            held |= tail.holding(ids)
        hashes = np.array([hash(id_) for id_ in ids], np.int64)
        for segment in self._segments:
            held |= segment.holding(hashes)
        return held.tolist()

    def _write(self, picture: Picture, tail_rows: int) -> None:
        place = self._find(picture.key.id)
        if place is not None:
            part, row = place
            if part.revisions[row] >= picture.revision:
                return
            self._take_away(part, row)
            if not picture.live:
                hide(part, row, picture.revision)
                return
            retire(part, row)
        self._append([picture], tail_rows)

    def _append(self, pictures: Sequence[Picture], tail_rows: int) -> None:
        """New rows, as many at a time as fill a tail: a start writes hundreds of thousands."""
        for space, group in groupby(pictures, key=lambda picture: (picture.model, picture.kind)):
            waiting = list(group)
            self._live[space] += sum(picture.live for picture in waiting)
            while waiting:
                tail = self._tails.get(space)
                if tail is None:
                    tail = self._tails[space] = Tail(space)
                room = max(tail_rows - tail.count, 1)
                tail.extend(waiting[:room])
                waiting = waiting[room:]
                if tail.count >= tail_rows:
                    self._full.append(self._tails.pop(space))

    def _take_away(self, part: Part, row: int) -> None:
        self._live[part.space] -= bool(part.live[row])

    def _find(self, id_: str) -> tuple[Part, int] | None:
        """Where the row that counts is."""
        parts: list[Part] = [*self._tails.values(), *self._full, *self._segments]
        for part in parts:
            row = part.find(id_)
            if row is not None:
                return part, row
        return None

    def _look_around(self) -> None:
        if not self._told and self._plan():
            self._told = True
            self._untidy(self)

    def _to_rewrite(self) -> list[Part]:
        with self._lock:
            parts = self._plan()
            self._told = bool(parts)
            return parts

    def _plan(self) -> list[Part]:
        """Full tails and the segments not much longer, so that few segments are left; else a segment with holes."""
        if not self._full:
            holed: list[Part] = [part for part in self._segments if part.gone > _GONE_SHARE * part.count]
            return holed[:1]
        space = self._full[0].space
        parts: list[Part] = []
        rows = 0
        for tail in self._full:
            if tail.space == space and (not parts or rows + tail.count <= SEGMENT_ROWS):
                parts.append(tail)
                rows += tail.count
        for segment in sorted(self._segments, key=lambda one: one.count):
            if segment.space == space and segment.count <= min(2 * rows, SEGMENT_ROWS - rows):
                parts.append(segment)
                rows += segment.count
        return parts


def _among(part: Part, parts: Sequence[Part]) -> bool:
    return any(part is one for one in parts)
