"""Wires everything together, and makes the handlers. Nothing is opened, loaded or connected at import."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lookalike.adapters.watched import WatchedFolder
from lookalike.call import Call, TimedCall
from lookalike.clock import unix_milliseconds
from lookalike.embedding.location import find_model
from lookalike.errors import SettingsError
from lookalike.model import Kind, Picture
from lookalike.observability import count, logger
from lookalike.picture.fetch import SafeFetcher
from lookalike.ports import Applications, Counters, Embedder, Ports, Verifier
from lookalike.service.purge import purge
from lookalike.settings import Settings
from lookalike.triggers import stream, uploads
from lookalike.triggers.batch import Answer, Event
from lookalike.wire import http

if TYPE_CHECKING:
    from lookalike.adapters.account import Account
    from lookalike.adapters.sqlite import SqliteCatalog
    from lookalike.embedding.embedder import OnnxEmbedder

#: A job stops this long before its function's time is up, in milliseconds.
_SPARE = 30_000

#: What one upload takes at most, in milliseconds: a large picture, on a slow day of the stores.
_ONE_PICTURE = 15_000

#: The ports that keep something.
_STORES = {"applications", "catalog", "index", "originals", "maps", "uploads", "counters", "objects", "dead_letters"}


def build(settings: Settings | None = None, **overrides: Any) -> Ports:
    """One of each port, by the settings (default: the environment's); ``overrides`` replace ports by name.

    On AWS every port is opened by its first use: a function pays for what it uses and no more. What was opened is
    closed by the ports' ``close``, or at once if not all of it can be. Raises SettingsError or ModelError, whose
    message is one line for the operator; where a port is opened later, its first use does.
    """
    settings = settings or Settings.from_environment()
    logger.setLevel(settings.log_level)
    with ExitStack() as opened:
        embedder = overrides.get("embedder") or _later(lambda: _embedder(settings))
        chosen: dict[str, Any] = {
            "settings": settings,
            "embedder": embedder,
            "verifier": _later(lambda: _verifier(embedder)),
            "fetch": SafeFetcher(
                seconds=settings.fetch_seconds, redirects=settings.fetch_redirects, allow=settings.fetch_allow
            ),
            "clock": unix_milliseconds,
        }
        if not set(overrides) >= _STORES:
            stores = _account if settings.on_aws else _one_machine
            chosen |= stores(settings, embedder, opened)
        if settings.watch is not None:
            chosen["objects"] = WatchedFolder(settings.watch)
        return Ports(**chosen | overrides, close=opened.pop_all().close)


T = TypeVar("T")


class _Later:
    """Stands for a port and makes it when it is first used: once, whatever the number of threads."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)


def _later(make: Callable[[], T]) -> T:
    return cast("T", _Later(make))


# Heavy libraries are imported by the ports that need them, when they are made.


def _embedder(settings: Settings) -> OnnxEmbedder:
    from lookalike.embedding.embedder import OnnxEmbedder  # noqa: PLC0415

    return OnnxEmbedder(find_model(settings.model), threads=settings.model_threads)


def _verifier(embedder: OnnxEmbedder) -> Verifier:
    from lookalike.embedding.verifier import LocalMapVerifier  # noqa: PLC0415

    return LocalMapVerifier(embedder.proof)


def _one_machine(settings: Settings, embedder: Embedder, opened: ExitStack) -> dict[str, Any]:
    """SQLite, FAISS filled from it, and a folder of originals; each closed with ``opened``."""
    if settings.data is None:
        raise SettingsError("LOOKALIKE_DATA is not set: name the folder that holds everything, or the stores of AWS")
    # Only one machine has these stores' libraries, so they are imported only here.
    from lookalike.adapters.data import DataFolder  # noqa: PLC0415
    from lookalike.adapters.faiss import FaissIndex  # noqa: PLC0415
    from lookalike.adapters.folder import FolderStore  # noqa: PLC0415
    from lookalike.adapters.letters import FileDeadLetters  # noqa: PLC0415
    from lookalike.adapters.sqlite import SqliteCatalog  # noqa: PLC0415

    folder = DataFolder(settings.data)
    folder.lock()
    opened.callback(folder.unlock)
    catalog = opened.enter_context(closing(SqliteCatalog(folder.catalog, existing=folder.used)))
    if catalog.holds_pictures():
        folder.require_originals()
    else:
        folder.mark_as_used()
    originals = FolderStore(folder.originals)
    codebooks = {kind: codebook for kind in Kind if (codebook := embedder.codebook(kind)) is not None}
    index = opened.enter_context(closing(FaissIndex(codebooks, embedder.model)))
    strange: Counter[str] = Counter()
    for kind in Kind:
        index.fill(_counting(catalog.scan(kind), strange))
    catalog.report_unknown_kinds()
    strange.pop(embedder.model, None)
    for model, pictures in sorted(strange.items()):
        logger.warning(
            f"{pictures} pictures in {settings.data} were added with the model {model}: {embedder.model} does not find "
            "them; give it a folder of its own, and add them again"
        )
    return {
        "applications": catalog,
        "catalog": catalog,
        "maps": catalog,
        "uploads": catalog,
        "counters": catalog,
        "index": index,
        "originals": originals,
        "objects": WatchedFolder(None),
        "dead_letters": FileDeadLetters(folder.dead_letters, unix_milliseconds),
        "problems": lambda: [*catalog.problems(), *originals.problems()],
    }


def _counting(batches: Iterable[Sequence[Picture]], models: Counter[str]) -> Iterator[Sequence[Picture]]:
    """The same batches; ``models`` counts the live pictures of each model as they pass."""
    for batch in batches:
        models.update(picture.model for picture in batch if picture.live)
        yield batch


def _account(settings: Settings, _embedder: Embedder, _opened: ExitStack) -> dict[str, Any]:
    """DynamoDB, OpenSearch and S3, each when it is first used."""

    def store(name: str) -> Any:
        return _later(lambda: getattr(account, name))

    account = _later(lambda: _stores_of(settings))
    return {name: store(name) for name in _STORES}


def _stores_of(settings: Settings) -> Account:
    from lookalike.adapters.account import Account  # noqa: PLC0415 - only AWS has these stores' libraries

    return Account(settings)


@contextmanager
def applications(settings: Settings, *, make: bool = False) -> Iterator[Applications]:
    """The applications alone, without the rest of the service; also while a server runs.

    Raises SettingsError if there is no such data folder and ``make`` does not say to make it.
    """
    if settings.data is None:
        yield _stores_of(settings).applications
        return
    with _catalog(settings.data, make=make) as catalog:
        yield catalog


@contextmanager
def counters(settings: Settings) -> Iterator[Counters]:
    """The counts alone, likewise."""
    if settings.data is None:
        yield _stores_of(settings).counters
        return
    with _catalog(settings.data) as catalog:
        yield catalog


@contextmanager
def _catalog(data: Path, *, make: bool = False) -> Iterator[SqliteCatalog]:
    from lookalike.adapters.data import DataFolder  # noqa: PLC0415
    from lookalike.adapters.sqlite import SqliteCatalog  # noqa: PLC0415

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
        from lookalike.adapters.items import picture_of  # noqa: PLC0415 - only AWS has a stream, and what reads it

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
