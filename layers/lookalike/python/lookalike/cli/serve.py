"""``lookalike serve``: the whole service on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookalike.local import sample
from lookalike.local.server import Address, Service
from lookalike.local.server import serve as run
from lookalike.model import Application
from lookalike.ports import Ports
from lookalike.service.applications import create_application
from lookalike.settings import Settings


def serve(
    data: Annotated[
        Path, typer.Option(help="The folder that holds everything; made if it is not there.", envvar="LOOKALIKE_DATA")
    ] = Path("data"),
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    pictures: Annotated[
        Path | None,
        typer.Option("--sample", help="Load this folder of pictures into an empty service, and show a search."),
    ] = None,
) -> None:
    """Serve on one machine. The first start makes an application and prints its keys."""

    def when_ready(service: Service, address: Address) -> None:
        application, new = _first_application(service.ports)
        typer.echo(f"lookalike is ready on {address.url}")
        if new or pictures is not None:
            sample.introduce(application, address.url)
        if pictures is not None:
            _show_sample(application, address, pictures)

    raise typer.Exit(run(Settings.from_environment(data=data), host, port, when_ready))


def _show_sample(application: Application, address: Address, pictures: Path) -> None:
    try:
        sample.show(application, address.url, pictures)
    except (sample.SampleError, OSError) as error:
        typer.echo(f"lookalike: the sample pictures could not be shown: {error}", err=True)


def _first_application(ports: Ports) -> tuple[Application, bool]:
    """The oldest application, made now if there is none; and whether it was."""
    known = ports.applications.applications()
    if known:
        return known[0], False
    return create_application(ports.applications, ports.clock, "default"), True
