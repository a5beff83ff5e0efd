"""``lookalike console``: prints an address that signs a browser in to the console. Works while the server runs."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from lookalike import bootstrap
from lookalike.cli.one_application import one_application
from lookalike.cli.store_options import DataOption, StackOption, settings_for, stack_address
from lookalike.errors import InvalidArgument, SettingsError
from lookalike.ports.clock import unix_milliseconds
from lookalike.settings import Settings
from lookalike.wire.native.session_tokens import link

#: Where `lookalike serve` answers unless it is told otherwise.
_DEFAULT_ADDRESS = "http://127.0.0.1:8000"

app = typer.Typer()


@app.command()
def console(
    name: Annotated[
        str | None, typer.Option(help="The application's name, or its access key. [default: the only one]")
    ] = None,
    data: DataOption = None,
    stack: StackOption = None,
    url: Annotated[
        str | None,
        typer.Option(
            help=f"Where the browser finds the service. [default: {_DEFAULT_ADDRESS}, or the stack's address]"
        ),
    ] = None,
) -> None:
    """Print an address that signs a browser in to the console: once, within 10 minutes.

    With an address of this machine alone, such as the default, it works in this machine's browsers alone.
    """
    settings = settings_for(data, stack)
    address = _address(settings, stack, url)
    with bootstrap.applications(settings) as applications:
        application = one_application(applications, name)
    if not application.active:
        raise InvalidArgument("--name", f"{application.name} is disabled, and signs nobody in; --enable it first")
    typer.echo(link(application, address, unix_milliseconds() // 1000))


def _address(settings: Settings, stack: str | None, url: str | None) -> str:
    """Return the service's address. Raises InvalidArgument for none that a browser opens, SettingsError without one."""
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise InvalidArgument("--url", f"{url} is not http:// or https:// and a host, with nothing after it")
        return f"{parts.scheme}://{parts.netloc}"
    if stack is not None:
        return stack_address(stack)
    if settings.on_aws:
        raise SettingsError("which address? Name the stack with --stack, or the address with --url")
    return _DEFAULT_ADDRESS
