"""What a benchmark has found: named figures, each beside its floor if it has one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. ``floor`` is the least the same work can take, in the same unit, in the same run."""

    group: str
    name: str
    value: float
    unit: str
    floor: float | None = None
    aim: str = ""

    @property
    def ratio(self) -> float | None:
        """Value over floor; for rates (units per second), how much of the floor's rate is reached."""
        return None if self.floor is None else self.value / self.floor


@dataclass(slots=True)
class Report:
    """The figures so far."""

    rows: list[Figure] = field(default_factory=list)

    def add(self, group: str, name: str, value: float, unit: str, *, floor: float | None = None, aim: str = "") -> None:
        """Note a figure."""
        self.rows.append(Figure(group, name, value, unit, floor, aim))

    def figures(self) -> list[dict[str, Any]]:
        """All of them, for JSON."""
        return [{**asdict(row), "ratio": row.ratio} for row in self.rows]

    def print(self, console: Console) -> None:
        """A table a group."""
        for group in dict.fromkeys(row.group for row in self.rows):
            table = Table(title=group, title_justify="left")
            table.add_column("what")
            for column in ("measured", "floor", "ratio", "aim"):
                table.add_column(column, justify="right")
            for row in self.rows:
                if row.group == group:
                    floor = "" if row.floor is None else f"{row.floor:,.4g} {row.unit}"
                    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
                    table.add_row(row.name, f"{row.value:,.4g} {row.unit}", floor, ratio, row.aim)
            console.print(table)


def median_ms(work: Callable[[], object], times: int) -> float:
    """Median milliseconds of ``work``, after one run that does not count."""
    work()
    return statistics.median(_ms(work) for _ in range(times))


def median_ms_each(works: Mapping[K, Callable[[], object]], times: int) -> dict[K, float]:
    """The same of several, in turns, so that whatever else the machine does meanwhile befalls all of them."""
    for work in works.values():
        work()
    taken: dict[K, list[float]] = {name: [] for name in works}
    for _ in range(times):
        for name, work in works.items():
            taken[name].append(_ms(work))
    return {name: statistics.median(some) for name, some in taken.items()}


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
