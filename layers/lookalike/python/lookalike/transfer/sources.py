"""What an import reads: a folder, a CSV file, or a file in JSON Lines."""

from __future__ import annotations

from pathlib import Path

from lookalike.errors import InvalidArgument
from lookalike.transfer.columns import Columns
from lookalike.transfer.csv_table import CsvTable
from lookalike.transfer.folder import PictureFolder
from lookalike.transfer.json_lines import JsonLines
from lookalike.transfer.rows import Source

#: Ends of names of tables.
_CSV = (".csv", ".tsv", ".txt")
_JSON_LINES = (".jsonl", ".ndjson")


def open_source(path: Path, columns: Columns, encoding: str | None = None, root: Path | None = None) -> Source:
    """Return the source at that path, whose files lie in its folder or in ``root``. Raises InvalidArgument or SourceError."""
    if path.is_dir():
        if columns.mapped:
            raise InvalidArgument("--map", "goes with a table: a folder has no columns")
        return PictureFolder(path, root)
    if not path.exists():
        raise InvalidArgument("source", f"{path}: there is no such folder or file")
    ending = path.suffix.lower()
    if ending in _CSV:
        return CsvTable(path, columns, encoding, root)
    if ending in _JSON_LINES:
        return JsonLines(path, columns, encoding, root)
    raise InvalidArgument("source", f"{path}: a folder, or a file that ends in {', '.join((*_CSV, *_JSON_LINES))}")
