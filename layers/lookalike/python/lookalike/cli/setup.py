"""``lookalike setup``: what a deployed stack needs before its first request. Safe to repeat."""

from __future__ import annotations

from typing import Annotated

import typer

from lookalike.cli.indices import Indices, Wanted
from lookalike.cli.keys import show
from lookalike.cli.where import Stack, on_aws
from lookalike.clock import unix_milliseconds
from lookalike.service.applications import create_application


def setup(
    stack: Stack = None,
    shards: Annotated[
        int | None,
        typer.Option(help="Shards of each index: one for every five million pictures of a kind. [default: 1]", min=1),
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(help="Copies of each shard on other nodes. [default: one if there are other nodes]", min=0),
    ] = None,
    refresh: Annotated[
        str | None, typer.Option(help="How long a write may stay unseen, as OpenSearch writes it. [default: 500ms]")
    ] = None,
    fill: Annotated[
        bool, typer.Option("--fill", help="Fill the indices from the table, beside what is written.")
    ] = False,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Make new indices beside those in use, fill them, and change over to them."),
    ] = False,
) -> None:
    """Make the indices and the first application, if they are not there, and print the application's keys.

    Indices that are there are brought to --replicas and --refresh; other --shards take --rebuild.
    """
    from lookalike.adapters.account import Account  # noqa: PLC0415 - slow to import, and no other command needs it

    settings = on_aws(stack)
    account = Account(settings)
    indices = Indices(settings, account, Wanted(shards, replicas, refresh))
    if not rebuild:
        indices.check_shards()
    indices.make(filled=fill or rebuild)
    refused = indices.rebuild() if rebuild else indices.fill() if fill else 0
    if account.applications.applications():
        typer.echo("There are applications; `lookalike keys list` shows them.")
    else:
        show(create_application(account.applications, unix_milliseconds, "default"))
    raise typer.Exit(1 if refused else 0)
