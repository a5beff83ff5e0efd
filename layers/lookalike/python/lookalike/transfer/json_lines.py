"""Rows of a file in JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from lookalike.transfer.columns import Columns
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
        self._columns = columns
        self._named = Named()
        self._encoding = encoding or encoding_of(path)
        first = next(self._objects(), None)
        if first is None:
            raise SourceError(f"{path}: no line of it is a JSON object")
        self._fields = columns.of([*first], str(path))

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def has_ids(self) -> bool:
        """Whether the first line has an id, or a sign."""
        return not {"id", "sign"}.isdisjoint(self._fields.values())

    def rows(self) -> Iterator[Row]:
        """Iterate over the lines; empty ones are left out. Raises SourceError."""
        named = Named()
        for number, line in enumerate(self._lines(), 1):
            row = self._row(number, line)
            named.see(row.file)
            yield row
        self._named = named

    def notes(self) -> Sequence[str]:
        """Return how many files are not named; members that say nothing of pictures are common."""
        return self._named.notes()

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
        named = self._columns.names()
        return {field: members[name] for field, name in named.items() if name in members}

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
