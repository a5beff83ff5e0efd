"""``lookalike restore``: makes a data folder of a snapshot."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.screen import note
from lookalike.cli.store_options import DataOption, local_settings
from lookalike.errors import SettingsError
from lookalike.stores.local.snapshot import restore_snapshot

app = typer.Typer()


@app.command()
def restore(
    snapshot: Annotated[Path, typer.Argument(help="A folder that `lookalike snapshot` has made; it stays as it is.")],
    data: DataOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Rename the data folder that is there, whose server is stopped.")
    ] = False,
) -> None:
    """Make a data folder of a snapshot. A folder that is there is refused, or with --replace renamed; nothing is deleted."""
    folder = local_settings(data).data
    if folder is None:
        raise SettingsError("a snapshot is restored to a folder: name it with --data")
    before = folder.with_name(f"{folder.name}.{datetime.now(UTC):before-%Y%m%dT%H%M%S}")
    done = restore_snapshot(snapshot, folder, aside=before if replace else None)
    if before.exists():
        note(f"what was in {folder} is in {before}")
    typer.echo(f"{done.pictures:,} pictures are in {folder}")
