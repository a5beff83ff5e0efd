"""Prints tables and keys for people to read and copy, without truncating any value."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from lookalike.domain.application import Application

#: Console width, in columns, that any table fits in.
_UNBOUNDED_WIDTH = 100_000


def print_table(table: Table) -> None:
    """Print a table to stdout: each row on one line in a pipe or file, folded to the width of a terminal.

    A terminal narrower than the ``no_wrap`` columns wraps their lines itself.
    """
    console = Console()
    endless = console.options.update_width(_UNBOUNDED_WIDTH)
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
    """Print a note to stderr."""
    typer.echo(f"lookalike: {text}", err=True)
