"""The figures of tests/quality/kinds.py as tables, for a terminal and for a page to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rich.console import Console
from rich.table import Table

from tests.quality.kinds import ALARM, RECOLOURED
from tests.quality.kinds_gate import GROUPS
from tests.quality.measure import Figures, Findings
from tests.quality.page import document, html_table, pictures_of
from tests.quality.report import percent


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: its title, its columns, its rows; the first column has names."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def sheets(figures: Figures) -> Iterator[Sheet]:
    """All tables of the figures."""
    if "drawings" in figures:
        yield from _drawings("Drawings", figures["drawings"])
    if "close" in figures:
        yield from _drawings("Close sisters", figures["close"])
    if "among themselves" in figures:
        yield _among(figures["among themselves"])
    if "attacks" in figures:
        yield from _attacks(figures["attacks"])
    if "cost" in figures:
        yield _cost(figures["cost"])


def _drawings(name: str, task: Figures) -> Iterator[Sheet]:
    changes = list(next(iter(task["kinds"].values()))["by_change"])
    sizes = list(next(iter(task["kinds"].values()))["alarms_by_size"])
    above = f"> {ALARM}"
    rows: list[tuple[str, ...]] = [
        (
            kind,
            *map(percent, (one["answered"], one["above_recoloured"], one["alarms"])),
            *(percent(one["alarms_by_size"].get(size, 0.0)) for size in sizes),
            percent(one["right_first"]),
            *(percent(one["by_change"].get(change, 0.0)) for change in changes),
            *map(percent, (one["others"], one["ordered"] if one["several"] else 1.0)),
        )
        for kind, one in task["kinds"].items()
    ]
    means = [
        (
            f"mean of {len(some)} {group}",
            *(f"{sum(map(float, column)) / len(some):.1f}" for column in [*zip(*some, strict=True)][1:]),
        )
        for group, names in (*GROUPS.items(), ("kinds", list(task["kinds"])))
        if (some := [row for row in rows if row[0] in names])
    ]
    rows += means
    title = f"{name}, {task['library']} in the library: strangers answered; copies whose picture comes first (percent)"
    by_size = (f"{size} {above}" for size in sizes)
    head = ("kind", "answered", f"> {RECOLOURED}", above, *by_size, "copies", *changes, f"another {above}", "in order")
    yield Sheet(title, head, rows)
    yield _reliability(name, task)


def _among(categories: Figures) -> Sheet:
    rows = [
        (name, str(one["pictures"]), percent(one["answered"]), percent(one["alarms"]), f"{one['others']:.1f}")
        for name, one in categories.items()
    ]
    title = "Each picture asked among all of its kind: answered with another (percent)"
    return Sheet(title, ("kind", "pictures", "answered", f"> {ALARM}", f"others > {ALARM}, each"), rows)


def _attacks(task: Figures) -> Iterator[Sheet]:
    rows: list[tuple[str, ...]] = [
        (name, str(one["copies"]), percent(one["right_first"]), percent(one["wrong_first"]))
        for name, one in task["attacks"].items()
    ]
    counted = [one for one in task["attacks"].values() if one["copies"]]
    means = [sum(one[key] for one in counted) / max(1, len(counted)) for key in ("right_first", "wrong_first")]
    rows.append(("mean", str(sum(one["copies"] for one in counted)), *map(percent, means)))
    rows.append(("nothing there: answered", str(task["strangers"]), "", percent(task["answered"])))
    title = f"Hard copies of photographs, {task['library']} in the library (percent)"
    yield Sheet(title, ("attack", "queries", "right first", "another first"), rows)
    yield _reliability("Hard copies", task)


def _reliability(name: str, task: Figures) -> Sheet:
    rows = [
        (f"{one['low']:g} to {one['high']:g}", str(one["count"]), percent(one["claimed"]), percent(one["true"]))
        for one in task["reliability"]
    ]
    title = (
        f"{name}: scores of first answers; of {task['sure']} above {ALARM}, {percent(task['sure_right'])} % are right"
    )
    return Sheet(title, ("score", "answers", "mean", "right"), rows)


def _cost(task: Figures) -> Sheet:
    rows = [
        (
            name,
            str(one["searches"]),
            f"{one['passes']:.1f}",
            f"{one['processor']:.0f}",
            f"{one['processor'] / max(task['pass'], 1e-9):.1f}",
            f"{one['clock']:.0f}",
        )
        for name, one in task["searches"].items()
    ]
    head = ("search", "searches", "passes", "processor ms", "… in passes", "clock ms")
    return Sheet(f"A search, means; one pass of the model takes {task['pass']:.1f} ms of processor", head, rows)


def show(console: Console, figures: Figures) -> None:
    """All tables on a terminal."""
    for sheet in sheets(figures):
        table = Table(title=sheet.title, title_justify="left")
        for number, column in enumerate(sheet.head):
            table.add_column(column, justify="right" if number else "left")
        for row in sheet.rows:
            table.add_row(*row)
        console.print(table)


def render(findings: Findings, about: str) -> str:
    """A page of the tables and of the pictures of false alarms and misses, by kind."""
    parts = [f"<h1>Libraries of one kind, and hard copies</h1><p>{escape(about)}</p>"]
    parts += [f"<h3>{escape(sheet.title)}</h3>{_html(sheet)}" for sheet in sheets(findings.figures)]
    for title, alarm in (("False alarms", True), ("Misses", False)):
        chosen = [case for case in findings.cases if case.alarm is alarm]
        parts.append(f"<h2>{title}</h2>" + ("" if chosen else "<p class=good>None.</p>"))
        for kind in dict.fromkeys((case.task, case.family) for case in chosen):
            some = [case for case in chosen if (case.task, case.family) == kind]
            parts.append(f"<h3>{escape(': '.join(kind))}</h3>{pictures_of(some)}")
    return document("Libraries of one kind", parts)


def _html(sheet: Sheet) -> str:
    return html_table([escape(cell) for cell in sheet.head], [[escape(cell) for cell in row] for row in sheet.rows])
