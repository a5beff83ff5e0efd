"""``lookalike export``: writes libraries to an archive. Works while the server runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from lookalike import bootstrap
from lookalike.cli.interruption import INTERRUPTED, sigterm_interrupts
from lookalike.cli.one_application import one_application
from lookalike.cli.screen import note
from lookalike.cli.store_options import DataOption, StackOption, settings_for
from lookalike.service.model_view import seen_by_live_model
from lookalike.transfer.exporting import Export, Exported, Stored, chosen

#: Exit status when pictures are missing from the archive because their originals are lost.
LOST = 3

#: Exit status of an export that was broken off, by a full disk for one: it is to be run again.
AGAIN = 4

#: Exit status of an interrupted export.

app = typer.Typer()


@app.command()
def export(
    destination: Annotated[Path, typer.Argument(help="The folder to write to: new, or that of an unfinished export.")],
    libraries: Annotated[
        list[str] | None, typer.Option("--library", help="A library to write; several times. [default: all]")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The application whose libraries they are. [default: the only one]")
    ] = None,
    data: DataOption = None,
    stack: StackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write libraries, with all that is stored of their pictures, to an archive.

    The server may run meanwhile. Run it again after an interruption: it goes on where it was. `lookalike import` puts
    the archive back, here or elsewhere, and embeds nothing again.
    """
    settings = settings_for(data, stack)
    with bootstrap.applications(settings) as applications:
        application = one_application(applications, name)
    with bootstrap.stored(settings) as (rows, originals, own_maps), bootstrap.embeddings(settings) as embeddings:
        catalog, maps = seen_by_live_model(rows, own_maps, embeddings)
        stored = Stored(catalog, originals, maps)
        started = Export(stored, chosen(catalog, application.tenant, libraries or ()), destination)
        if started.done:
            note(f"{started.done:,} pictures were written before; it goes on behind them")
        try:
            with sigterm_interrupts():
                done = started.run(_told)
        except KeyboardInterrupt:
            note("interrupted; run the same command again, and it goes on where it was")
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            reason = error.strerror or error
            note(f"{destination}: {reason}; run the same command again, and it goes on where it was")
            raise typer.Exit(AGAIN) from None
    _say(done, destination, as_json=as_json)
    raise typer.Exit(LOST if done.lost else 0)


def _told(rows: int) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r{rows:,} pictures written", nl=False, err=True)
    else:
        typer.echo(f"{rows:,} pictures written", err=True)


def _say(done: Exported, destination: Path, *, as_json: bool) -> None:
    counts = {library.name: 0 for library in done.manifest.libraries}
    for part in done.manifest.parts:
        counts[part.library] += part.rows
    if as_json:
        said = {"archive": str(destination), "rows": done.manifest.rows, "libraries": counts, "lost": done.lost}
        typer.echo(json.dumps(said))
        return
    listed = ", ".join(f"{name} {rows:,}" for name, rows in counts.items())
    typer.echo(f"{done.manifest.rows:,} pictures are in {destination}: {listed or 'no library'}")
    for lost in done.lost:
        note(f"{lost} is not in the archive: its original is lost or damaged")
