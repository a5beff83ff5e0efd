"""Rows of a file in JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from lookalike.transfer.columns import MAX_LISTED, Columns, column_of, fields_of, notes_of_unused
from lookalike.transfer.encoding import encoding_of, opened
from lookalike.transfer.rows import Place, Row, RowError, SourceError, row_of
from lookalike.transfer.unnamed import Named


class JsonLines:
    """A file with a JSON object a line. Files are named relative to its folder, and lie in it or in ``root``.

    Raises SourceError, or InvalidArgument if the first line's members name no picture.
    """

    def __init__(self, path: Path, columns: Columns, encoding: str | None = None, root: Path | None = None) -> None:
        self._path = path
        self._place = Place.of(path.parent, root)
        self._named = Named()
        self._encoding = encoding or encoding_of(path)
        first = next(self._objects(), None)
        if first is None:
            raise SourceError(f"{path}: no line of it is a JSON object")
        self._fields = dict(columns.of([*first], str(path)))
        self._names = columns.names()
        self._unused: dict[str, str] = {}

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def has_ids(self) -> bool:
        """Whether the first line has an id, or any that was read."""
        return "id" in self._fields.values()

    def column(self, field: str) -> str:
        """Return what the lines call a field: as the first one does, or by the first name that it may have."""
        known = {names[0]: name for name, names in self._names.items() if names}
        return column_of({**known, **self._fields}, field)

    def rows(self) -> Iterator[Row]:
        """Iterate over the lines; empty ones are left out. Raises SourceError."""
        named = Named()
        for number, line in enumerate(self._lines(), 1):
            row = self._row(number, line)
            named.see(row.file)
            yield row
        self._named = named

    def notes(self) -> Sequence[str]:
        """Return which members are not used, of those that came first, and how many files."""
        return [*notes_of_unused("members", [*self._unused.values()], self._fields), *self._named.notes()]

    def _row(self, number: int, line: str) -> Row:
        try:
            return row_of(number, self._said(line), self._place)
        except RowError as fault:
            return Row(number, line.strip()[:200], fault=str(fault))

    def _said(self, line: str) -> dict[str, object]:
        found = _object_of(line)
        if found is None:
            raise RowError("not a JSON object")
        members = {name.strip().casefold(): value for name, value in found.items()}
        fields = fields_of(self._names, members)
        known = self._fields.values()
        self._fields |= {name: field for field, name in fields.items() if field not in known}
        self._see_unused(found, fields.values())
        return {field: members[name] for field, name in fields.items()}

    def _see_unused(self, found: Iterable[str], used: Collection[str]) -> None:
        """Remember members that say nothing, up to one more than are listed."""
        for name in found:
            if len(self._unused) > MAX_LISTED:
                return
            folded = name.strip().casefold()
            if folded and folded not in used:
                self._unused.setdefault(folded, name.strip()[:40])

    def _lines(self) -> Iterator[str]:
        with opened(self._path, self._encoding) as file:
            yield from (line for line in file if line.strip())

    def _objects(self) -> Iterator[dict[str, object]]:
        return (found for line in self._lines() if (found := _object_of(line)) is not None)


def _object_of(line: str) -> dict[str, object] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
