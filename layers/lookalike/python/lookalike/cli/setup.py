"""``lookalike setup``: prepares a deployed stack for its first request. Idempotent."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.screen import print_keys
from lookalike.cli.setup_indices import IndexSetup, RequestedLayout
from lookalike.cli.setup_segments import fill_segments
from lookalike.cli.store_options import StackOption, aws_settings, command_line
from lookalike.domain.application import Application
from lookalike.errors import SettingsError
from lookalike.ports.clock import unix_milliseconds
from lookalike.service.applications import create_application
from lookalike.settings import OPENSEARCH, SEGMENTS

if TYPE_CHECKING:
    from lookalike.settings import Settings
    from lookalike.stores.aws.account import Account

app = typer.Typer()


@app.command()
def setup(
    stack: StackOption = None,
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
    fill: Annotated[bool, typer.Option("--fill", help="Fill the indices from the table, beside writes.")] = False,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Make new indices beside those in use, fill them, and change over to them."),
    ] = False,
    move_index: Annotated[
        bool,
        typer.Option("--move-index", help="Fill the vector store that is not in use, before a deployment with it."),
    ] = False,
    keys: Annotated[
        bool, typer.Option("--keys/--no-keys", help="Whether to make an application where there is none.")
    ] = True,
) -> None:
    """Make the indices and the first application, if they are not there, and print the application's keys.

    Indices that are there are brought to --replicas and --refresh; other --shards take --rebuild. Segments have none of these.
    """
    settings = aws_settings(stack)
    from lookalike.stores.aws.account import Account  # noqa: PLC0415 - not everybody has its packages

    account, layout = Account(settings), RequestedLayout(shards, replicas, refresh)
    if move_index:
        refused = _fill_other(settings, layout)
    else:
        refused = _prepare_store(account, settings, layout, fill=fill, rebuild=rebuild)
        _ensure_application(account, stack, create=keys)
    raise typer.Exit(1 if refused else 0)


def _prepare_store(account: Account, settings: Settings, layout: RequestedLayout, *, fill: bool, rebuild: bool) -> int:
    """Prepare the vector store that searches; returns the number of rows that it refused."""
    layout.require_indices(settings.vector_store)
    store, refused = account.store_in_use, 0
    fill = fill or store.name() != settings.vector_store  # it lacks what was written while another was in use
    if settings.vector_store == SEGMENTS:
        _prepare_segments(account, fill=fill or rebuild)
    else:
        refused = _prepare_indices(IndexSetup(settings, account, layout), fill=fill, rebuild=rebuild)
    store.note(settings.vector_store)
    return refused


def _fill_other(settings: Settings, layout: RequestedLayout) -> int:
    """Fill the vector store that is not in use; returns the number of rows that it refused.

    Raises SettingsError if it is a domain that is not there, and InvalidArgument if segments should have a layout.
    """
    from lookalike.stores.aws.account import Account  # noqa: PLC0415 - not everybody has its packages

    other = OPENSEARCH if settings.vector_store == SEGMENTS else SEGMENTS
    layout.require_indices(other)
    if other == OPENSEARCH and settings.opensearch is None:
        raise SettingsError("there is no domain yet: deploy with VectorStore=opensearch, which makes one and fills it")
    others = replace(settings, vector_store=other)
    account, refused = Account(others), 0
    if other == SEGMENTS:
        _prepare_segments(account, fill=True)
    else:
        refused = _prepare_indices(IndexSetup(others, account, layout), fill=True, rebuild=False)
    typer.echo(f"Now deploy with VectorStore={other}; what is written until then is filled by that deployment's setup.")
    return refused


def _prepare_segments(account: Account, *, fill: bool) -> None:
    """Fill the segments. What is missing is made by whoever needs it."""
    typer.echo(f"{'Index:':<22}segments in the bucket, searched by the functions themselves")
    if fill:
        fill_segments(account)


def _prepare_indices(indices: IndexSetup, *, fill: bool, rebuild: bool) -> int:
    """Create, fill or rebuild the indices; returns the number of rows that they refused."""
    if not rebuild:
        indices.check_shards()
    indices.create_missing(filled=fill or rebuild)
    if rebuild:
        return indices.rebuild()
    return indices.fill() if fill else 0


def _ensure_application(account: Account, stack: str | None, *, create: bool) -> None:
    """Create the first application if there is none, and say how to see its keys."""
    if account.applications.applications():
        typer.echo(f"There are applications; `{command_line('keys', 'list', stack=stack)}` shows them.")
    elif create:
        _show_keys(create_application(account.applications, unix_milliseconds, "default"), stack)


def _show_keys(application: Application, stack: str | None) -> None:
    """Print a new application's keys on a terminal, elsewhere the command that prints them."""
    if sys.stdout.isatty():
        print_keys(application)
        return
    command = command_line("keys", "show", "--name", application.name, stack=stack)
    typer.echo(f"Made the application {application.name}; `{command}` prints its keys.")
