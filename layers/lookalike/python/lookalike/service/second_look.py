"""A second look at what differs at first sight: by name, at what the stores hold now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from hashlib import sha256
from itertools import groupby

from lookalike.domain.consistency import Fault, Finding
from lookalike.domain.inventory import IndexEntry
from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture, State
from lookalike.ports import Ports
from lookalike.service.old_signs import is_ambiguous, is_named
from lookalike.service.survey import Hashes, Survey, are_among, expected_aliases, key_hash, name_hash

#: Milliseconds since a picture's last change before which no difference of it counts: its write may be under way.
GRACE_MS = 60_000

#: Milliseconds since a file was written before which it counts as no orphan: its row may be about to be written.
ORPHAN_GRACE_MS = 3_600_000

#: Tells of each row of a batch whether it is suspected.
_Test = Callable[[Sequence[Picture]], list[bool]]


class SecondLook:
    """Finds the differences that are still there. ``settling`` counts those of pictures too young to be judged.

    Pictures of ``removed`` libraries (uid) are not judged.
    """

    def __init__(self, ports: Ports, began: int, map_size: int, removed: Set[str] = frozenset()) -> None:
        self._ports = ports
        self._removed = removed
        self._map_size = map_size
        self._before = began - GRACE_MS
        self._orphan_before = began - ORPHAN_GRACE_MS
        self.settling = 0

    def entries(self, wanted: Hashes) -> Iterator[Finding]:
        """Yield what is found of index entries, by :func:`~lookalike.service.survey.key_hash`."""
        if not len(wanted):
            return
        for batch in self._ports.index.entries():
            chosen = are_among((key_hash(one.kind, one.key) for one in batch), wanted)
            yield from self._judged([(one.kind, one.key) for one, here in zip(batch, chosen, strict=True) if here])

    def rows(self, wanted: Hashes) -> Iterator[Finding]:
        """Yield what is found of rows and their entries, likewise."""
        if not len(wanted):
            return
        for batch in self._ports.catalog.every_row():
            chosen = are_among((key_hash(row.kind, row.key) for row in batch), wanted)
            yield from self._judged([(row.kind, row.key) for row, here in zip(batch, chosen, strict=True) if here])

    def own_faults(self, seen: Survey, lost_libraries: Set[str]) -> Iterator[Finding]:
        """Yield rows of another model, without original, map, library or sign, and unreadable: one fault after the other."""
        tests: list[tuple[Fault, bool, _Test]] = [
            (Fault.OTHER_MODEL, seen.other_models > 0, self._are_of_other_models),
            (Fault.NO_ORIGINAL, len(seen.lost_files) > 0, lambda rows: self._have_lost_files(rows, seen.lost_files)),
            (Fault.NO_MAP, len(seen.lost_maps) > 0, lambda rows: self._have_lost_maps(rows, seen.lost_maps)),
            (Fault.UNREADABLE, seen.unreadable > 0, lambda rows: [row.state is State.DAMAGED for row in rows]),
            (
                Fault.NO_LIBRARY,
                len(lost_libraries) > 0,
                lambda rows: [row.live and row.key.library in lost_libraries for row in rows],
            ),
            (Fault.WRONG_SIGN, len(seen.wrong_signs) > 0, lambda rows: _have_old_signs(rows, seen.wrong_signs)),
            (Fault.SHARED_SIGN, len(seen.shared_signs) > 0, lambda rows: _have_old_signs(rows, seen.shared_signs)),
        ]
        for fault, due, test in tests:
            for batch in self._ports.catalog.every_row() if due else ():
                for row, suspect in zip(batch, test(batch), strict=True):
                    now = self._settled(row) if suspect and row.key.library not in self._removed else None
                    if now is not None and test([now]) == [True] and self._is_still(fault, now):
                        yield Finding(fault, _name(now.key), now)

    def sample(self, seen: Survey) -> list[tuple[Picture, bool]]:
        """Return the sample less the rows that :meth:`own_faults` finds without original, and whether it finds their maps."""
        lost = self._have_lost_files(seen.sample, seen.lost_files)
        no_map = self._have_lost_maps(seen.sample, seen.lost_maps)
        return [
            (row, not has_no_map)
            for row, is_lost, has_no_map in zip(seen.sample, lost, no_map, strict=True)
            if not is_lost
        ]

    def _are_of_other_models(self, rows: Sequence[Picture]) -> list[bool]:
        return [row.live and row.model != self._ports.embedder.model for row in rows]

    def _have_lost_files(self, rows: Sequence[Picture], lost: Hashes) -> list[bool]:
        return are_among((name_hash(self._ports.originals.name_of(row.object_key)) for row in rows), lost)

    def _have_lost_maps(self, rows: Sequence[Picture], lost: Hashes) -> list[bool]:
        return are_among((name_hash(row.object_key) for row in rows), lost)

    def _is_still(self, fault: Fault, row: Picture) -> bool:
        """Whether a row's fault is still there."""
        if fault is Fault.NO_ORIGINAL:
            data = self._ports.originals.get(row.object_key)
            return data is None or sha256(data).hexdigest() != row.file_digest
        if fault is Fault.NO_MAP:
            return len(self._ports.maps.maps([row.object_key]).get(row.object_key, b"")) != self._map_size
        if fault is Fault.WRONG_SIGN:
            return not is_named(self._ports, row)
        if fault is Fault.SHARED_SIGN:
            return is_ambiguous(self._ports, row)
        return True

    def _settled(self, row: Picture) -> Picture | None:
        """Return the row as it is now; None if it may not be judged, for it is gone or was written a short while ago.

        What was mended since it was read has changed it, and its other faults are to be mended in the same run.
        """
        now = self._ports.catalog.picture(row.key)
        if now is None or now.state is State.DAMAGED:
            return now
        return now if self._is_old(now.revision, self._before) else None

    def orphan_files(self, wanted: Hashes) -> Iterator[Finding]:
        """Yield files that no row points to."""
        if not len(wanted):
            return
        for batch in self._ports.originals.stored():
            chosen = are_among((name_hash(one.name) for one in batch), wanted)
            for one, here in zip(batch, chosen, strict=True):
                if here and self._is_old(one.written, self._orphan_before):
                    yield Finding(Fault.ORPHAN_FILE, one.name)

    def orphan_maps(self, wanted: Hashes) -> Iterator[Finding]:
        """Yield maps that no row points to."""
        if not len(wanted):
            return
        for batch in self._ports.maps.stored_maps():
            chosen = are_among((name_hash(one.key) for one in batch), wanted)
            for one, here in zip(batch, chosen, strict=True):
                if here and self._is_old(_added_of(one.key), self._orphan_before):
                    yield Finding(Fault.ORPHAN_MAP, one.key)

    def _judged(self, places: Iterable[tuple[Kind, Key]]) -> Iterator[Finding]:
        for kind, same in groupby(places, key=lambda one: one[0]):
            keys = [key for _, key in same if key.library not in self._removed]
            rows, entries = look_now(self._ports, kind, keys)
            for key in keys:
                row, entry = rows[key], entries.get(key)
                fault = fault_of(row, entry)
                revisions = [one.revision for one in (row, entry) if one is not None]
                if fault is not None and self._is_old(max(revisions), self._before):
                    yield Finding(fault, _name(key), row, entry)

    def _is_old(self, at: int, before: int) -> bool:
        old = at <= before
        self.settling += not old
        return old


def _have_old_signs(rows: Sequence[Picture], wanted: Hashes) -> list[bool]:
    return [
        row.live
        and bool(row.metadata.old_sign)
        and any(are_among((alias for alias, _ in expected_aliases(row)), wanted))
        for row in rows
    ]


def look_now(ports: Ports, kind: Kind, keys: Sequence[Key]) -> tuple[dict[Key, Picture | None], dict[Key, IndexEntry]]:
    """Return the rows and the entries of pictures, as they are now.

    Rows are read first: one that is gone had left the index before.
    """
    rows = dict(ports.catalog.changed(dict.fromkeys(keys, _NO_REVISION)))
    return rows, {entry.key: entry for entry in ports.index.held(kind, keys)}


def fault_of(row: Picture | None, entry: IndexEntry | None) -> Fault | None:
    """Return what is wrong with a picture's entry."""
    if row is not None and row.state is State.DAMAGED:
        return None
    live = row is not None and row.live
    if entry is None or not entry.live:
        if live:
            return Fault.MISSING
        return Fault.ORPHAN_ENTRY if entry is not None and row is None else None
    if row is None or not live:
        return Fault.GHOST
    return Fault.STALE if (entry.revision, entry.model) != (row.revision, row.model) else None


#: No row has this revision.
_NO_REVISION = -2


def _name(key: Key) -> str:
    return f"{key.library}/{key.id}"


def _added_of(object_key: str) -> int:
    """Return the revision of the add that stored a map; 0 if its key does not tell."""
    added = object_key.rpartition("/")[2].partition("-")[0]
    return int(added) if added.isascii() and added.isdigit() else 0
