"""Wires everything together. Nothing is opened, loaded or connected at import."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.download.fetcher import SafeFetcher
from lookalike.embedding.kept_models import KeptModels
from lookalike.embedding.lazy import LazyEmbedder, LazyVerifier
from lookalike.errors import SettingsError
from lookalike.imaging.signatures import is_picture
from lookalike.observability import logger
from lookalike.ports import (
    Applications,
    Catalog,
    Clock,
    Counters,
    Embedder,
    Embeddings,
    MapStore,
    Models,
    PictureStore,
    Ports,
    Stores,
    Verifier,
)
from lookalike.ports.clock import unix_milliseconds
from lookalike.settings import Settings
from lookalike.stores.aws.account import Account

if TYPE_CHECKING:
    from lookalike.stores.local.sqlite_stores import SqliteStores

#: Seconds for which a process on AWS remembers which models are in use, as it does the names of indices.
MODELS_SECONDS = 30.0


def build(
    settings: Settings | None = None,
    *,
    stores: Stores | None = None,
    embedder: Embedder | None = None,
    verifier: Verifier | None = None,
    models: Models | None = None,
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
    verifier = verifier or LazyVerifier(model)
    stores = stores or _stores(settings, embedder)
    seconds = MODELS_SECONDS if settings.on_aws else 0.0
    kept = KeptModels((settings.model, embedder, verifier), settings.model_threads, lambda: stores, seconds)
    return Ports(
        settings=settings,
        stores=stores,
        embedder=embedder,
        verifier=verifier,
        fetch=SafeFetcher(
            seconds=settings.fetch_seconds,
            redirects=settings.fetch_redirects,
            allow=settings.fetch_allow,
            is_uncoded=is_picture,
        ),
        clock=clock,
        models=models or kept,
    )


def _stores(settings: Settings, embedder: Embedder) -> Stores:
    if settings.on_aws:
        return _account(settings)
    if settings.data is None:
        raise SettingsError("LOOKALIKE_DATA is not set: name the folder that holds everything, or the stores of AWS")
    from lookalike.stores.local.local_stores import LocalStores  # noqa: PLC0415 - only one machine has their libraries

    return LocalStores(settings.data, embedder, settings.watch)


def _account(settings: Settings) -> Account:
    if settings.watch is None:
        return Account(settings)
    from lookalike.stores.local.watching_account import WatchingAccount  # noqa: PLC0415 - only one machine has it

    return WatchingAccount(settings, settings.watch)


@contextmanager
def applications(settings: Settings, *, make: bool = False) -> Iterator[Applications]:
    """The applications alone, without the rest of the service; also while a server runs.

    Raises SettingsError if there is no such data folder and ``make`` does not say to make it.
    """
    if settings.data is None:
        yield Account(settings).applications
        return
    with _sqlite(settings.data, make=make) as stores:
        yield stores.applications


@contextmanager
def stored(settings: Settings) -> Iterator[tuple[Catalog, PictureStore, MapStore]]:
    """The catalog, the originals and the local maps alone, to read from, likewise."""
    if settings.data is None:
        account = Account(settings)
        yield account.catalog, account.originals, account.maps
        return
    from lookalike.stores.local.original_files import FolderReader  # noqa: PLC0415 - only one machine has it

    with _sqlite(settings.data) as stores:
        yield stores.catalog, FolderReader(settings.data / "originals"), stores.maps


@contextmanager
def embeddings(settings: Settings) -> Iterator[Embeddings]:
    """What other models make of pictures, and which models are in use, likewise."""
    if settings.data is None:
        yield Account(settings).embeddings
        return
    with _sqlite(settings.data) as stores:
        yield stores.embeddings


@contextmanager
def counters(settings: Settings) -> Iterator[Counters]:
    """The counts alone, likewise."""
    if settings.data is None:
        yield Account(settings).counters
        return
    with _sqlite(settings.data) as stores:
        yield stores.counters


@contextmanager
def rows(settings: Settings) -> Iterator[Ports]:
    """The ports of one machine while a server has its data folder open: rows, and originals to be read, but no index."""
    if settings.data is None:
        raise SettingsError("LOOKALIKE_DATA is not set: rows of AWS are there without a server")
    from lookalike.stores.local.original_files import FolderReader  # noqa: PLC0415 - only one machine has it
    from lookalike.stores.local.row_stores import RowStores  # noqa: PLC0415 - only one machine has it

    with _sqlite(settings.data) as stores:
        yield build(settings, stores=RowStores(stores, FolderReader(settings.data / "originals")))


@contextmanager
def _sqlite(data: Path, *, make: bool = False) -> Iterator[SqliteStores]:
    from lookalike.stores.local.data_folder import DataFolder  # noqa: PLC0415 - only one machine has it
    from lookalike.stores.local.sqlite_stores import SqliteStores  # noqa: PLC0415 - only one machine has it

    folder = DataFolder(data) if make else DataFolder.existing(data)
    with closing(SqliteStores(folder.catalog, existing=folder.used)) as stores:
        if not stores.catalog.holds_pictures():
            folder.mark_as_used()
        yield stores
