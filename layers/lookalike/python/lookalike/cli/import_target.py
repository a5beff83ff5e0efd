"""Where an import goes: a folder of data, a stack, or a running server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from lookalike import bootstrap
from lookalike.cli.one_application import one_application
from lookalike.cli.screen import note
from lookalike.cli.store_options import settings_for
from lookalike.domain.application import Application
from lookalike.errors import InvalidArgument
from lookalike.limits.call import usable_cores
from lookalike.ports import Ports
from lookalike.ports.clock import unix_milliseconds
from lookalike.server.uvicorn_server import prepare_process
from lookalike.service.applications import create_application
from lookalike.settings import Settings
from lookalike.stores.local.data_folder import FolderInUse
from lookalike.transfer.api_client import ApiClient
from lookalike.transfer.api_target import ApiTarget
from lookalike.transfer.archive_api_target import ArchiveApiTarget
from lookalike.transfer.archive_source import ArchiveSource
from lookalike.transfer.archive_target import ArchiveTarget
from lookalike.transfer.stores_target import StoresTarget
from lookalike.transfer.target import Target, Wanted

#: What to do where a server has the data folder open.
_BY_URL = "let that server add the pictures: --url and its address, --key ACCESS_KEY:SECRET_KEY; or stop it"

#: Calls of a server at the same time.
_CALLS = 4


@dataclass(frozen=True, slots=True)
class Where:
    """What the options say of the target."""

    name: str | None
    data: Path | None
    stack: str | None
    url: str | None
    key: str | None

    @contextmanager
    def library(self, wanted: Wanted, *, make: bool) -> Iterator[Target]:
        """Open a library. ``make``: make it if there is none. Raises InvalidArgument or SettingsError."""
        if self.url is not None:
            self._check_alone()
            yield _noted(ApiTarget(ApiClient(self.url, key_of(self.key or "")), wanted, make=make), wanted)
            return
        with self._stores(reading=not make) as (ports, application):
            yield _noted(StoresTarget(ports, application, wanted, make=make), wanted)

    @contextmanager
    def archived(self, archive: ArchiveSource, rename: str | None, *, reembed: bool, make: bool) -> Iterator[Target]:
        """Open the libraries of an archive, likewise."""
        if self.url is not None:
            self._check_alone()
            note("the server makes vectors of the originals: `import` into --data or --stack takes them as they are")
            yield ArchiveApiTarget(ApiClient(self.url, key_of(self.key or "")), archive, rename=rename, make=make)
            return
        with self._stores(reading=not make) as (ports, application):
            yield ArchiveTarget(ports, application, archive, rename=rename, reembed=reembed, make=make)

    @contextmanager
    def _stores(self, *, reading: bool) -> Iterator[tuple[Ports, Application]]:
        """Open the stores, and find the application. ``reading``: a server may have them open meanwhile."""
        if self.key is not None:
            raise InvalidArgument("--key", "goes with --url, the address of a running server")
        prepare_process()
        with ExitStack() as kept:
            settings = settings_for(self.data, self.stack)
            if reading and settings.data is not None and not settings.data.exists():
                note(f"there is no data folder {settings.data}: the import makes it")
                settings = replace(settings, data=Path(kept.enter_context(tempfile.TemporaryDirectory())) / "data")
                _made_application(settings)
            yield kept.enter_context(self._opened(settings, reading=reading))

    @contextmanager
    def _opened(self, settings: Settings, *, reading: bool) -> Iterator[tuple[Ports, Application]]:
        application = self._application(settings)
        try:
            opened: AbstractContextManager[Ports] = closing(bootstrap.build(settings))
        except FolderInUse as error:
            if not reading:
                raise InvalidArgument("--data", f"{error}; {_BY_URL}") from error
            opened = bootstrap.rows(settings)
        with opened as ports:
            yield ports, application

    def many(self, workers: int | None) -> int:
        """Return how many threads keep the target busy, unless a number is said.

        Some compute while others wait for the disk; or calls at the same time.
        """
        return workers or (2 * usable_cores() + 2 if self.url is None else _CALLS)

    def _check_alone(self) -> None:
        for option, given in (("--data", self.data), ("--stack", self.stack), ("--name", self.name)):
            if given is not None:
                raise InvalidArgument(
                    option, "goes without --url: the server knows its stores, and the key is of one application"
                )

    def _application(self, settings: Settings) -> Application:
        """Return the application whose library it is; in a data folder without any, one is made, as `serve` does."""
        with bootstrap.applications(settings, make=settings.data is not None) as applications:
            if self.name is not None or settings.data is None or applications.applications():
                return one_application(applications, self.name)
        typer.echo(f"lookalike: made the application default in {settings.data}", err=True)
        return _made_application(settings)


def _made_application(settings: Settings) -> Application:
    with bootstrap.applications(settings, make=True) as applications:
        return create_application(applications, unix_milliseconds, "default")


def _noted(target: Target, wanted: Wanted) -> Target:
    """Print what the operator should know of a library; return it."""
    for one in wanted.notes(target.identity):
        note(one)
    return target


def key_of(said: str) -> str:
    """Return the key, which a file holds if ``@`` and its path are said: others see what stands on a command line."""
    return Path(said[1:]).read_text().strip() if said.startswith("@") else said
