"""The console in a real Chromium, against a running server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.visitor import Visitor
from tests.support import chromium
from tests.support.live import Keys, LiveServer


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium.running() as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    running = LiveServer(tmp_path_factory.mktemp("console") / "data")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def keys(server: LiveServer) -> Keys:
    return server.keys("operator")


@pytest.fixture
def visit(browser: Any, server: LiveServer, keys: Keys) -> Iterator[Callable[..., Visitor]]:
    """Open the console in a context of its own. In the end, nothing of it has gone wrong."""
    visitors: list[Visitor] = []

    def open_console(**options: Any) -> Visitor:
        signed = options.pop("signed_in", True)
        place, whose = options.pop("at", (server, keys))
        defaults: dict[str, Any] = {"locale": "en", "viewport": {"width": 1280, "height": 860}}
        context = browser.new_context(**{**defaults, **options})
        visitor = Visitor.of(context, place.url, whose)
        visitors.append(visitor)
        if signed:
            visitor.sign_in_by_link()
        return visitor

    yield open_console
    for visitor in visitors:
        visitor.page.context.close()
    for visitor in visitors:
        assert visitor.wrong == []
