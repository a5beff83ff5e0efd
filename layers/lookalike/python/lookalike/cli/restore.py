"""``lookalike restore``: makes a data folder of a snapshot."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.screen import note
from lookalike.cli.store_options import DataOption, local_settings
from lookalike.errors import SettingsError
from lookalike.stores.local.snapshot import restore_snapshot, set_aside

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
    now = datetime.now(UTC)
    incoming = folder.with_name(f"{folder.name}.restored")
    if folder.exists() and not replace:
        raise SettingsError(f"{folder}: is there already; --replace renames it, or name another folder with --data")
    target = incoming if folder.exists() else folder
    done = restore_snapshot(snapshot, target, now.isoformat(timespec="seconds"))
    if target != folder:
        aside = set_aside(folder, now.strftime("before-%Y%m%dT%H%M%S"))
        target.rename(folder)
        note(f"what was in {folder} is in {aside}")
    typer.echo(f"{done.pictures:,} pictures are in {folder}")
