"""``lookalike usage``: how many calls each application has made, day by day. Works while the server runs."""

from __future__ import annotations

import json
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
    """
    settings = where(data, stack)
    with bootstrap.applications(settings) as applications, bootstrap.counters(settings) as counters:
        found = usage(applications, counters, unix_milliseconds(), days)
    if as_json:
        typer.echo(json.dumps([{"name": one.name, "app_id": one.app_id, "calls": dict(one.calls)} for one in found]))
        return
    Console().print(_table(found))


def _table(found: list[Usage]) -> Table:
    days = list(found[0].calls) if found else []
    table = Table("Day (UTC)", *(escape(one.name) for one in found))
    for day in days:
        table.add_row(day, *(f"{one.calls[day]:,}" for one in found))
    return table
