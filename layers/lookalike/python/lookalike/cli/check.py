"""``lookalike check``: compares what can be found with what is stored, and mends what differs. Works while the server runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lookalike import bootstrap
from lookalike.cli.screen import note, print_table
from lookalike.cli.store_options import DataOption, StackOption, settings_for
from lookalike.domain.consistency import Fault, Report
from lookalike.errors import Unavailable
from lookalike.server.control import CheckRequest, ask_server, run_check
from lookalike.service.mend import DEFAULT_RATE
from lookalike.settings import Settings
from lookalike.stores.local.data_folder import DataFolder

#: Exit status where differences are left, and where the check could not finish.
DIFFERENCES, UNFINISHED = 3, 4

#: What each fault is, for people.
_WORDS: Mapping[Fault, str] = {
    Fault.GHOST: "found, although deleted or gone",
    Fault.STALE: "found as they were before their last change",
    Fault.MISSING: "stored, and not found",
    Fault.OTHER_MODEL: "embedded by another model, so not found",
    Fault.UNLIKE: "vectors unlike their originals",
    Fault.NOT_FIRST: "not the first to be found by their originals",
    Fault.NO_ORIGINAL: "originals lost or damaged",
    Fault.NO_MAP: "local maps lost",
    Fault.UNREADABLE: "rows that cannot be read",
    Fault.ORPHAN_ENTRY: "hidden index entries of no row",
    Fault.ORPHAN_FILE: "files of no row",
    Fault.ORPHAN_MAP: "local maps of no row",
}

app = typer.Typer()


@app.command()
def check(
    data: DataOption = None,
    stack: StackOption = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs, the most harmful first.")] = False,
    deep: Annotated[
        int, typer.Option(min=0, max=100_000, help="Embed so many originals again, and search them by themselves.")
    ] = 0,
    rate: Annotated[float, typer.Option(min=1, help="Rows mended a second, at most.")] = DEFAULT_RATE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the catalog with the index, originals and local maps, picture by picture.

    A running server is asked about what it has in memory. Exit status: 0 if nothing differs (or all of it is mended), 3 if
    something does, 4 if the check could not finish.
    """
    settings = settings_for(data, stack)
    try:
        with _telling() as tell:
            report = _report(settings, CheckRequest(repair, deep, rate), tell)
    except (Unavailable, OSError) as error:
        typer.echo(f"lookalike: the check could not finish: {error}", err=True)
        raise typer.Exit(UNFINISHED) from None
    if as_json:
        typer.echo(report.to_json())
    else:
        _print(report)
    raise typer.Exit(DIFFERENCES if report.left else 0)


def _report(settings: Settings, request: CheckRequest, tell: Callable[[str], None]) -> Report:
    """Return the report of the running server, or of a check by this process if none runs."""
    if settings.data is not None:
        told = ask_server(DataFolder.existing(settings.data).control, request, tell)
        if told is not None:
            return told
        note("no server runs on this folder: its index is made from the catalog by each start")
    with closing(bootstrap.build(settings)) as ports:
        return run_check(ports, request, tell)


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Show what is being done, where a terminal is."""
    if not sys.stderr.isatty():
        yield lambda _doing: None
        return
    with Console(stderr=True).status("Checking") as status:
        yield lambda doing: status.update(f"Checking: {doing}")


def _print(report: Report) -> None:
    totals = report.totals
    typer.echo(
        f"Compared {totals.live:,} pictures ({totals.rows:,} rows) with {totals.entries:,} index entries, "
        f"{totals.files:,} files and {totals.maps:,} local maps in {report.seconds:.1f} s."
    )
    if report.deep:
        typer.echo(f"Embedded {report.deep:,} originals again, and searched them by themselves.")
    if report.found:
        print_table(_table(report))
    else:
        typer.echo("Nothing differs.")
    if report.settling:
        note(
            f"{report.settling:,} more changed within the last minute (files: hour), too late to be judged; check again"
        )


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("Differs", "Found", "Mended"):
        table.add_column(column, no_wrap=True)
    table.add_column("Such as", overflow="fold", min_width=12)
    for fault, count in report.found.items():
        example = report.examples.get(fault, ("",))[0]
        table.add_row(_WORDS[fault], f"{count:,}", f"{report.mended.get(fault, 0):,}", escape(example))
    return table
