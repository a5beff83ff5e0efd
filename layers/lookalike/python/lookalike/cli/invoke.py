"""``lookalike invoke``: runs one function on one event, under Lambda's own runtime client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookalike import bootstrap
from lookalike.cli.extras import require
from lookalike.cli.store_options import DataOption, StackOption, settings_for, store_variables
from lookalike.embedding.model_path import find_model
from lookalike.errors import InvalidArgument, SettingsError
from lookalike.server.runtime_api import invoke as run
from lookalike.settings import Settings
from lookalike.stores.local.data_folder import DataFolder

#: The function of the table's stream; its events are read with AWS's packages.
_STREAM_FUNCTION = "index"

app = typer.Typer()


@app.command()
def invoke(
    function: Annotated[str, typer.Argument(help="The function: a folder of functions/.")],
    event: Annotated[Path, typer.Argument(help="A JSON file, such as those of events/.")],
    data: DataOption = None,
    stack: StackOption = None,
) -> None:
    """Run a function as Lambda would, and print its answer. Its log goes to stderr. The stores must be there."""
    try:
        given = event.read_bytes()
    except OSError as error:
        raise InvalidArgument("event", f"{event}: {error.strerror}") from error
    settings = settings_for(data, stack)
    if function == _STREAM_FUNCTION:
        require("aws")
    if settings.data is not None:
        _require_usable(settings, settings.data)
    outcome = run(function, given, store_variables(settings))
    typer.echo(outcome.text)
    raise typer.Exit(outcome.failed)


def _require_usable(settings: Settings, data: Path) -> None:
    """Raise SettingsError or ModelError where the function could not open its stores, and would print a traceback."""
    folder = DataFolder.existing(data)
    try:
        folder.lock()
    except SettingsError as error:
        raise SettingsError(f"{error}; stop it first, or send it the request over HTTP") from error
    folder.unlock()
    with bootstrap.applications(settings):
        find_model(settings.model)
