"""A server whose disk is full: it starts, serves searches, refuses writes in the vendor's words, and recovers."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import photographs
from tests.support.live import LiveServer, cli
from tests.support.mounts import SmallDisk, small_disk

LIBRARY = "/rest/2.0/image-classify/v1/realtime_search/similar"
UNAVAILABLE = 2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "data", 16 << 10) as made:
        yield made


def picture(name: str) -> str:
    return base64.b64encode(photographs.png(photographs.photograph(name, 100))).decode()


def test_a_server_starts_and_searches_on_a_full_disk(disk: SmallDisk) -> None:
    data = disk.path
    server = LiveServer(data)
    keys = server.keys("shop")
    token = server.token(keys)
    assert "cont_sign" in server.call(token, f"{LIBRARY}/add", image=picture("chelsea.png"), brief="chelsea")
    assert server.stop() == 0
    disk.fill()
    server = LiveServer(data)
    token = server.token(keys)
    found = server.call(token, f"{LIBRARY}/search", image=picture("chelsea.png"))["result"]
    assert [one["brief"] for one in found] == ["chelsea"]
    assert server.call(token, f"{LIBRARY}/add", image=picture("coffee.png"), brief="x")["error_code"] == UNAVAILABLE
    assert "shop" in cli("keys", "list", "--json", "--data", str(data))
    disk.clear()
    time.sleep(1.1)  # the disk is tried again after a second
    assert "cont_sign" in server.call(token, f"{LIBRARY}/add", image=picture("coffee.png"), brief="coffee")
    assert server.stop_after("lookalike: catalog.db takes no writes") == 0
