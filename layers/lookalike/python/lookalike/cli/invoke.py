"""``lookalike invoke``: one function on one event, under Lambda's own runtime client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.where import Data, Stack, environment, where
from lookalike.errors import InvalidArgument
from lookalike.local.invoke import invoke as run


def invoke(
    function: Annotated[str, typer.Argument(help="The function: a folder of functions/.")],
    event: Annotated[Path, typer.Argument(help="A JSON file, such as those of events/.")],
    data: Data = None,
    stack: Stack = None,
) -> None:
    """Run a function as Lambda would, and print its answer. Its log goes to stderr."""
    try:
        given = event.read_bytes()
    except OSError as error:
        raise InvalidArgument("event", f"{event}: {error.strerror}") from error
    outcome = run(function, given, environment(where(data, stack)))
    typer.echo(outcome.text)
    raise typer.Exit(outcome.failed)
