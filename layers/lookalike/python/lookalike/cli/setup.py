"""``lookalike setup``: what a deployed stack needs before its first request. Safe to repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.keys import show
from lookalike.cli.where import Stack, on_aws
from lookalike.clock import unix_milliseconds
from lookalike.errors import RevisionConflict
from lookalike.model import Generation, Kind
from lookalike.service.applications import create_application

if TYPE_CHECKING:
    from lookalike.adapters.account import Account


def setup(
    stack: Stack = None,
    shards: Annotated[
        int, typer.Option(help="Shards of each new index: one for every five million pictures of a kind.", min=1)
    ] = 1,
    replicas: Annotated[
        int | None,
        typer.Option(help="Copies of each shard on other nodes; default: one if there are other nodes.", min=0),
    ] = None,
    refresh: Annotated[str, typer.Option(help="How long a write may stay unseen, as OpenSearch writes it.")] = "500ms",
) -> None:
    """Make the indices and the first application, if they are not there, and print the application's keys."""
    from lookalike.adapters.account import Account  # noqa: PLC0415 - slow to import, and no other command needs it
    from lookalike.adapters.opensearch import create_index, data_nodes  # noqa: PLC0415

    settings = on_aws(stack)
    account = Account(settings)
    if replicas is None:  # a copy needs another node to be on
        replicas = min(1, data_nodes(account.opensearch) - 1)
    for kind in Kind:
        generation = account.generations.generation(kind)
        names = generation.write if generation else (f"lookalike-{str(settings.table).lower()}-{kind}-1",)
        for name in names:
            create_index(account.opensearch, name, shards=shards, replicas=replicas, refresh_interval=refresh)
        if generation is None:
            _go_live(account, kind, names[0])
        typer.echo(f"{'Index of ' + kind + ':':<22}{', '.join(names)}")
    if account.applications.applications():
        typer.echo("There are applications; `lookalike keys list` shows them.")
        return
    show(create_application(account.applications, unix_milliseconds, "default"))


def _go_live(account: Account, kind: Kind, name: str) -> None:
    try:
        account.generations.save_generation(kind, Generation(name, (name,)), None)
    except RevisionConflict:  # another setup runs beside this one, and has named the very same index
        return
