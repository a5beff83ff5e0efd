"""``lookalike snapshot``: copies a data folder while the server runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.store_options import DataOption, local_settings
from lookalike.errors import SettingsError
from lookalike.stores.local.snapshot import take_snapshot

app = typer.Typer()


@app.command()
def snapshot(
    destination: Annotated[Path, typer.Argument(help="The folder to make; on the same disk it takes seconds.")],
    data: DataOption = None,
) -> None:
    """Copy a data folder as it is at one moment, while the server runs.

    Originals are hard links where the disk allows it, and take no space of their own. The copy is a data folder that
    `serve` and `restore` take.
    """
    folder = local_settings(data).data
    if folder is None:
        raise SettingsError("a snapshot is made of a folder: name it with --data")
    done = take_snapshot(folder, destination, datetime.now(UTC).isoformat(timespec="seconds"))
    typer.echo(
        f"{done.pictures:,} pictures are in {destination}: {done.linked:,} files are linked, {done.copied:,} were copied"
    )
