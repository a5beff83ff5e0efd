"""``lookalike setup``: what a deployed stack needs before its first request. Safe to repeat."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lookalike.cli.opensearch_admin import Indices, Wanted
from lookalike.cli.screen import print_keys
from lookalike.cli.store_options import Stack, command_line, on_aws
from lookalike.clock import unix_milliseconds
from lookalike.domain.application import Application
from lookalike.service.applications import create_application

app = typer.Typer()


@app.command()
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
    keys: Annotated[
        bool, typer.Option("--keys/--no-keys", help="Whether to make an application where there is none.")
    ] = True,
) -> None:
    """Make the indices and the first application, if they are not there, and print the application's keys.

    Keys are printed on a terminal; elsewhere, the command that prints them. Indices that are there are brought to
    --replicas and --refresh; other --shards take --rebuild.
    """
    settings = on_aws(stack)
    from lookalike.stores.aws.account import Account  # noqa: PLC0415 - not everybody has its packages

    account = Account(settings)
    indices = Indices(settings, account, Wanted(shards, replicas, refresh))
    if not rebuild:
        indices.check_shards()
    indices.make(filled=fill or rebuild)
    refused = indices.rebuild() if rebuild else indices.fill() if fill else 0
    if account.applications.applications():
        typer.echo(f"There are applications; `{command_line('keys', 'list', stack=stack)}` shows them.")
    elif keys:
        _introduce(create_application(account.applications, unix_milliseconds, "default"), stack)
    raise typer.Exit(1 if refused else 0)


def _introduce(application: Application, stack: str | None) -> None:
    """Print a new application's keys where a person reads them, and else the command that does."""
    if sys.stdout.isatty():
        print_keys(application)
        return
    shows = command_line("keys", "show", "--name", application.name, stack=stack)
    typer.echo(f"Made the application {application.name}; `{shows}` prints its keys.")
