"""``lookalike check``: compares what can be found with what is stored, and mends what differs. Works while the server runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lookalike.cli.asking import ask
from lookalike.cli.screen import note, print_table
from lookalike.cli.store_options import DataOption, StackOption, settings_for
from lookalike.domain.consistency import Fault, Report
from lookalike.errors import Unavailable
from lookalike.service.mend import DEFAULT_RATE

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
        answer = ask(settings, "check", {"repair": repair, "deep": deep, "rate": rate})
    except (Unavailable, OSError) as error:
        typer.echo(f"lookalike: the check could not finish: {error}", err=True)
        raise typer.Exit(UNFINISHED) from None
    report = Report.of_json(answer)
    if as_json:
        typer.echo(answer)
    else:
        _print(report)
    raise typer.Exit(DIFFERENCES if report.left else 0)


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
