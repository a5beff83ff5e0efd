"""``lookalike restore-picture``: makes a deleted picture live again. Works while the server runs."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lookalike import bootstrap
from lookalike.cli.asking import ask
from lookalike.cli.store_options import DataOption, StackOption, settings_for
from lookalike.service.applications import find_application

app = typer.Typer()


@app.command("restore-picture")
def restore_picture(
    picture: Annotated[
        str, typer.Argument(help="The picture's id; its sign, in libraries where a picture is its own id.")
    ],
    library: Annotated[str, typer.Option("--library", help="The library that it was deleted from.")],
    name: Annotated[str, typer.Option(help="An application of the library's tenant, or its access key.")],
    data: DataOption = None,
    stack: StackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Restore a deleted picture, as long as it waits for its purge, and its library and the application have room for it."""
    settings = settings_for(data, stack)
    with bootstrap.applications(settings) as applications:
        application = find_application(applications, name).access_key
    answer = ask(settings, "restore", {"application": application, "library": library, "picture": picture})
    said = json.loads(answer)
    typer.echo(answer if as_json else f"{said['id']} is in {said['library']}, at revision {said['revision']}")
