"""``lookalike token``: prints an access token without calling the token endpoint. Works while the server runs."""

from __future__ import annotations

from typing import Annotated

import typer

from lookalike import bootstrap
from lookalike.cli.store_options import DataOption, StackOption, settings_for
from lookalike.errors import InvalidArgument
from lookalike.ports.clock import unix_milliseconds
from lookalike.service.applications import find_application
from lookalike.wire.baidu.access_tokens import mint

app = typer.Typer()


@app.command()
def token(
    name: Annotated[str, typer.Option(help="The application's name, or its access key.")],
    data: DataOption = None,
    stack: StackOption = None,
) -> None:
    """Print an access token of an application, for curl and invoke. It is good for 30 days, or until its secret goes."""
    with bootstrap.applications(settings_for(data, stack)) as applications:
        application = find_application(applications, name)
    if not application.active:
        raise InvalidArgument(
            "--name", f"{application.name} is disabled, and its tokens are refused; --enable it first"
        )
    typer.echo(mint(application, unix_milliseconds() // 1000))
