"""What ``lookalike`` can do, one command a module."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import lookalike
from lookalike.cli import calibrate, invoke, keys, model, serve, setup, usage
from lookalike.errors import LookalikeError

app = typer.Typer(
    help="Reverse image search that its users own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("setup")(setup.setup)
app.command("invoke")(invoke.invoke)
app.command("usage")(usage.show)
app.command("calibrate")(calibrate.calibrate)
app.add_typer(keys.app, name="keys")
app.add_typer(model.app, name="model")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(lookalike.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    """Reverse image search that its users own."""


def main() -> None:
    """Run the command. What is wrong is said in one line on stderr, with exit status 1."""
    try:
        app()
    except LookalikeError as error:
        typer.echo(f"lookalike: {error}", err=True)
        sys.exit(1)
