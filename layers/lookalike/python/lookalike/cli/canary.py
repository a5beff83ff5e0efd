"""``lookalike canary``: adds a picture, finds it by a changed copy, and deletes it. Works while the server runs."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from lookalike.cli.asking import ask
from lookalike.cli.store_options import DataOption, StackOption, settings_for
from lookalike.errors import Unavailable

#: Exit status where the picture was not found or not gone in time, or less was found than is wanted; and where the canary
#: could not finish.
UNWELL, UNFINISHED = 3, 4

app = typer.Typer()


@app.command()
def canary(
    data: DataOption = None,
    stack: StackOption = None,
    recall: Annotated[
        int,
        typer.Option(min=0, max=1000, help="Search so many stored vectors of the largest library, and scan it too."),
    ] = 0,
    least: Annotated[float, typer.Option("--least-recall", min=0, max=1, help="Recall from which all is well.")] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Add a drawn picture, find it by a smaller JPEG of it, delete it, and look until it is gone.

    Exit status: 0 if all is well, 3 if something is not, 4 if it could not finish.
    """
    try:
        answer = ask(settings_for(data, stack), "canary", {"recall": recall})
    except (Unavailable, OSError) as error:
        typer.echo(f"lookalike: the canary could not finish: {error}", err=True)
        raise typer.Exit(UNFINISHED) from None
    said = json.loads(answer)
    if as_json:
        typer.echo(answer)
    else:
        _print(said)
    well = said["well"] and (said["recall"] is None or said["recall"] >= least)
    raise typer.Exit(0 if well else UNWELL)


def _print(said: dict[str, Any]) -> None:
    found, gone = said["found_seconds"], said["gone_seconds"]
    typer.echo("Not found in time." if found is None else f"Found after {found:.2f} s, with score {said['score']:.4f}.")
    typer.echo("Not gone in time." if gone is None else f"Gone {gone:.2f} s after its deletion.")
    if said["recall"] is not None:
        typer.echo(f"Recall of {said['sample']} searches against the exact scan: {said['recall']:.4f}.")
