"""A server whose disk is full: it starts, serves searches, refuses writes in the vendor's words, and recovers."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import photographs
from tests.support.live import LiveServer, cli

LIBRARY = "/rest/2.0/image-classify/v1/realtime_search/similar"
UNAVAILABLE = 2


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """Return a data folder on a small disk of its own."""
    path = tmp_path / "data"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def picture(name: str) -> str:
    return base64.b64encode(photographs.png(photographs.photograph(name, 100))).decode()


def test_a_server_starts_and_searches_on_a_full_disk(data: Path) -> None:
    server = LiveServer(data)
    keys = server.keys("shop")
    token = server.token(keys)
    assert "cont_sign" in server.call(token, f"{LIBRARY}/add", image=picture("chelsea.png"), brief="chelsea")
    assert server.stop() == 0
    with (data / "rubbish").open("wb", buffering=0) as rubbish, suppress(OSError):
        while True:
            rubbish.write(bytes(1 << 12))
    server = LiveServer(data)
    token = server.token(keys)
    found = server.call(token, f"{LIBRARY}/search", image=picture("chelsea.png"))["result"]
    assert [one["brief"] for one in found] == ["chelsea"]
    assert server.call(token, f"{LIBRARY}/add", image=picture("coffee.png"), brief="x")["error_code"] == UNAVAILABLE
    assert "shop" in cli("keys", "list", "--json", "--data", str(data))
    (data / "rubbish").unlink()
    time.sleep(1.1)  # the disk is tried again after a second
    assert "cont_sign" in server.call(token, f"{LIBRARY}/add", image=picture("coffee.png"), brief="coffee")
    assert server.stop_after("lookalike: catalog.db takes no writes") == 0
