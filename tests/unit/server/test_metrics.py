"""``GET /metrics``: what it counts, and who may read it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from lookalike.domain.application import Application, Permission, Policy
from lookalike.ports import Ports
from lookalike.server import api_gateway
from lookalike.server.health import Health
from lookalike.server.metrics import Metrics
from lookalike.server.request_queue import QueuedCall
from lookalike.service.image_source import Source
from lookalike.service.libraries import library_ref
from lookalike.service.search import Search, search
from lookalike.wire.native import limits
from tests.conftest import ALICE
from tests.support.baidu import Caller, picture
from tests.support.fakes import MemoryApplications
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
    metrics.observe("search", "/rest/2.0/realtime_search/similar/search", call, 0.25)
    metrics.observe("search", "/no/such/path", QueuedCall(("", ""), is_search=False, seconds=1), 0.001)
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
