"""Reads labels of pictures from CSV files. Paths in them are relative to the CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import InvalidArgument

_ANSWERS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two picture files and a judgement: ``right`` if a search of the kind should find one by the other.

    ``line`` is the line in the table, from 1.
    """

    query: Path
    picture: Path
    right: bool
    line: int


def read_pairs(table: Path) -> list[Pair]:
    """Return the rows of a table: query, picture, and 0 or 1. A first row of column names is skipped.

    Raises InvalidArgument, with the line, for a malformed row or a missing file.
    """
    pairs = []
    for line, row in _rows(table, "--pairs"):
        if len(row) != 3:
            raise InvalidArgument("--pairs", f"{table}, line {line}: {len(row)} columns, not query,picture,0 or 1")
        answer = _ANSWERS.get(row[2].strip().lower())
        if answer is None and line > 1:
            raise InvalidArgument("--pairs", f"{table}, line {line}: {row[2]!r} is neither 0 nor 1")
        if answer is not None:
            query, picture = (_file(table, line, "--pairs", cell) for cell in row[:2])
            pairs.append(Pair(query, picture, answer, line))
    return pairs


def read_labels(table: Path) -> dict[Path, str]:
    """Return the label of each picture in a table; a first row ``path,label`` and empty labels are skipped.

    Raises InvalidArgument as :func:`read_pairs` does, and for a table without labels.
    """
    labels = {}
    for line, row in _rows(table, "--labels"):
        if len(row) < 2:
            raise InvalidArgument("--labels", f"{table}, line {line}: {len(row)} columns, not path,label")
        label = row[1].strip()
        if label and (line > 1 or row[0].strip().lower() != "path"):
            labels[_file(table, line, "--labels", row[0])] = label
    if not labels:
        raise InvalidArgument("--labels", f"{table}: there is no label in it")
    return labels


def _rows(table: Path, option: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield line number and cells of each row. Raises InvalidArgument for an unreadable table."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            yield from ((rows.line_num, row) for row in rows if row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidArgument(option, f"{table}: it cannot be read: {error}") from error


def _file(table: Path, line: int, option: str, name: str) -> Path:
    """Return the resolved path of a file named in a table. Raises InvalidArgument if it is missing."""
    path = (table.parent / name.strip()).resolve()
    if not path.is_file():
        raise InvalidArgument(option, f"{table}, line {line}: there is no file {path}")
    return path
