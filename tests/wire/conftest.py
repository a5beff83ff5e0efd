"""A live server that the SDK tests of this folder share."""

from collections.abc import Iterator

import pytest

from tests.live import LiveServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    running = LiveServer(tmp_path_factory.mktemp("live") / "data")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()
