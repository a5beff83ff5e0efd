"""Shows how far an import is: a bar on a terminal, lines elsewhere, JSON for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lookalike.transfer import importing
from lookalike.transfer.api_target import ApiTarget
from lookalike.transfer.archive_api_target import ArchiveApiTarget
from lookalike.transfer.outcomes import Totals
from lookalike.transfer.target import Target

#: Seconds between lines where no terminal is.
_LINE_SECONDS = 10.0

#: Seconds between objects of JSON.
_JSON_SECONDS = 1.0


class _Bar:
    """A bar on a terminal, with the rate of this run and the time left."""

    def __init__(self, bar: Progress, started: Totals) -> None:
        self._bar = bar
        self._clock = _Clock(started)
        self._task = bar.add_task("", total=started.rows, completed=started.done, said="")

    def show(self, totals: Totals) -> None:
        """Move the bar."""
        said = f"{self._clock.rate(totals):.1f}/s  {', '.join(totals.lines())}"
        self._bar.update(self._task, completed=totals.done, said=said)


class _Lines:
    """A line on stderr every ten seconds."""

    def __init__(self, started: Totals) -> None:
        self._clock = _Clock(started)
        self._next = time.monotonic() + _LINE_SECONDS

    def show(self, totals: Totals) -> None:
        """Print a line if it is time."""
        if time.monotonic() < self._next:
            return
        self._next += _LINE_SECONDS
        rate = self._clock.rate(totals)
        left = f", {(totals.rows - totals.done) / rate / 60:.0f} min left" if rate else ""
        said = f"{totals.done:,} of {totals.rows:,} rows, {rate:.1f}/s{left}: {', '.join(totals.lines())}"
        typer.echo(said, err=True)


class _Json:
    """An object on stdout every second."""

    def __init__(self, started: Totals) -> None:
        self._clock = _Clock(started)
        self._next = time.monotonic() + _JSON_SECONDS

    def show(self, totals: Totals) -> None:
        """Print an object if it is time."""
        if time.monotonic() < self._next:
            return
        self._next += _JSON_SECONDS
        typer.echo(json.dumps({**counts(totals), "per_second": round(self._clock.rate(totals), 1)}))


class _Clock:
    """Tells the rate of this run, without the rows that were done before it."""

    def __init__(self, started: Totals) -> None:
        self._before = started.done
        self._began = time.monotonic()

    def rate(self, totals: Totals) -> float:
        """Return rows a second."""
        return max(totals.done - self._before, 0) / max(time.monotonic() - self._began, 1e-3)


@dataclass(frozen=True, slots=True)
class _Telling:
    """Shows progress, and tells it to the service that is imported into."""

    progress: importing.Progress
    target: ApiTarget | ArchiveApiTarget

    def show(self, totals: Totals) -> None:
        self.progress.show(totals)
        self.target.tell(totals)


def telling(progress: importing.Progress, target: Target) -> importing.Progress:
    """Return what shows progress, and tells it to the target if that is a running service."""
    return _Telling(progress, target) if isinstance(target, (ApiTarget, ArchiveApiTarget)) else progress


def counts(totals: Totals) -> dict[str, int]:
    """Return the numbers of rows by outcome, as JSON has them."""
    return {"rows": totals.rows, "done": totals.done, **{str(name): number for name, number in totals.counts.items()}}


@contextmanager
def shown(started: Totals, *, as_json: bool) -> Iterator[importing.Progress]:
    """Show an import within the block, on what there is."""
    if as_json:
        yield _Json(started)
    elif not sys.stderr.isatty():
        yield _Lines(started)
    else:
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[said]}"))
        with Progress(*columns, console=Console(stderr=True, highlight=False)) as bar:
            yield _Bar(bar, started)
