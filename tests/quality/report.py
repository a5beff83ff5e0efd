"""Prints the figures as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.quality.families import FAMILIES
from tests.quality.measure import MIN_JUDGED, SERVICE, Figures


def percent(share: float) -> str:
    """Return a share in percent, with one decimal digit."""
    return f"{100 * share:.1f}"


#: Beside scores where every search has something to find, which is not what they were fitted to.
ASSUMED = (
    "Here every search has something to find. Scores of the models that come along allow for one in four that has "
    "nothing, so here they tend to claim less than comes true."
)


def worth_of_scores(task: Figures) -> str:
    """Return the calibration error in words, or why there is none."""
    if "calibration_error" not in task:
        return "they tell how much agrees, and are no probabilities"
    count = sum(one["count"] for one in task["reliability"])
    if count < MIN_JUDGED:
        return f"{count} are too few to judge scores by, {MIN_JUDGED} at the least"
    return f"off by {percent(task['calibration_error'])} points on average"


def show(console: Console, figures: Figures) -> None:
    """Print all tables, with the notes that explain them."""
    for name, task in figures.items():
        for part in _same(task) if name == "same" else _labelled(name, task):
            console.print(part)


def _same(task: Figures) -> Iterator[Table]:
    title = "same: {library} pictures, {queries} changed copies, {queries_without_match} queries without a match"
    table = _table(title.format(**task), "method", "R@1", "R@10", "µAP")
    for name, by_family in task["methods"].items():
        table.add_row(name, *map(percent, by_family["all"].values()))
    yield table

    answers = task["answers"]
    table = _table(f"same: what callers get ({task['milliseconds']:.0f} ms a search, median)", "share", "percent")
    table.add_row("copies whose picture comes first", percent(answers["recall"]))
    table.add_row("first answers that are right", percent(answers["precision_of_first"]))
    table.add_row("all answers that are right", percent(answers["precision_of_all"]))
    table.add_row("no answer where nothing matches", percent(answers["no_answer_when_nothing_matches"]))
    for reason, counts in answers["first_by_reason"].items():
        table.add_row(f"  first answers by {reason}: right, wrong", f"{counts['right']}, {counts['wrong']}")
    yield table

    others = [method for method in task["methods"] if method != SERVICE]
    table = _table("same: by family", "family", "R@1", "R@10", "µAP", *(f"{method} R@1" for method in others))
    for family in FAMILIES:
        ours = task["methods"][SERVICE][family].values()
        table.add_row(
            family,
            *map(percent, ours),
            *(percent(task["methods"][method][family]["recall_at_1"]) for method in others),
        )
    yield table
    yield _reliability("same", task)


def _labelled(name: str, task: Figures) -> Iterator[Table | Text]:
    title = f"{name}: {task['library']} pictures, {task['queries']} queries, {task['classes']} classes"
    table = _table(title, "method", "R@1", "R@5", "mAP@R", "mAP@100", "P@10")
    for method, worth in task["methods"].items():
        table.add_row(method, *map(percent, worth.values()))
    yield table
    yield _reliability(name, task)
    yield Text(ASSUMED, style="italic")


def _reliability(name: str, task: Figures) -> Table:
    title = f"{name}: scores of first answers ({worth_of_scores(task)})"
    table = _table(title, "score", "answers", "claimed", "true")
    for one in task["reliability"]:
        span = f"{one['low']:.2f} to {one['high']:.2f}"
        table.add_row(span, str(one["count"]), percent(one["claimed"]), percent(one["true"]))
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for column in others:
        table.add_column(column, justify="right")
    return table
