"""Rows of a CSV file, whose columns are parted by commas, semicolons, tabs or bars."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TextIO

from lookalike.domain.picture import digest_prefix
from lookalike.transfer.columns import Columns, column_of, notes_of_unused
from lookalike.transfer.encoding import encoding_of, opened
from lookalike.transfer.rows import Place, Row, RowError, SourceError, row_of
from lookalike.transfer.unnamed import Named

#: Characters that may part columns; of those that occur equally often in the first line, the first one does.
_DELIMITERS = ",;\t|"

#: A line behind the last one: it is a row of its own, unless a quotation mark has been left open.
_END = "\0end of the table"

#: Longest cell, in characters: a picture in base64.
_MAX_CELL = 1 << 27


class CsvTable:
    """A CSV file with a header. Files are named relative to its folder, and lie in it or in ``root``.

    Raises SourceError, or InvalidArgument for a header that names no picture.
    """

    def __init__(self, path: Path, columns: Columns, encoding: str | None = None, root: Path | None = None) -> None:
        csv.field_size_limit(_MAX_CELL)
        self._path = path
        self._place = Place.of(path.parent, root)
        self._encoding = encoding or encoding_of(path)
        self._named = Named()
        with opened(path, self._encoding) as file:
            self._delimiter = _delimiter_of(_first_line(file))
            file.seek(0)
            self._header = next(self._cells(file), [])
        if not any(name.strip() for name in self._header):
            raise SourceError(f"{path}: its first line is empty, and should name the columns")
        self._fields = columns.of(self._header, str(path))
        self._unused = columns.unused(self._header, str(path))

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def has_ids(self) -> bool:
        """Whether a column has ids."""
        return "id" in self._fields.values()

    def column(self, field: str) -> str:
        """Return what the header calls a field."""
        return column_of(self._fields, field)

    def rows(self) -> Iterator[Row]:
        """Iterate over the lines below the header; empty ones are left out. Raises SourceError."""
        with opened(self._path, self._encoding) as file:
            cells = self._cells(file)
            next(cells, None)
            lines = (line for line in cells if any(cell.strip() for cell in line))
            named = Named()
            for number, line in enumerate(lines, 1):
                row = self._row(number, line)
                named.see(row.file)
                yield row
        self._named = named

    def notes(self) -> Sequence[str]:
        """Return which columns are not used, and how many files."""
        return [*notes_of_unused("columns", self._unused, self._fields), *self._named.notes()]

    def _cells(self, file: TextIO) -> Iterator[list[str]]:
        reader = csv.reader(chain(file, (_END,)), delimiter=self._delimiter)
        begun = 0
        try:
            for cells in reader:
                if cells == [_END]:
                    return
                if cells and cells[-1].endswith(_END):  # all lines behind it would be its cell
                    raise SourceError(f"{self._path}: line {begun + 1} has a quotation mark that nothing ends")
                begun = reader.line_num
                yield cells
        except csv.Error as error:
            raise SourceError(f"{self._path}: not CSV ({error})") from error

    def _row(self, number: int, line: Sequence[str]) -> Row:
        if len(line) > len(self._header) and any(cell.strip() for cell in line[len(self._header) :]):
            return Row(number, _shown(line), fault=self._too_many(line))
        said: Mapping[str, object] = {
            self._fields[name]: cell
            for name, cell in zip(self._header, line, strict=False)
            if name in self._fields and cell != ""
        }
        try:
            return row_of(number, said, self._place)
        except RowError as fault:
            return Row(number, _shown(line), fault=str(fault))

    def _too_many(self, line: Sequence[str]) -> str:
        """Return what is wrong with a line of more cells than the header has: most often a comma without quotes."""
        said = f"has {len(line)} cells, and the header {len(self._header)}"
        ending = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}[self._delimiter]
        hint = f"; a text with a {ending} in it stands in double quotation marks"
        sign = next((place for place, name in enumerate(self._header) if self._fields.get(name) == "sign"), None)
        if sign is None or self._delimiter != "," or len(line) != len(self._header) + 1:
            return said + hint
        torn = ",".join(cell.strip() for cell in line[sign : sign + 2])
        return f'{said}{hint}: "{torn}"' if digest_prefix(torn) else said + hint


def _first_line(file: TextIO) -> str:
    return next((line for line in file if line.strip()), "")


def _delimiter_of(line: str) -> str:
    """Return what parts the columns of a first line, outside its quotes."""
    plain = "".join(line.split('"')[0::2])
    return max(_DELIMITERS, key=plain.count)


def _shown(line: Sequence[str]) -> str:
    return ",".join(line)[:200]
