"""``lookalike serve``: the whole service on one machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli import sample
from lookalike.cli.store_options import Data, Stack, command_line, here, on_aws
from lookalike.domain.application import Application
from lookalike.errors import InvalidArgument, SettingsError
from lookalike.ports import Ports
from lookalike.server.asgi_app import Service
from lookalike.server.uvicorn_server import Address
from lookalike.server.uvicorn_server import serve as run
from lookalike.service.applications import create_application
from lookalike.settings import Settings
from lookalike.stores.local.data_folder import DataFolder


class Backend(StrEnum):
    """Whose stores the server uses."""

    LOCAL = "local"
    AWS = "aws"


app = typer.Typer()


@app.command()
def serve(
    data: Data = None,
    backend: Annotated[
        Backend,
        typer.Option(
            help="Whose stores: this machine's, or those of AWS that the LOOKALIKE_ variables or --stack name."
        ),
    ] = Backend.LOCAL,
    stack: Stack = None,
    host: Annotated[
        str, typer.Option(help="The address or name to listen on; :: is every address, IPv4 and IPv6.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    watch: Annotated[
        Path | None,
        typer.Option(help="Add what is put into this folder by itself: <app id>/<library>/…", envvar="LOOKALIKE_WATCH"),
    ] = None,
    purge: Annotated[
        bool | None,
        typer.Option(
            help="Purge from here what was deleted long enough ago; default: this machine's stores, not those of AWS, "
            "whose stack has a schedule of its own."
        ),
    ] = None,
    existing: Annotated[
        bool, typer.Option("--existing", help="Refuse a folder without data: its disk may not be mounted yet.")
    ] = False,
    pictures: Annotated[
        Path | None,
        typer.Option("--sample", help="Load this folder of pictures into an empty service, and show a search."),
    ] = None,
) -> None:
    """Serve from this machine. The first start makes an application, if there is none.

    Its keys are printed if that is on a terminal; later, or elsewhere, `lookalike keys show` prints them.
    """

    def command(*words: str) -> str:
        return command_line(*words, data=data, stack=stack)

    def when_ready(service: Service, address: Address) -> None:
        known = service.ports.applications.applications()
        problems = [*service.ports.problems(), *(() if known else service.ports.stores.unreachable())]
        application, made = _application_to_show(service.ports, known, problems, sampled=pictures is not None)
        typer.echo(f"lookalike is ready on {address.url}")
        if made_folder is not None:
            typer.echo(f"made the data folder {made_folder}, which was not there or empty", err=True)
        _say(problems)
        if application is not None:
            sample.introduce(application, address.url, command, made=made)
        elif known:
            sample.say_who_shows_keys(known, command)
        if application is not None and pictures is not None:
            empty = not service.ports.catalog.libraries(application.tenant)
            _show_sample(sample.Sample(application, address.url, pictures, command), empty=empty)
        # A stack's schedule knows how long the stack keeps what was deleted; this process may have been told otherwise.
        if purge or (purge is None and not settings.on_aws):
            service.start_schedules()

    _check_host(host)
    if watch is not None and not watch.is_dir():
        raise SettingsError(f"{watch}: there is no such folder to watch")
    settings = _settings(backend, data, stack, watch)
    made_folder = None if settings.data is None or DataFolder.has_catalog(settings.data) else settings.data
    if existing and settings.data is not None:
        DataFolder.existing(settings.data)
    raise typer.Exit(run(settings, host, port, when_ready))


def _check_host(host: str) -> None:
    """Raise InvalidArgument for what no address can be looked up of; nothing at all would mean every address."""
    try:
        host.encode("idna")
    except UnicodeError:
        raise InvalidArgument("--host", f"{host!r} is no host name") from None
    if not host.strip():
        raise InvalidArgument(
            "--host", "nothing is named; 127.0.0.1 is this machine alone, 0.0.0.0 every address of it"
        )


def _settings(backend: Backend, data: Path | None, stack: str | None, watch: Path | None) -> Settings:
    if backend is Backend.LOCAL and stack is None:
        return replace(here(data), watch=watch)
    for option, folder in (("--data", data), ("--watch", watch)):
        if folder is not None:
            raise InvalidArgument(option, "the stores of AWS have buckets, no folders")
    return on_aws(stack)


def _say(problems: Sequence[str]) -> None:
    for problem in problems:
        typer.echo(f"lookalike: {problem}", err=True)


def _application_to_show(
    ports: Ports, known: Sequence[Application], problems: Sequence[str], *, sampled: bool
) -> tuple[Application | None, bool]:
    """The sample's own application, or one for the first program, if there is none; and whether it was made now.

    None is made where something is wrong: others may have been lost, and their pictures would be out of a new one's reach.
    """
    if sampled and (found := next((one for one in known if one.name == "sample"), None)):
        return found, False
    if sampled or not (known or problems):
        return create_application(ports.applications, ports.clock, "sample" if sampled else "default"), True
    return None, False


def _show_sample(shown: sample.Sample, *, empty: bool) -> None:
    try:
        shown.show(load=empty)
    except (sample.SampleError, OSError) as error:
        typer.echo(f"lookalike: the sample pictures could not be shown: {error}", err=True)
