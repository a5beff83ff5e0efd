"""``GET /metrics``: what it counts, and who may read it."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from lookalike.domain.application import Application, Permission, Policy
from lookalike.domain.backlog import Backlog
from lookalike.ports import Ports
from lookalike.server import api_gateway
from lookalike.server.health import Health
from lookalike.server.import_progress import ImportProgress, Imports
from lookalike.server.metrics import Metrics
from lookalike.server.request_queue import QueuedCall
from lookalike.server.workers.pool import Census
from lookalike.service.image_source import Source
from lookalike.service.libraries import library_ref
from lookalike.service.search import Search, search
from lookalike.wire.native import limits
from tests.conftest import ALICE
from tests.support.baidu import Caller, picture
from tests.support.fakes import MemoryApplications, SetBacklog, with_stores
from tests.support.native import NativeCaller


@pytest.fixture
def metrics(memory: Ports) -> Iterator[Metrics]:
    with closing(Health(memory)) as health:
        yield Metrics(memory, health, lambda: 3)


def request(client: str, host: str = "127.0.0.1:8000", caller: Application | None = None) -> api_gateway.HttpRequest:
    headers = [("host", host)]
    if caller is not None:
        keys = base64.b64encode(f"{caller.access_key}:{caller.secret_key}".encode()).decode()
        headers.append(("authorization", f"Basic {keys}"))
    return api_gateway.HttpRequest("GET", "/metrics", "", tuple(headers), b"", client, api_gateway.now())


def called(path: str, *headers: tuple[str, str]) -> api_gateway.HttpRequest:
    return api_gateway.HttpRequest("POST", path, "", headers, b"", "203.0.113.9", api_gateway.now())


def values(metrics: Metrics) -> dict[str, float]:
    answered = metrics.answer(request("127.0.0.1"))
    assert answered.status == 200
    lines = [line for line in answered.body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_requests_are_counted_by_operation_dialect_and_outcome(metrics: Metrics) -> None:
    call = QueuedCall(("", ""), is_search=True, seconds=1)
    call.looked("embed", 20.0)
    call.looked("embed", 30.0)
    call.answered("RateReached")
    metrics.observe("search", called("/rest/2.0/realtime_search/similar/search"), call, 0.25)
    metrics.observe("search", called("/no/such/path"), QueuedCall(("", ""), is_search=False, seconds=1), 0.001)
    found = values(metrics)
    assert found['lookalike_requests_total{dialect="baidu",operation="search",outcome="RateReached"}'] == 1
    assert found['lookalike_requests_total{dialect="none",operation="search",outcome="none"}'] == 1
    assert found['lookalike_request_seconds_sum{dialect="baidu",operation="search"}'] == 0.25
    assert found['lookalike_search_stage_seconds_sum{stage="embed"}'] == 0.05


def test_it_says_how_the_server_is(metrics: Metrics, memory: Ports) -> None:
    Caller(ALICE).add("similar", picture(1))
    found = values(metrics)
    assert found["lookalike_waiting_requests"] == 3
    assert found["lookalike_searchable_pictures"] == 1
    assert found["lookalike_failing_stores"] == found["lookalike_problems"] == 0
    assert any(re.match(r'lookalike_info\{model="tiny",version="[\d.]+', name) for name in found)
    assert found["process_resident_memory_bytes"] > 0


def test_dead_letters_are_counted_where_that_is_known(memory: Ports) -> None:
    for backlog, expected in ((Backlog(dead_letters=3), 3), (Backlog(dead_letters=0), 0), (Backlog(), None)):
        with closing(Health(memory)) as health:
            found = values(Metrics(with_stores(memory, backlogs=SetBacklog(backlog)), health, lambda: 0))
        assert found.get("lookalike_dead_letters") == expected


def test_search_processes_have_their_own_figures(memory: Ports) -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as gone,
        closing(Health(memory)) as health,
    ):
        gone.kill()
        gone.wait()
        census = Census(5, {1: os.getpid(), 3: gone.pid})
        found = values(Metrics(memory, health, lambda: 0, lambda: census))
    assert found["lookalike_search_processes"] == 2
    assert found["lookalike_search_processes_started_total"] == 5
    assert found['lookalike_search_process_cpu_seconds_total{process="1"}'] > 0
    assert found['lookalike_search_process_resident_memory_bytes{process="1"}'] > 1 << 20
    assert not [name for name in found if 'process="3"' in name], "of one that is gone nothing is said"


def noted(metrics: Metrics, said: str, outcome: str = "ok") -> None:
    call = QueuedCall(("", ""), is_search=False, seconds=1)
    call.answered(outcome)
    metrics.observe("add", called("/api/v1/libraries/shop/bulk", ("Lookalike-Import", said)), call, 0.1)


def test_imports_say_how_far_they_are(metrics: Metrics) -> None:
    noted(metrics, "id=01234567, rows=100, done=10")
    noted(metrics, "id=01234567, rows=100, done=64")
    noted(metrics, "id=89abcdef, rows=50, done=50")
    for said in ("id=0123456g, rows=1, done=1", "", "rows=9", "id=01234567, rows=-1, done=3", "x" * 10_000):
        noted(metrics, said)
    noted(metrics, "id=ffffffff, rows=1000, done=0", "TokenInvalid")
    found = values(metrics)
    assert found["lookalike_imports"] == 1
    assert found["lookalike_import_rows_done"] == 114
    assert found["lookalike_import_rows_left"] == 36


def test_an_import_that_is_quiet_for_long_is_forgotten_and_there_are_few() -> None:
    now = [0.0]
    progress = ImportProgress(lambda: now[0])
    progress.note("id=00000000, rows=10, done=1")
    now[0] = 119.0
    assert progress.now() == Imports(1, 1, 9)
    now[0] = 121.0
    assert progress.now() == Imports(0, 0, 0)
    for number in range(1000):
        progress.note(f"id={number:08x}, rows=2, done=1")
    assert progress.now() == Imports(64, 64, 64)


def test_outcomes_and_stages_reach_the_call(memory: Ports) -> None:
    call = QueuedCall(("", ""), is_search=True, seconds=60)
    owner = NativeCaller(ALICE)
    owner.library("shop", identity="own", kind="same")
    owner.put("shop", "a", picture(1))
    ports = replace(memory, call=call)
    search(ports, Search(library_ref(ALICE, "shop"), Source(limits.bounds(ports), data=picture(1))))
    assert call.stages.keys() == {"prepare", "embed", "search", "verify"}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request("127.0.0.1"), 200),
        (request("::1", "localhost:8000"), 200),
        (request("127.0.0.1", "rebound.example.com"), 401),
        (request("203.0.113.9"), 401),
        (request("203.0.113.9", caller=ALICE), 200),
        (request("203.0.113.9", caller=replace(ALICE, secret_key="wrong")), 401),
    ],
)
def test_who_may_read_it(metrics: Metrics, asked: api_gateway.HttpRequest, status: int) -> None:
    assert metrics.answer(asked).status == status


def test_a_narrowed_key_reads_none(metrics: Metrics, memory: Ports) -> None:
    assert isinstance(memory.applications, MemoryApplications)
    memory.applications.save_application(replace(ALICE, policy=Policy(may=(Permission.SEARCH,))))
    assert metrics.answer(request("203.0.113.9", caller=ALICE)).status == 401
