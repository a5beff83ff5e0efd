"""``lookalike check``: compares what can be found with what is stored, and mends what differs. Works while the server runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lookalike.cli.asking import ask
from lookalike.cli.screen import note, print_table
from lookalike.cli.store_options import DataOption, StackOption, settings_for
from lookalike.domain.consistency import Fault, Report
from lookalike.errors import Unavailable
from lookalike.service.consistency import DEFAULT_NAMES, MAX_NAMES
from lookalike.service.mend import DEFAULT_RATE

#: Exit status where differences are left, and where the check could not finish.
DIFFERENCES, UNFINISHED = 3, 4

#: Findings of each fault that JSON names.
_NAMES_IN_JSON = 1000

#: What each fault is, for people.
_WORDS: Mapping[Fault, str] = {
    Fault.GHOST: "found, although deleted or gone",
    Fault.STALE: "found as they were before their last change",
    Fault.MISSING: "stored, and not found",
    Fault.OTHER_MODEL: "embedded by another model, so not found",
    Fault.UNLIKE: "vectors unlike their originals",
    Fault.NOT_FIRST: "not the first to be found by their originals",
    Fault.NO_ORIGINAL: "originals lost or damaged",
    Fault.NO_MAP: "local maps lost or damaged",
    Fault.UNREADABLE: "rows that cannot be read",
    Fault.NO_LIBRARY: "in libraries that are not in the catalog",
    Fault.WRONG_SIGN: "told by old signs that do not name them",
    Fault.SHARED_SIGN: "told by old signs that are others' own",
    Fault.ORPHAN_ENTRY: "hidden index entries of no row",
    Fault.ORPHAN_FILE: "files of no row",
    Fault.ORPHAN_MAP: "local maps of no row",
}

_ListOption = Annotated[
    Path | None,
    typer.Option(
        "--list",
        dir_okay=False,
        writable=True,
        help=f"Write what differs into this file, a line each: fault, tab, name. Up to {MAX_NAMES:,} of a fault.",
    ),
]

_JsonOption = Annotated[
    bool, typer.Option("--json", help=f"Print JSON, with up to {_NAMES_IN_JSON:,} names of each fault.")
]

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
    list_to: _ListOption = None,
    as_json: _JsonOption = False,
) -> None:
    """Compare the catalog with the index, originals and local maps, picture by picture.

    A running server is asked about what it has in memory. Exit status: 0 if nothing differs (or all of it is mended), 3 if
    something does, 4 if the check could not finish.
    """
    settings = settings_for(data, stack)
    names = MAX_NAMES if list_to is not None else _NAMES_IN_JSON if as_json else DEFAULT_NAMES
    try:
        answer = ask(settings, "check", {"repair": repair, "deep": deep, "rate": rate, "names": names})
    except (Unavailable, OSError) as error:
        typer.echo(f"lookalike: the check could not finish: {error}", err=True)
        raise typer.Exit(UNFINISHED) from None
    report = Report.of_json(answer)
    if list_to is not None:
        _list(report, list_to)
    if as_json:
        typer.echo(report.with_examples(_NAMES_IN_JSON).to_json())
    else:
        _print(report)
        if list_to is None and report.left > len(report.found):
            note("--list FILE names all of them")
    raise typer.Exit(DIFFERENCES if report.left else 0)


def _list(report: Report, file: Path) -> None:
    """Write every finding that the report names, a line each, in the order of harm."""
    with file.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as lines:
        for fault, names in report.examples.items():
            lines.writelines(f"{fault}\t{_on_one_line(name)}\n" for name in names)


def _on_one_line(name: str) -> str:
    """Return a name as it is, but for characters that would break a line or a terminal: ids may have any."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)


def _print(report: Report) -> None:
    totals = report.totals
    typer.echo(
        f"Compared {totals.live:,} pictures ({totals.rows:,} rows) with {totals.entries:,} index entries, "
        f"{totals.files:,} files and {totals.maps:,} local maps in {report.seconds:.1f} s."
    )
    if totals.removed:
        due = datetime.fromtimestamp((report.sweep_due or 0) / 1000, UTC)
        typer.echo(
            f"{totals.removed:,} more are of removed libraries; the purge sweeps them, the last after {due:%Y-%m-%d %H:%M} UTC."
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
        table.add_row(_WORDS[fault], f"{count:,}", f"{report.mended.get(fault, 0):,}", escape(_on_one_line(example)))
    return table
