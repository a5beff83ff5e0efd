"""Wires everything together, and makes the handlers. Nothing is opened, loaded or connected at import."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.clock import unix_milliseconds
from lookalike.download.fetcher import SafeFetcher
from lookalike.embedding.lazy import LazyEmbedder, LazyVerifier
from lookalike.errors import SettingsError
from lookalike.limits.call import Call, TimedCall
from lookalike.observability import count, logger
from lookalike.ports import Applications, Clock, Counters, Embedder, Ports, Stores, Verifier
from lookalike.service.purge import purge
from lookalike.settings import Settings
from lookalike.stores.aws.account import Account
from lookalike.triggers import stream, uploads
from lookalike.triggers.batch import Answer, Event
from lookalike.wire import http

if TYPE_CHECKING:
    from lookalike.stores.local.sqlite_catalog import SqliteCatalog

#: A job stops this long before its function's time is up, in milliseconds.
_SPARE = 30_000

#: What one upload takes at most, in milliseconds: a large picture, on a slow day of the stores.
_ONE_PICTURE = 15_000


def build(
    settings: Settings | None = None,
    *,
    stores: Stores | None = None,
    embedder: Embedder | None = None,
    verifier: Verifier | None = None,
    clock: Clock = unix_milliseconds,
) -> Ports:
    """One of each port, by the settings (default: the environment's), but for those that are given.

    The model is loaded by its first use, and on AWS every store is opened by its own: a function pays for what it uses
    and no more. One machine's stores are opened at once; the ports' ``close`` closes them. Raises SettingsError or
    ModelError, whose message is one line for the operator; where a port is opened later, its first use does.
    """
    settings = settings or Settings.from_environment()
    logger.setLevel(settings.log_level)
    model = LazyEmbedder(settings.model, settings.model_threads)
    embedder = embedder or model
    return Ports(
        settings=settings,
        stores=stores or _stores(settings, embedder),
        embedder=embedder,
        verifier=verifier or LazyVerifier(model),
        fetch=SafeFetcher(
            seconds=settings.fetch_seconds, redirects=settings.fetch_redirects, allow=settings.fetch_allow
        ),
        clock=clock,
    )


def _stores(settings: Settings, embedder: Embedder) -> Stores:
    if settings.on_aws:
        return Account(settings)
    if settings.data is None:
        raise SettingsError("LOOKALIKE_DATA is not set: name the folder that holds everything, or the stores of AWS")
    from lookalike.stores.local.local_stores import LocalStores  # noqa: PLC0415 - only one machine has their libraries

    return LocalStores(settings.data, embedder, settings.watch)


@contextmanager
def applications(settings: Settings, *, make: bool = False) -> Iterator[Applications]:
    """The applications alone, without the rest of the service; also while a server runs.

    Raises SettingsError if there is no such data folder and ``make`` does not say to make it.
    """
    if settings.data is None:
        yield Account(settings).applications
        return
    with _catalog(settings.data, make=make) as catalog:
        yield catalog


@contextmanager
def counters(settings: Settings) -> Iterator[Counters]:
    """The counts alone, likewise."""
    if settings.data is None:
        yield Account(settings).counters
        return
    with _catalog(settings.data) as catalog:
        yield catalog


@contextmanager
def _catalog(data: Path, *, make: bool = False) -> Iterator[SqliteCatalog]:
    from lookalike.stores.local.data_folder import DataFolder  # noqa: PLC0415
    from lookalike.stores.local.sqlite_catalog import SqliteCatalog  # noqa: PLC0415

    folder = DataFolder(data) if make else DataFolder.existing(data)
    with closing(SqliteCatalog(folder.catalog, existing=folder.used)) as catalog:
        if not catalog.holds_pictures():
            folder.mark_as_used()
        yield catalog


class _Shared:
    """The process's own ports: built once, on the first request that needs them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ports: Ports | None = None

    def __call__(self) -> Ports:
        with self.lock:
            if self.ports is None:
                self.ports = build()
            return self.ports


_shared = _Shared()


@contextmanager
def serving(ports: Ports) -> Iterator[None]:
    """Every handler of this process answers with these ports, until the block ends."""
    before, _shared.ports = _shared.ports, ports
    try:
        yield
    finally:
        _shared.ports = before


Handler = Callable[[http.Event, Any], Any]


def handler(operation: str, routes: Sequence[http.Route]) -> Handler:
    """A function's handler for HTTP requests."""

    def handle(event: http.Event, context: Any) -> http.EventAnswer:
        return http.answer(replace(_shared(), call=_call(operation, context)), operation, routes, event)

    return handle


def _call(operation: str, context: Any) -> Call:
    """The call as one machine's server knows it, or as Lambda's context tells of it: a search has so much time."""
    if isinstance(context, Call):
        return context
    return Call() if operation != "search" or context is None else TimedCall(context.get_remaining_time_in_millis)


def ingester() -> Handler:
    """The handler of uploads: as many as there is time for, and the others come again."""

    def handle(event: Event, context: Any) -> Answer:
        return uploads.answer(_shared(), event, lambda: context.get_remaining_time_in_millis() > _ONE_PICTURE)

    return handle


def indexer() -> Handler:
    """The handler of the table's stream."""

    def handle(event: Event, _context: Any) -> Answer:
        from lookalike.stores.aws.dynamodb_items import picture_of  # noqa: PLC0415 - only AWS has a stream, and what reads it

        return stream.answer(_shared(), event, picture_of)

    return handle


def purger() -> Handler:
    """The handler of the purge schedule: works until nothing waits or time runs short."""

    def handle(_event: http.Event, context: Any) -> dict[str, Any]:
        ports = _shared()
        done = purge(ports, lambda: context.get_remaining_time_in_millis() > _SPARE)
        logger.info("purged", extra={"operation": "purge", **asdict(done)})
        count(ports.settings, {"operation": "purge"}, {"Purged": done.pictures, "Stuck": done.stuck})
        return asdict(done)

    return handle
