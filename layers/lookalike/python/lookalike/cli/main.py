"""The ``lookalike`` command line. Each command is a module of its own, imported when it is run."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from typer.core import TyperGroup

import lookalike
from lookalike.errors import LookalikeError
from lookalike.server.error_line import told

if TYPE_CHECKING:
    from typer._click import Command, Context

#: The commands with their summaries. A command's module holds its Typer application, ``app``.
COMMANDS = {
    "serve": "Serve from this machine.",
    "setup": "Make a deployed stack's indices and first keys.",
    "keys": "Make, show, change, list and revoke the keys that programs call with.",
    "console": "Print an address that signs a browser in to the console.",
    "token": "Print an access token for curl and invoke.",
    "sweep": "Find near-duplicates in a folder or a library.",
    "usage": "Say how many calls each application has made.",
    "import": "Add the pictures of a folder, a table or an archive to a library.",
    "export": "Write libraries with all that is stored of them to an archive.",
    "snapshot": "Copy a data folder while the server runs.",
    "restore": "Make a data folder of a snapshot.",
    "check": "Prove that what can be found is what is stored, and mend what differs.",
    "reembed": "Change the model that pictures are searched with, and back.",
    "restore-picture": "Make a deleted picture live again.",
    "canary": "Add a picture, find it, delete it, and say how long each took.",
    "invoke": "Run a function as Lambda would, and print its answer.",
    "calibrate": "Fit a kind's scores to pairs that you have judged.",
    "model": "Make models that know your own pictures.",
}

#: Modules of commands whose names no module may have.
_MODULES = {"import": "import_pictures"}


def module_of(command: str) -> str:
    """Return the name of a command's module."""
    return f"lookalike.cli.{_MODULES.get(command, command.replace('-', '_'))}"


class LazyGroup(TyperGroup):
    """A group that imports a command only when it is run; `--version` and `--help` import none."""

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Replace the stand-in by the command itself, then look it up."""
        if args and args[0] in COMMANDS:
            module = importlib.import_module(module_of(args[0]))
            self.commands[args[0]] = typer.main.get_command(module.app)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyGroup,
    help="Reverse image search that its users own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # pretty ones print local variables, and some of those are secret keys
)


def _stand_in() -> None:
    """Stand in for a command in the list of commands."""


for _name, _summary in COMMANDS.items():
    app.command(_name, help=_summary)(_stand_in)


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
    """Run the command line. Report an error in one line on stderr, with exit status 1."""
    try:
        app()
    except LookalikeError as error:
        _fail(told(error))
    except OSError as error:  # of a file or folder that an option names
        _fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))


def _fail(reason: str) -> NoReturn:
    typer.echo(f"lookalike: {' '.join(reason.split())}", err=True)
    sys.exit(1)
