"""``lookalike serve``: runs the whole service on one machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli import sample
from lookalike.cli.store_options import DataOption, StackOption, aws_settings, command_line, local_settings
from lookalike.domain.application import Application
from lookalike.errors import InvalidArgument, SettingsError
from lookalike.ports import Ports
from lookalike.server.asgi_app import AsgiApp
from lookalike.server.uvicorn_server import Address
from lookalike.server.uvicorn_server import serve as run
from lookalike.service.applications import create_application
from lookalike.settings import Settings
from lookalike.stores.local.data_folder import DataFolder


class Backend(StrEnum):
    """The owner of the stores that the server uses."""

    LOCAL = "local"
    AWS = "aws"


BackendOption = Annotated[
    Backend,
    typer.Option(help="Whose stores: this machine's, or those of AWS that the LOOKALIKE_ variables or --stack name."),
]
HostOption = Annotated[str, typer.Option(help="The address or name to listen on; :: is every address, IPv4 and IPv6.")]
PortOption = Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)]
WatchOption = Annotated[
    Path | None,
    typer.Option(help="Add what is put into this folder by itself: <app id>/<library>/…", envvar="LOOKALIKE_WATCH"),
]
PurgeOption = Annotated[
    bool | None,
    typer.Option(
        help="Purge from here what was deleted long enough ago; default: this machine's stores, not those of AWS, "
        "whose stack has a schedule of its own."
    ),
]
ExistingOption = Annotated[
    bool, typer.Option("--existing", help="Refuse a folder without data: its disk may not be mounted yet.")
]
SampleOption = Annotated[
    Path | None,
    typer.Option("--sample", help="Load this folder of pictures into an empty service, and show a search."),
]

app = typer.Typer()


@app.command()
def serve(
    data: DataOption = None,
    backend: BackendOption = Backend.LOCAL,
    stack: StackOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    watch: WatchOption = None,
    purge: PurgeOption = None,
    existing: ExistingOption = False,
    pictures: SampleOption = None,
) -> None:
    """Serve from this machine. The first start makes an application, if there is none.

    Its keys are printed if that is on a terminal; later, or elsewhere, `lookalike keys show` prints them.
    """
    _check_host(host)
    if watch is not None and not watch.is_dir():
        raise SettingsError(f"{watch}: there is no such folder to watch")
    settings = _store_settings(backend, data, stack, watch)
    new_folder = None if settings.data is None or DataFolder.has_catalog(settings.data) else settings.data
    if existing and settings.data is not None:
        DataFolder.existing(settings.data)
    welcome = _Welcome(
        new_folder=new_folder,
        pictures=pictures,
        # A stack's schedule knows how long the stack keeps deleted pictures; this process may have been told otherwise.
        purges=not settings.on_aws if purge is None else purge,
        command=partial(command_line, data=data, stack=stack),
    )
    raise typer.Exit(run(settings, host, port, welcome))


@dataclass(frozen=True, slots=True)
class _Welcome:
    """Greets the operator of a server that has become ready.

    Attributes
    ----------
    new_folder : the data folder, if the server made it.
    pictures : a folder of sample pictures to show.
    purges : whether the schedules are played.
    command : makes a `lookalike` command line for the same stores.
    """

    new_folder: Path | None
    pictures: Path | None
    purges: bool
    command: sample.CommandLine

    def __call__(self, server: AsgiApp, address: Address) -> None:
        """Print the address, what is wrong, the keys and the sample; start the schedules."""
        known = server.ports.applications.applications()
        problems = [*server.ports.problems(), *(() if known else server.ports.stores.unreachable())]
        application, made = _application_to_show(server.ports, known, problems, sampled=self.pictures is not None)
        typer.echo(f"lookalike is ready on {address.url}")
        if self.new_folder is not None:
            typer.echo(f"made the data folder {self.new_folder}, which was not there or empty", err=True)
        _print_problems(problems)
        if application is not None:
            sample.print_address_and_keys(application, address.url, self.command, made=made)
        elif known:
            sample.print_key_commands(known, address.url, self.command)
        if application is not None and self.pictures is not None:
            empty = not server.ports.catalog.libraries(application.tenant)
            _show_sample(sample.Sample(application, address.url, self.pictures, self.command), empty=empty)
        if self.purges:
            server.start_schedules()


def _check_host(host: str) -> None:
    """Raise InvalidArgument for a name that cannot be looked up; an empty one would mean every address."""
    try:
        host.encode("idna")
    except UnicodeError:
        raise InvalidArgument("--host", f"{host!r} is no host name") from None
    if not host.strip():
        raise InvalidArgument(
            "--host", "nothing is named; 127.0.0.1 is this machine alone, 0.0.0.0 every address of it"
        )


def _store_settings(backend: Backend, data: Path | None, stack: str | None, watch: Path | None) -> Settings:
    """Return the settings with the stores that the options name. Raises InvalidArgument or SettingsError."""
    if backend is Backend.LOCAL and stack is None:
        return replace(local_settings(data), watch=watch)
    for option, folder in (("--data", data), ("--watch", watch)):
        if folder is not None:
            raise InvalidArgument(option, "the stores of AWS have buckets, no folders")
    return aws_settings(stack)


def _print_problems(problems: Sequence[str]) -> None:
    for problem in problems:
        typer.echo(f"lookalike: {problem}", err=True)


def _application_to_show(
    ports: Ports, known: Sequence[Application], problems: Sequence[str], *, sampled: bool
) -> tuple[Application | None, bool]:
    """Return the application whose keys are shown, if any, and whether it was made now.

    That is the sample's own application, or one for the first program if none is known. None is made while there are
    problems: applications may have been lost, and a new one could not reach their pictures.
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
