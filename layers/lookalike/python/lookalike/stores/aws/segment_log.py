"""The log of a library's index writes, and the list of its segments: one partition of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lookalike.stores.aws.dynamodb_conditions import ABSENT, Condition, ConditionError, attributes_equal
from lookalike.stores.aws.dynamodb_keys import Item, ItemKey, log_partition
from lookalike.stores.aws.dynamodb_table import Table
from lookalike.stores.aws.segment_manifest import Manifest, identity_of, manifest_attributes
from lookalike.stores.segments.index_row import IndexRow, decode_rows, encode_rows

#: Sort key of the list of segments. It is greater than that of any entry, so that one query reads both.
_MANIFEST = "manifest"

#: Partition that names all libraries that have a log.
_LIBRARIES = log_partition("")

#: Rows of an entry, and about as many bytes: an item has at most 400 KB.
_MAX_ROWS = 100
_MAX_BYTES = 250_000


class UnusableLogError(Exception):
    """A log cannot be used. The text says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Rows that were written together, and their number; numbers have no gaps. ``rows`` is None if it cannot be read."""

    number: int
    rows: Sequence[IndexRow] | None


@dataclass(frozen=True, slots=True)
class Tail:
    """What a log has after a number, and the item of the list of segments; None if there is none."""

    entries: Sequence[Entry]
    manifest: Item | None


class SegmentLog:
    """Appends entries, each under the number after the last one, which only one writer can take.

    No clock is asked: whoever has read all entries up to a number has read everything that was written before.
    Every method may raise Unavailable.

    Parameters
    ----------
    space : a further model's name, whose log it is; empty: the log of the model that was there first.
    """

    def __init__(self, table: Table, library: str, space: str = "") -> None:
        self._table = table
        self._library = library
        self.space = space
        self._pk = log_partition(library, space)

    def manifest(self) -> Item | None:
        """Return the item of the list of segments; None if there is none."""
        return self._table.get(ItemKey(self._pk, _MANIFEST))

    def read(self, after: int) -> Tail:
        """Return the entries after a number. Sees every entry whose append has returned before."""
        entries, manifest = [], None
        for item in self._table.query(self._pk, after=_name(after)):
            if item["sk"]["S"] == _MANIFEST:
                manifest = item
            else:
                entries.append(_entry_of(item))
        return Tail(entries, manifest)

    def append(self, place: int, rows: Sequence[IndexRow]) -> bool:
        """Write an entry under a number; return False if there is one already."""
        item = ItemKey(self._pk, _name(place)).values | {"rows": {"B": encode_rows(rows)}}
        try:
            self._table.put(item, ABSENT)
        except ConditionError:
            return False
        return True

    def publish(self, manifest: Manifest, previous: Item | None) -> bool:
        """Make this the list of segments; return False if another than ``previous`` is there."""
        if previous is None:
            self._table.put({"pk": {"S": _LIBRARIES}, "sk": {"S": f"{self._library}@{self.space}"}})
        item = ItemKey(self._pk, _MANIFEST).values | manifest_attributes(manifest)
        try:
            self._table.put(item, ABSENT if previous is None else _is_still(previous))
        except ConditionError:
            return False
        return True

    def drop(self, numbers: Sequence[int]) -> None:
        """Delete entries."""
        self._table.delete_all([ItemKey(self._pk, _name(one)) for one in numbers])

    def forget(self) -> None:
        """Delete the whole log, and its list of segments."""
        self._table.delete_all(
            [
                *(ItemKey(self._pk, str(item["sk"]["S"])) for item in self._table.query(self._pk)),
                ItemKey(_LIBRARIES, f"{self._library}@{self.space}"),
            ]
        )


def logged_libraries(table: Table) -> Iterator[tuple[str, str]]:
    """Yield the uids of the libraries that have a log, each with the log's space."""
    for item in table.query(_LIBRARIES):
        library, _, space = str(item["sk"]["S"]).partition("@")
        yield library, space


def in_entries(rows: Sequence[IndexRow]) -> Iterator[Sequence[IndexRow]]:
    """Split rows into those of one entry each."""
    entry: list[IndexRow] = []
    size = 0
    for row in rows:
        taken = len(row.record) + row.vector.nbytes
        if entry and (len(entry) == _MAX_ROWS or size + taken > _MAX_BYTES):
            yield entry
            entry, size = [], 0
        entry.append(row)
        size += taken
    if entry:
        yield entry


def _entry_of(item: Item) -> Entry:
    place = int(item["sk"]["S"][1:])
    try:
        return Entry(place, decode_rows(bytes(item["rows"]["B"])))
    except (KeyError, TypeError, ValueError):
        return Entry(place, None)


def _is_still(item: Item) -> Condition:
    """Condition: this list of segments is stored. One that says nothing of itself is known by being there."""
    return attributes_equal(identity_of(item) or {"sk": {"S": _MANIFEST}})


def _name(place: int) -> str:
    """Return the sort key of an entry."""
    return f"e{place:016d}"
