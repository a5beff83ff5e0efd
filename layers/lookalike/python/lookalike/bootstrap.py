"""Wires everything together, and makes the handlers. Nothing is opened, loaded or connected at import."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from lookalike.clock import unix_milliseconds
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.location import find_model
from lookalike.embedding.verifier import LocalMapVerifier
from lookalike.errors import SettingsError
from lookalike.model import Kind
from lookalike.observability import count, logger
from lookalike.picture.fetch import SafeFetcher
from lookalike.ports import Applications, Embedder, Ports
from lookalike.service.purge import purge
from lookalike.settings import Settings
from lookalike.wire import http

#: A job stops this long before its function's time is up, in milliseconds.
_SPARE = 30_000


def build(settings: Settings | None = None, **overrides: Any) -> Ports:
    """One of each port, by the settings (default: the environment's); ``overrides`` replace ports by name.

    What was opened is closed by the ports' ``close``, or at once if not all of it can be. Raises SettingsError or
    ModelError, whose message is one line for the operator.
    """
    settings = settings or Settings.from_environment()
    logger.setLevel(settings.log_level)
    with ExitStack() as opened:
        embedder = overrides.get("embedder") or OnnxEmbedder(find_model(settings.model), threads=settings.model_threads)
        chosen: dict[str, Any] = {
            "settings": settings,
            "embedder": embedder,
            "verifier": overrides.get("verifier") or LocalMapVerifier(embedder.proof),
            "fetch": SafeFetcher(
                seconds=settings.fetch_seconds, redirects=settings.fetch_redirects, allow=settings.fetch_allow
            ),
            "clock": unix_milliseconds,
        }
        if not {"applications", "catalog", "index", "originals", "maps", "uploads", "counters"} <= set(overrides):
            chosen |= _one_machine(settings, embedder, opened)
        return Ports(**chosen | overrides, close=opened.pop_all().close)


def _one_machine(settings: Settings, embedder: Embedder, opened: ExitStack) -> dict[str, Any]:
    """SQLite, FAISS filled from it, and a folder of originals; each closed with ``opened``."""
    if settings.data is None:
        raise SettingsError("LOOKALIKE_DATA is not set: name the folder that holds everything")
    # Only one machine has these stores' libraries, so they are imported only here.
    from lookalike.adapters.data import DataFolder  # noqa: PLC0415
    from lookalike.adapters.faiss import FaissIndex  # noqa: PLC0415
    from lookalike.adapters.folder import FolderStore  # noqa: PLC0415
    from lookalike.adapters.sqlite import SqliteCatalog  # noqa: PLC0415

    folder = DataFolder(settings.data)
    folder.lock()
    opened.callback(folder.unlock)
    catalog = opened.enter_context(closing(SqliteCatalog(folder.catalog)))
    codebooks = {kind: codebook for kind in Kind if (codebook := embedder.codebook(kind)) is not None}
    index = opened.enter_context(closing(FaissIndex(codebooks, embedder.model)))
    for kind in Kind:
        index.fill(catalog.scan(kind))
    return {
        "applications": catalog,
        "catalog": catalog,
        "maps": catalog,
        "uploads": catalog,
        "counters": catalog,
        "index": index,
        "originals": FolderStore(folder.originals),
    }


@contextmanager
def applications(data: Path, *, make: bool = False) -> Iterator[Applications]:
    """The applications of a data folder, without the rest of the service; also while a server runs on it.

    Raises SettingsError if there is no such folder and ``make`` does not say to make it.
    """
    from lookalike.adapters.data import DataFolder  # noqa: PLC0415
    from lookalike.adapters.sqlite import SqliteCatalog  # noqa: PLC0415

    folder = DataFolder(data) if make else DataFolder.existing(data)
    with closing(SqliteCatalog(folder.catalog)) as catalog:
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

    def handle(event: http.Event, _context: Any) -> http.EventAnswer:
        return http.answer(_shared(), operation, routes, event)

    return handle


def purger() -> Handler:
    """The handler of the purge schedule: works until nothing waits or time runs short."""

    def handle(_event: http.Event, context: Any) -> dict[str, Any]:
        ports = _shared()
        done = purge(ports, lambda: context.get_remaining_time_in_millis() > _SPARE)
        logger.info("purged", extra={"operation": "purge", "pictures": done.pictures, "done": done.done})
        count(ports.settings, {"operation": "purge"}, {"Purged": done.pictures})
        return {"pictures": done.pictures, "done": done.done}

    return handle
