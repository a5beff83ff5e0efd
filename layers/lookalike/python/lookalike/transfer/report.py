"""The report of an import: a CSV file with a line a row."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from lookalike.transfer.journal import Line

#: End of the name of a source's report.
ENDING = ".report.csv"

HEADER = ("row", "outcome", "reason", "id", "source", "given", "sign")

#: Beginnings of cells that spreadsheets take for formulas.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def write_report(path: Path, lines: Iterable[Line], *, signs: bool = False) -> None:
    """Write the report, in UTF-8 with a mark, which spreadsheets ask for. Another report there is replaced at the end.

    ``signs``: rows are known by the signs that pictures had at their vendor, as pictures are their own ids.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        _write(part, lines, signs=signs)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _write(path: Path, lines: Iterable[Line], *, signs: bool) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for line in lines:
            cells = (
                line.outcome or "not done",
                line.reason,
                line.id,
                line.source,
                line.given,
                line.named if signs else "",
            )
            writer.writerow([line.number, *(_harmless(cell) for cell in cells)])


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet runs as a formula."""
    return f"'{cell}" if cell.startswith(_FORMULAS) else cell
