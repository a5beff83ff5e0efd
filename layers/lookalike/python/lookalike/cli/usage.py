"""``lookalike usage``: how many calls each application has made, day by day. Works while the server runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lookalike import bootstrap
from lookalike.cli.where import Data, Stack, where
from lookalike.clock import unix_milliseconds
from lookalike.service.admission import DAYS_KEPT
from lookalike.service.usage import Usage, usage


def show(
    data: Data = None,
    stack: Stack = None,
    days: Annotated[int, typer.Option(min=1, max=DAYS_KEPT, help="So many days (UTC), today the last of them.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how many calls each application has made.

    Counted are the calls of applications with a limit a day, and of all of them where LOOKALIKE_COUNT_USAGE is set.
    Where none are, a dash stands for them.
    """
    settings = where(data, stack)
    with bootstrap.applications(settings) as applications, bootstrap.counters(settings) as counters:
        found = usage(applications, counters, unix_milliseconds(), days, settings.count_usage)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found]))
        return
    Console().print(_table(found))


def _table(found: list[Usage]) -> Table:
    """A row for each day of an application that has calls; of one that has none, a row that says so."""
    table = Table("Application", "App id", "Day (UTC)")
    table.add_column("Calls", justify="right")
    for one in found:
        days = [(day, f"{calls:,}") for day, calls in one.calls.items() if calls]
        for day, calls in days or [("-", "0" if one.counted else "-")]:
            table.add_row(escape(one.name), one.app_id, day, calls)
    return table
