"""Tables and keys as people read and copy them: nothing in them is ever cut."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from lookalike.domain.application import Application

#: Columns of a console on which any table fits.
_ENDLESS = 100_000


def print_table(table: Table) -> None:
    """Print a table to stdout: a row on one line in pipes and files, and folded to its width on a terminal.

    A terminal narrower than the columns that must not be folded (``no_wrap``) wraps their lines itself.
    """
    console = Console()
    endless = console.options.update_width(_ENDLESS)
    for column in table.columns:
        if column.no_wrap:
            cells = [column.header, *column.cells]
            column.min_width = max(console.measure(cell, options=endless).maximum for cell in cells)
    needed = console.measure(table, options=endless)
    console.width = max(console.width, needed.minimum if console.is_terminal else needed.maximum)
    console.print(table)


def print_keys(application: Application) -> None:
    """Print an application's keys, the secret one included."""
    for label, value in (
        ("App id", application.app_id),
        ("API key", application.access_key),
        ("Secret key", application.secret_key),
        ("Tenant", application.tenant),
    ):
        typer.echo(f"{label + ':':<22}{value}")


def note(text: str) -> None:
    """Say something on stderr beside what a command prints."""
    typer.echo(f"lookalike: {text}", err=True)
