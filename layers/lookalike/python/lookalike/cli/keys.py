"""``lookalike keys``: applications and their keys. Works while the server runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lookalike import bootstrap
from lookalike.cli.where import Data, Stack, where
from lookalike.clock import unix_milliseconds
from lookalike.model import Application, Kind
from lookalike.service.applications import create_application, revoke_application

app = typer.Typer(help="Make, list and revoke the keys that programs call with.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, secret keys included.")]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What to call the application.")],
    data: Data = None,
    stack: Stack = None,
    tenant: Annotated[str | None, typer.Option(help="Share this tenant's libraries; default: a new tenant.")] = None,
    kind: Annotated[Kind, typer.Option(help="How likeness is judged in the groups it makes.")] = Kind.SIMILAR,
    as_json: Json = False,
) -> None:
    """Make an application and print its keys."""
    with bootstrap.applications(where(data, stack), make=True) as applications:
        made = create_application(applications, unix_milliseconds, name, tenant, kind)
    if as_json:
        typer.echo(json.dumps(asdict(made)))
        return
    show(made)


@app.command("list")
def list_(data: Data = None, stack: Stack = None, as_json: Json = False) -> None:
    """List the applications; secret keys only with --json."""
    with bootstrap.applications(where(data, stack)) as applications:
        found = applications.applications()
    if as_json:
        typer.echo(json.dumps([asdict(application) for application in found]))
        return
    Console().print(_table(found))


@app.command()
def revoke(
    name: Annotated[str, typer.Option(help="The application's name, or its access key.")],
    data: Data = None,
    stack: Stack = None,
    as_json: Json = False,
) -> None:
    """Take an application's keys away. Its tokens stop working at once; its tenant's pictures stay."""
    with bootstrap.applications(where(data, stack)) as applications:
        gone = revoke_application(applications, name)
    typer.echo(json.dumps(asdict(gone)) if as_json else f"{gone.name} ({gone.access_key}) is revoked")


def show(application: Application) -> None:
    """Print an application's keys."""
    for label, value in (
        ("App id", application.app_id),
        ("API key", application.access_key),
        ("Secret key", application.secret_key),
        ("Tenant", application.tenant),
    ):
        typer.echo(f"{label + ':':<22}{value}")


def _table(applications: Sequence[Application]) -> Table:
    table = Table("Name", "App id", "API key", "Tenant")
    for application in applications:
        table.add_row(escape(application.name), application.app_id, application.access_key, application.tenant)
    return table
