"""The results of a benchmark: named figures, each beside its floor if it has one."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, measured unless its group says otherwise. ``floor`` is the minimum for the same work, in the same unit, measured in the same run."""

    group: str
    name: str
    value: float
    unit: str
    floor: float | None = None
    aim: str = ""

    @property
    def ratio(self) -> float | None:
        """Value over floor; for rates (units per second), the share of the floor's rate."""
        return None if self.floor is None else self.value / self.floor


@dataclass(slots=True)
class Report:
    """The figures so far."""

    rows: list[Figure] = field(default_factory=list)

    def add(self, group: str, name: str, value: float, unit: str, *, floor: float | None = None, aim: str = "") -> None:
        """Add a figure."""
        self.rows.append(Figure(group, name, value, unit, floor, aim))

    def figures(self) -> list[dict[str, Any]]:
        """Return all figures, for JSON."""
        return [{**asdict(row), "ratio": row.ratio} for row in self.rows]

    def write(self, file: Path, about: Mapping[str, str]) -> None:
        """Write all figures in JSON, beside what they are of, in place of what the file had."""
        written = file.with_name(f"{file.name}.part")
        written.write_text(json.dumps({**about, "figures": self.figures()}, indent=2) + "\n")
        written.replace(file)

    def print(self, console: Console) -> None:
        """Print a table for each group."""
        for group in dict.fromkeys(row.group for row in self.rows):
            table = Table(title=group, title_justify="left")
            table.add_column("what")
            for column in ("value", "floor", "ratio", "aim"):
                table.add_column(column, justify="right")
            for row in self.rows:
                if row.group == group:
                    floor = "" if row.floor is None else f"{row.floor:,.4g} {row.unit}"
                    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
                    table.add_row(row.name, f"{row.value:,.4g} {row.unit}", floor, ratio, row.aim)
            console.print(table)


def median_ms(work: Callable[[], object], times: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median milliseconds of ``work``, after one warm-up run, by a clock that returns seconds."""
    work()
    return statistics.median(_ms(work, clock) for _ in range(times))


def median_ms_each(works: Mapping[K, Callable[[], object]], times: int) -> dict[K, float]:
    """Return the median of several, run in turns, so that other load on the machine affects all of them."""
    for work in works.values():
        work()
    taken: dict[K, list[float]] = {name: [] for name in works}
    for _ in range(times):
        for name, work in works.items():
            taken[name].append(_ms(work))
    return {name: statistics.median(some) for name, some in taken.items()}


def _ms(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    work()
    return (clock() - began) * 1000
