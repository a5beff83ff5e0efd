"""``lookalike usage``: prints how many calls each application made, by day. Works while the server runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lookalike import bootstrap
from lookalike.cli.screen import note, print_table
from lookalike.cli.store_options import DataOption, StackOption, settings_for
from lookalike.ports.clock import unix_milliseconds
from lookalike.service.admission import DAYS_KEPT
from lookalike.service.usage import Usage
from lookalike.service.usage import usage as usage_of

#: The explanation of a dash, and its remedy.
_DASH_NOTE = (
    "a dash stands for calls that are not counted: those of an application without a limit a day (`keys change "
    "--per-day`), unless LOOKALIKE_COUNT_USAGE=true (CountUsage of a stack) is set where the service runs, and here"
)

app = typer.Typer()


@app.command()
def usage(
    data: DataOption = None,
    stack: StackOption = None,
    days: Annotated[int, typer.Option(min=1, max=DAYS_KEPT, help="So many days (UTC), today the last of them.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how many calls each application has made.

    Counted are the calls of applications with a limit a day, and of all of them where LOOKALIKE_COUNT_USAGE is set.
    Where none are, a dash stands for them.
    """
    settings = settings_for(data, stack)
    with bootstrap.applications(settings) as applications, bootstrap.counters(settings) as counters:
        found = usage_of(applications, counters, unix_milliseconds(), days, settings.count_usage)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found]))
        return
    print_table(_table(found))
    if not found:
        note("there are no applications; `lookalike keys create` makes one")
    elif not all(one.counted for one in found):
        note(_DASH_NOTE)


def _table(found: list[Usage]) -> Table:
    """Return a table with a row for each day on which an application made calls, and one row if it made none."""
    table = Table()
    table.add_column("Application", overflow="fold")
    table.add_column("App id", no_wrap=True)
    table.add_column("Day (UTC)", no_wrap=True)
    table.add_column("Calls", justify="right", no_wrap=True)
    for one in found:
        days = [(day, f"{calls:,}") for day, calls in one.calls.items() if calls]
        for day, calls in days or [("-", "0" if one.counted else "-")]:
            table.add_row(escape(one.name), one.app_id, day, calls)
    return table
