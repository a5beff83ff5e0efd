"""What tests of this folder share: a live server for the SDKs, and stores of truth for hostile callers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike import bootstrap
from lookalike.domain.application import Application
from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports
from lookalike.settings import Settings
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.sqlite_stores import SqliteStores
from tests.support.fakes import MemoryStores, TinyEmbedder, TinyVerifier
from tests.support.live import LiveServer

CALLER = Application("ak", "sk", "123456789", "tenant", "hostile")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    running = LiveServer(tmp_path_factory.mktemp("live") / "data")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Ports]:
    """Real stores of truth, so that whatever hostile text arrives meets a real database. CALLER may call."""
    stores = SqliteStores(tmp_path / "catalog.db")
    stores.applications.save_application(CALLER)
    built = bootstrap.build(
        Settings(log_level="CRITICAL", fetch_seconds=0.1),
        stores=MemoryStores(
            applications=stores.applications,
            catalog=stores.catalog,
            maps=stores.maps,
            uploads=stores.uploads,
            counters=stores.counters,
            originals=FolderStore(tmp_path / "originals"),
        ),
        embedder=TinyEmbedder(),
        verifier=TinyVerifier(),
    )
    with serving(built):
        yield built
    built.close()
    stores.close()
