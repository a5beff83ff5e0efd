"""Mending what a check found: exactly those pictures, at a bounded rate.

Entries of the index are written again from their rows. The index takes only newer revisions: where it holds as new a one as
the row, or remembers one of a removed entry, the row gets a new revision first. So mending never depends on what the index
has seen before (an index restored from elsewhere, or a table restored from a backup, may be ahead of its rows).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

import numpy as np

from lookalike.domain.consistency import Fault, Finding
from lookalike.domain.inventory import IndexEntry
from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION, Key, Picture, State, next_revision
from lookalike.errors import IndexWriteError
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports
from lookalike.service.add import put_embedding
from lookalike.service.catalog_writes import compare_and_set
from lookalike.service.embedded_again import OriginalsEmbedder
from lookalike.service.old_signs import mend_sign
from lookalike.service.second_look import fault_of, look_now

#: Rows mended in a second, at most.
DEFAULT_RATE = 200.0

#: A batch that takes so many times the shortest time per row says that a store is busy: the rate is halved then.
_BUSY = 2.0

#: Share of the asked rate that is never gone below.
_MIN_SHARE = 1 / 16

_NO_DIGEST = "0" * 64


class Mender:
    """Mends findings, ``rate`` rows a second at most, fewer while the stores are slow.

    What cannot be mended is left: a lost original or library, a row that cannot be read, a picture that is not the first to
    be found, an old sign that is another picture's own.
    """

    def __init__(self, ports: Ports, rate: float = DEFAULT_RATE, pause: Callable[[float], None] = time.sleep) -> None:
        self._ports = ports
        self._pace = _Pace(rate, pause)
        self._originals = OriginalsEmbedder(ports)

    def __call__(self, fault: Fault, findings: list[Finding]) -> int:
        """Mend findings of one fault; return how many are mended. Raises Unavailable if a store does not answer."""
        ways: Mapping[Fault, Callable[[Sequence[Finding]], int]] = {
            Fault.GHOST: self._entries,
            Fault.STALE: self._entries,
            Fault.MISSING: self._entries,
            Fault.ORPHAN_ENTRY: self._entries,
            Fault.OTHER_MODEL: self._embed_again,
            Fault.UNLIKE: self._embed_again,
            Fault.NO_MAP: self._embed_again,
            Fault.WRONG_SIGN: self._signs,
            Fault.ORPHAN_FILE: self._remove_files,
            Fault.ORPHAN_MAP: self._remove_maps,
        }
        way = ways.get(fault)
        if way is None:
            return 0
        began = time.monotonic()
        mended = way(findings)
        self._pace.wait(len(findings), time.monotonic() - began)
        return mended

    def _entries(self, findings: Sequence[Finding]) -> int:
        places = [(_kind_of(one), _key_of(one)) for one in findings]
        return sum(
            self._mend_entries(kind, [key for _, key in same]) for kind, same in groupby(places, key=lambda one: one[0])
        )

    def _mend_entries(self, kind: Kind, keys: Sequence[Key]) -> int:
        """Bring the index up to date with these rows; return the number of those that are right now."""
        wrong = self._write(kind, keys)
        if wrong:  # the index holds, or remembers, as new a revision
            for key, entry in wrong.items():
                self._raise_revision(key, entry)
            wrong = self._write(kind, list(wrong))
        return len(keys) - len(wrong)

    def _write(self, kind: Kind, keys: Sequence[Key]) -> Mapping[Key, IndexEntry | None]:
        """Write rows to the index, and remove entries that have none; return what is wrong all the same."""
        rows, entries = look_now(self._ports, kind, keys)
        gone = [_stub(entries[key]) for key in keys if rows[key] is None and key in entries]
        try:
            self._ports.index.remove(gone)
            self._ports.index.write([row for row in rows.values() if row is not None], wait=False)
        except IndexWriteError as error:
            logger.warning("the index did not take all rows", extra={"operation": "check", **error_fields(error)})
        rows, entries = look_now(self._ports, kind, keys)
        return {key: entries.get(key) for key in keys if fault_of(rows[key], entries.get(key)) is not None}

    def _raise_revision(self, key: Key, entry: IndexEntry | None) -> None:
        def step(current: Picture | None) -> Picture | None:
            if current is None or current.state is State.DAMAGED:
                return None
            held = current.revision if entry is None else max(current.revision, entry.revision)
            return current.but(
                revision=held + 1
            )  # not the clock's: it would be too young for its other faults to count

        compare_and_set(self._ports, key, step)

    def _embed_again(self, findings: Sequence[Finding]) -> int:
        return sum(self._mend_vector(one.row) for one in findings if one.row is not None)

    def _mend_vector(self, row: Picture) -> bool:
        """Store the vector and the map that the present model makes of the row's original."""
        again = self._originals.embed_again(row)
        if again is None or again.embedding is None:
            return False
        vector, model = again.embedding.vectors[row.kind], self._ports.embedder.model
        view = self._ports.view
        if view is not None and view.of_two and (row.stored is not None or row.model != model):
            put_embedding(self._ports, model, row, again.embedding)  # the row has another model's
            return self._mend_entries(row.kind, [row.key]) == 1
        if row.kind is Kind.SAME and again.embedding.feature_map:
            self._ports.maps.put_map(row.object_key, again.embedding.feature_map)
        if row.model == model and np.array_equal(row.vector, vector):
            return True

        def step(current: Picture | None) -> Picture | None:
            if current is None or not current.live or current.added != row.added:
                return None
            return current.but(
                revision=next_revision(current.revision, self._ports.clock()), vector=vector, model=model
            )

        changed = compare_and_set(self._ports, row.key, step)
        return changed is None or self._mend_entries(row.kind, [row.key]) == 1

    def _signs(self, findings: Sequence[Finding]) -> int:
        return sum(mend_sign(self._ports, one.row) for one in findings if one.row is not None)

    def _remove_files(self, findings: Sequence[Finding]) -> int:
        self._ports.originals.remove_stored([one.name for one in findings])
        return len(findings)

    def _remove_maps(self, findings: Sequence[Finding]) -> int:
        self._ports.maps.remove_maps([one.name for one in findings])
        return len(findings)


class _Pace:
    """Keeps to a rate, and to less while batches take long."""

    def __init__(self, rate: float, pause: Callable[[float], None]) -> None:
        self._most = self._rate = rate
        self._pause = pause
        self._shortest = float("inf")

    def wait(self, rows: int, seconds: float) -> None:
        """Wait until the next batch is due, after one of so many rows that took so long."""
        per_row = seconds / max(rows, 1)
        if per_row > _BUSY * self._shortest:
            self._rate = max(self._rate / 2, self._most * _MIN_SHARE)
        else:
            self._rate = min(self._rate * 2, self._most)
        self._shortest = min(self._shortest, per_row)
        self._pause(max(0.0, rows / self._rate - seconds))


def _kind_of(finding: Finding) -> Kind:
    return finding.entry.kind if finding.entry is not None else _row_of(finding).kind


def _key_of(finding: Finding) -> Key:
    return finding.entry.key if finding.entry is not None else _row_of(finding).key


def _row_of(finding: Finding) -> Picture:
    if finding.row is None:
        raise ValueError(f"neither row nor entry: {finding.name}")
    return finding.row


def _stub(entry: IndexEntry) -> Picture:
    """Return a row by which the index removes an entry that has none."""
    return Picture(
        key=entry.key,
        kind=entry.kind,
        revision=entry.revision,
        added=entry.revision,
        state=State.DELETED,
        digest=_NO_DIGEST,
        file_digest=_NO_DIGEST,
        model=entry.model,
        vector=np.zeros(DIMENSION, np.float16),
    )
