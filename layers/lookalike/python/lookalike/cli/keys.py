"""``lookalike keys``: manages applications and their keys. Works while the server runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lookalike import bootstrap
from lookalike.cli.screen import note, print_keys, print_table
from lookalike.cli.store_options import DataOption, StackOption, command_line, settings_for
from lookalike.domain.application import NO_POLICY, Application, Permission, Policy
from lookalike.domain.library import Kind
from lookalike.errors import InvalidArgument
from lookalike.ports.clock import DAY_MS, SECOND_MS, unix_milliseconds
from lookalike.service.applications import (
    create_application,
    find_application,
    new_secret,
    revoke_application,
    save_application,
)

app = typer.Typer(help="Make, show, change, list and revoke the keys that programs call with.", no_args_is_help=True)

KindOption = Annotated[
    Kind | None, typer.Option("--kind", help="How likeness is judged in the groups it makes from now on.")
]
PerSecondOption = Annotated[int | None, typer.Option("--per-second", min=0, help="Calls a second; 0: any number.")]
PerDayOption = Annotated[int | None, typer.Option("--per-day", min=0, help="Calls a day (UTC); 0: any number.")]
CapacityOption = Annotated[
    int | None,
    typer.Option(
        "--capacity", min=0, help="Pictures that its libraries may hold together; 0: as the settings have it."
    ),
]
InTotalOption = Annotated[int | None, typer.Option("--in-total", min=0, help="Calls in all; 0: any number.")]
NetworksOption = Annotated[
    list[str] | None,
    typer.Option("--from", help="A network it may call from, like 203.0.113.0/24; several times, or: any."),
]
MayOption = Annotated[
    str | None,
    typer.Option("--may", help="All that it may do, comma separated: search,add,update,delete,groups; or: everything."),
]
LibraryOption = Annotated[
    list[str] | None,
    typer.Option("--library", help="A library that it may call; several times, or: any."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, secret keys included.")]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What to call the application.")],
    data: DataOption = None,
    stack: StackOption = None,
    tenant: Annotated[
        str | None,
        typer.Option(help="Share this tenant's libraries; default: a new tenant, who sees no other's pictures."),
    ] = None,
    kind: KindOption = None,
    per_second: PerSecondOption = None,
    per_day: PerDayOption = None,
    in_total: InTotalOption = None,
    capacity: CapacityOption = None,
    networks: NetworksOption = None,
    may: MayOption = None,
    libraries: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an application and print its keys."""
    limits = {"per_second": per_second, "per_day": per_day, "in_total": in_total, "capacity": capacity}
    policy = _narrowed(_changed(NO_POLICY, kind, limits, networks), may, libraries)
    settings = settings_for(data, stack)
    missing = settings.data is not None and not settings.data.exists()
    with bootstrap.applications(settings, make=True) as applications:
        if missing:
            note(f"made the data folder {settings.data}, which was not there")
        made = create_application(applications, unix_milliseconds, name, tenant, policy)
        others = [one for one in applications.applications() if one.tenant != made.tenant]
    _print_keys(made, as_json=as_json)
    if tenant is None and others:
        note(
            f"{made.name} has a tenant of its own, and does not see the pictures of other applications. To share theirs, "
            f"make it with --tenant and their tenant, which `{command_line('keys', 'list', data=data, stack=stack)}` shows"
        )


@app.command()
def show(
    name: Annotated[str, typer.Option(help="The application's name, or its access key.")],
    data: DataOption = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print an application's keys, the secret one included."""
    with bootstrap.applications(settings_for(data, stack)) as applications:
        found = find_application(applications, name)
    _print_keys(found, as_json=as_json)


@app.command("list")
def list_(data: DataOption = None, stack: StackOption = None, as_json: JsonOption = False) -> None:
    """List the applications. Secret keys are shown by `keys show`, and with --json."""
    with bootstrap.applications(settings_for(data, stack)) as applications:
        found = applications.applications()
    if as_json:
        typer.echo(json.dumps([asdict(application) for application in found]))
        return
    print_table(_table(found))
    if not found:
        note("there are no applications; `lookalike keys create` makes one")


@app.command()
def change(
    name: Annotated[str, typer.Option(help="The application's name, or its access key.")],
    data: DataOption = None,
    stack: StackOption = None,
    rename: Annotated[str | None, typer.Option(help="What to call it from now on.")] = None,
    kind: KindOption = None,
    per_second: PerSecondOption = None,
    per_day: PerDayOption = None,
    in_total: InTotalOption = None,
    capacity: CapacityOption = None,
    networks: NetworksOption = None,
    may: MayOption = None,
    libraries: LibraryOption = None,
    active: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether it may call at all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change what an application may do. What is not named stays as it is. On AWS it takes up to 30 seconds."""
    limits = {"per_second": per_second, "per_day": per_day, "in_total": in_total, "capacity": capacity}
    with bootstrap.applications(settings_for(data, stack)) as applications:
        found = find_application(applications, name)
        changed = replace(
            found,
            name=found.name if rename is None else rename,
            policy=_narrowed(_changed(found.policy, kind, limits, networks), may, libraries),
            active=found.active if active is None else active,
        )
        changed = save_application(applications, changed)
    if as_json:
        typer.echo(json.dumps(asdict(changed)))
        return
    print_table(_table([changed]))


@app.command()
def rotate(
    name: Annotated[str, typer.Option(help="The application's name, or its access key.")],
    data: DataOption = None,
    stack: StackOption = None,
    keep_days: Annotated[
        int, typer.Option(min=0, max=365, help="Days for which the old secret key opens beside the new one.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Give an application a new secret key and print its keys. App id, API key, tenant and pictures stay.

    Without --keep-days, the old secret and every token made with it stop working at once; on AWS, within 30 seconds.
    """
    settings = settings_for(data, stack)
    until = unix_milliseconds() + keep_days * DAY_MS if keep_days else None
    with bootstrap.applications(settings) as applications:
        rotated = new_secret(applications, name, until)
    if as_json:
        typer.echo(json.dumps(asdict(rotated)))
        return
    print_keys(rotated)
    if until is not None:
        note(f"the old secret key and its access tokens work beside the new ones until {_day(until)} (UTC)")
        return
    when = "in 30 seconds at the latest" if settings.on_aws else "from now on"
    note(f"the old secret key and its access tokens are refused {when}")


def _day(at: int) -> str:
    """Return a time, given in Unix milliseconds, to the minute (UTC)."""
    return f"{datetime.fromtimestamp(at / SECOND_MS, UTC):%Y-%m-%d %H:%M}"


@app.command()
def revoke(
    name: Annotated[str, typer.Option(help="The application's name, or its access key.")],
    data: DataOption = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an application's keys away. Its tokens stop working at once; its tenant's pictures stay."""
    with bootstrap.applications(settings_for(data, stack)) as applications:
        gone = revoke_application(applications, name)
    typer.echo(json.dumps(asdict(gone)) if as_json else f"{gone.name} ({gone.access_key}) is revoked")


def _print_keys(application: Application, *, as_json: bool) -> None:
    """Print the keys as text, or the whole application as JSON."""
    if as_json:
        typer.echo(json.dumps(asdict(application)))
    else:
        print_keys(application)


def _changed(
    policy: Policy, kind: Kind | None, limits: Mapping[str, int | None], networks: Sequence[str] | None
) -> Policy:
    """Return the policy with the given changes: 0 and ``any`` remove a limit, None keeps it."""
    changes: dict[str, Any] = {name: limit or None for name, limit in limits.items() if limit is not None}
    if kind is not None:
        changes["kind"] = kind
    if networks:
        changes["networks"] = () if networks == ["any"] else tuple(networks)
    return replace(policy, **changes)


def _narrowed(policy: Policy, may: str | None, libraries: Sequence[str] | None) -> Policy:
    """Return the policy narrowed to what is given: ``everything`` and ``any`` widen it, None keeps it.

    Raises InvalidArgument for an unknown permission.
    """
    if may is not None:
        policy = replace(policy, may=() if may.strip() == "everything" else tuple(map(_permission, may.split(","))))
    if libraries:
        policy = replace(policy, libraries=() if libraries == ["any"] else tuple(dict.fromkeys(libraries)))
    return policy


def _permission(word: str) -> Permission:
    try:
        return Permission(word.strip())
    except ValueError:
        raise InvalidArgument("--may", f"{word.strip()!r} is none of {', '.join(Permission)}") from None


def _table(applications: Sequence[Application]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("Name", "App id", "API key", "Tenant", "Makes"):
        table.add_column(column, no_wrap=True)
    table.add_column("Limits", overflow="fold", min_width=12)
    for application in applications:
        table.add_row(
            escape(application.name),
            application.app_id,
            application.access_key,
            application.tenant,
            application.policy.kind,
            _limits(application),
        )
    return table


def _limits(application: Application) -> str:
    """Return the application's limits, and what its key is narrowed to, in words."""
    policy = application.policy
    limits = [
        (policy.per_second, "a second"),
        (policy.per_day, "a day"),
        (policy.in_total, "in all"),
        (policy.capacity, "pictures"),
    ]
    words = ["" if application.active else "disabled", *(f"{limit} {unit}" for limit, unit in limits if limit)]
    if policy.networks:
        words.append(f"from {' '.join(policy.networks)}")
    if policy.may:
        words.append(f"only the rights {'+'.join(policy.may)}")
    if policy.libraries:
        words.append(f"only the libraries {'+'.join(policy.libraries)}")
    if application.at(unix_milliseconds()).old_secret_key:
        words.append(f"old secret until {_day(application.old_secret_until)}")
    return ", ".join(word for word in words if word)
