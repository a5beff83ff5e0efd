"""The segments of an account, filled by its operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from lookalike.domain.library import Kind

if TYPE_CHECKING:
    from lookalike.stores.aws.account import Account


def fill_segments(account: Account) -> None:
    """Make the segments of all libraries from the table, beside what is written. Raises Unavailable."""
    models = account.embeddings.models()
    index = account.segment_models.shared if models is None else account.segment_models.of_name(models.live.name)
    pictures = 0
    with Console(stderr=True).status("Filling segments") as status:
        libraries = {row.key.library for kind in Kind for page in account.catalog.scan(kind) for row in page}
        indexed = sorted(libraries.union(index.libraries()))  # those that have no pictures any more, too
        for number, library in enumerate(indexed, 1):
            pictures += index.make_again(library)
            status.update(f"Filling segments: {number:,} of {len(indexed):,} libraries")
    typer.echo(f"{'Filled segments:':<22}{pictures:,} pictures in {len(libraries):,} libraries")
