"""A server whose searches run in several processes answers the same, whatever becomes of these, and leaves none behind."""

from __future__ import annotations

import base64
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.bench.callers import children
from tests.support import photographs
from tests.support.live import LiveServer
from tests.support.processes import gone

SAME = "/rest/2.0/realtime_search/same_hq"
STARTED = "a search process has started"
LOST = "a search process has ended; searched again here"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for children")


def sent(name: str, quality: int) -> str:
    return base64.b64encode(photographs.jpeg(photographs.photograph(name), quality)).decode()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LiveServer, str]]:
    monkeypatch.setenv("LOOKALIKE_SEARCH_WORKERS", "1")
    running = LiveServer(tmp_path / "data")
    token = running.token(running.keys("shop"))
    for name in photographs.NAMES[:6]:
        running.call(token, f"{SAME}/add", image=sent(name, 90), brief=name)
    yield running, token
    if running.process.poll() is None:
        running.kill()


def answers(server: LiveServer, token: str, callers: int) -> list[list[dict[str, Any]]]:
    """Search by so many callers at once; return what each picture was answered with, in their order."""
    images = [sent(name, quality) for name in photographs.NAMES[:8] for quality in (90, 40)]
    with ThreadPoolExecutor(callers) as pool:
        found = list(pool.map(lambda image: server.call(token, f"{SAME}/search", image=image, rn=10), images))
    return [one["result"] for one in found]


def worker(server: LiveServer, token: str, started: int = 1) -> int:
    """Search by several callers until the server has started so many processes for it; return the last one."""
    until = time.monotonic() + 60
    while server.log.read_text().count(STARTED) < started and time.monotonic() < until:
        answers(server, token, 4)
    (one,) = children(server.process.pid)
    return one


@pytest.mark.slow
def test_answers_are_the_same_in_whichever_process_and_none_is_lost_with_one(server: tuple[LiveServer, str]) -> None:
    running, token = server
    alone = answers(running, token, 1)
    assert any(alone)
    assert not children(running.process.pid)
    assert answers(running, token, 4) == alone
    for killed in (1, 2):
        os.kill(worker(running, token, killed), signal.SIGKILL)
        assert answers(running, token, 4) == alone
        assert running.log.read_text().count(LOST) == killed
    assert "Traceback" not in running.log.read_text()


@pytest.mark.parametrize("kill", [True, False])
def test_no_process_is_left_behind(server: tuple[LiveServer, str], kill: bool) -> None:
    running, token = server
    one = worker(running, token)
    if kill:
        running.kill()
    else:
        assert running.stop() == 0
    assert gone(one)
    assert "Traceback" not in running.log.read_text()
