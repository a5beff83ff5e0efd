"""SIGKILL at random moments of a mixed load: every acknowledged write is there, and nothing that was deleted, once all is back.

``KILL_ROUNDS`` says how many rounds there are: few by default, more in ``make soak``.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike import bootstrap
from lookalike.domain.consistency import Fault
from lookalike.ports import Ports
from lookalike.ports.clock import DAY_MS
from lookalike.service import consistency
from lookalike.settings import Settings
from tests.servers import aws
from tests.servers.account import free_port
from tests.servers.dynamodb import server as dynamodb
from tests.servers.opensearch import server as opensearch
from tests.support import load
from tests.support.fakes import SetClock
from tests.support.live import Keys, LiveServer
from tests.support.load import Client, Ledger

ROUNDS = int(os.environ.get("KILL_ROUNDS", "5"))
CLIENTS = 6
LIBRARY = "/rest/2.0/image-classify/v1/realtime_search/product"

#: Differences that nobody who waits for the stream may see.
WRONG = {Fault.GHOST, Fault.STALE, Fault.MISSING}


def call(server: LiveServer, token: str, operation: str, **fields: Any) -> dict[str, Any]:
    """Call an operation of the library."""
    return server.call(token, f"{LIBRARY}/{operation}", **fields)


def wait_for_writes(ledger: Ledger, more: int) -> None:
    """Wait until so many more writes are acknowledged, and some of each kind."""
    wanted, end = ledger.writes + more, time.monotonic() + 60
    while ledger.writes < wanted or not ledger.is_mixed:
        assert time.monotonic() < end, "the load has ended"
        time.sleep(0.01)


def check(server: LiveServer, token: str, ledger: Ledger) -> None:
    """Assert that all is as acknowledged; what was cut off may have happened or not, but can be said again."""
    settled = ledger.settled
    shares = [settled[::2], settled[1::2]]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda share: load.check(partial(call, server, token), ledger, share), shares))
    for number in sorted(ledger.doubtful):
        again = call(server, token, "add", image=load.image(number), brief="x")
        assert again.get("error_code") in (None, 216681), again


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    chance = random.Random(20)
    ledger = Ledger()
    keys: Keys | None = None
    for round_ in range(ROUNDS):
        server = LiveServer(tmp_path / "data")
        keys = keys or server.keys("kill")
        calling = partial(call, server, server.token(keys))
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [Client(calling, ledger, random.Random(round_ * CLIENTS + n)) for n in range(CLIENTS)]
            working = [pool.submit(client.work) for client in clients]
            wait_for_writes(ledger, chance.randint(10, 25))
            time.sleep(chance.uniform(0, 0.1))
            server.kill()
            for one in working:
                one.result()
    server = LiveServer(tmp_path / "data")
    assert keys is not None
    assert ledger.writes >= 10 * ROUNDS
    check(server, server.token(keys), ledger)
    assert server.stop() == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").rglob("*"))


@dataclass
class Stack:
    """The service on the stores of AWS, each in a process of its own."""

    folder: Path
    account: dict[str, str]
    search: opensearch.OpenSearchServer
    table: dynamodb.DynamoServer
    server: LiveServer

    def strike(self, victim: str, away: float) -> None:
        """Kill a process, and start another in its place a while later."""
        if victim == "server":
            self.server.kill()
            time.sleep(away)
            self.server = LiveServer(self.folder / "server", account=self.account)
        elif victim == "table":
            self.table.kill()
            time.sleep(away)
            self.table = dynamodb.DynamoServer(self.table.port, self.folder / "table")
        else:
            port = httpx.URL(self.search.url).port
            assert port is not None
            self.search.kill()
            time.sleep(away)
            self.search = opensearch.OpenSearchServer(self.folder / "search", port, opensearch.QUICK_START)

    def close(self) -> None:
        """End all processes."""
        self.server.kill()
        self.search.kill()
        self.table.close()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    if (reason := opensearch.missing() or dynamodb.missing()) is not None:
        pytest.skip(f"no stores: {reason}")
    (tmp_path / "table").mkdir()
    search = opensearch.OpenSearchServer(tmp_path / "search", free_port(), opensearch.QUICK_START)
    table = dynamodb.DynamoServer(0, tmp_path / "table")
    with ExitStack() as opened:
        account = opened.enter_context(aws.account(search.url, table.url))
        here = Stack(tmp_path, account, search, table, LiveServer(tmp_path / "server", account=account))
        opened.callback(here.close)
        yield here


def is_before(end: list[float]) -> bool:
    return time.monotonic() < end[0]


def a_day_later(account: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Ports:
    """The account's ports in this process, for which everything is old enough to be judged."""
    for name, value in account.items():
        monkeypatch.setenv(name, value)
    ports = bootstrap.build(replace(Settings.from_environment(), index_seconds=30))
    return replace(ports, clock=SetClock(ports.clock() + DAY_MS))


def test_whatever_process_of_a_stack_is_killed_nothing_acknowledged_is_lost(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, ledger = random.Random(30), Ledger()
    keys = stack.server.keys("kill")
    victims = ["search", "table", "server"]
    for round_ in range(max(ROUNDS - 2, len(victims))):
        if round_ % len(victims) == 0:
            chance.shuffle(victims)
        calling, until = partial(call, stack.server, stack.server.token(keys)), [float("inf")]
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [Client(calling, ledger, random.Random(round_ * CLIENTS + n), patient=True) for n in range(3)]
            working = [pool.submit(client.work, partial(is_before, until)) for client in clients]
            try:
                wait_for_writes(ledger, chance.randint(5, 15))
                stack.strike(victims[round_ % len(victims)], chance.uniform(0, 1))
            finally:  # whatever is wrong: nobody waits for clients that go on for ever
                until[0] = time.monotonic() + chance.uniform(0, 2)
            for one in working:
                one.result()
    ports = a_day_later(stack.account, monkeypatch)
    end = time.monotonic() + 120
    while found := dict(consistency.check(ports).found).keys() & WRONG:
        assert time.monotonic() < end, found
        time.sleep(0.5)
    assert ledger.writes >= 15
    check(stack.server, stack.server.token(keys), ledger)
    assert stack.server.stop() == 0
