"""Two applications of two tenants, and handlers that answer with stores in memory."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest

from lookalike import bootstrap
from lookalike.model import Application
from lookalike.observability import logger
from lookalike.ports import Ports
from tests.baidu import Caller
from tests.fakes import MemoryWeb, SetClock, memory_ports
from tests.servers.dynamodb import server

ALICE = Application("alice-access", "alice-secret", "10000001", "tenant-alice", "alice")
BOB = Application("bob-access", "bob-secret", "10000002", "tenant-bob", "bob")

# How long an example takes says how busy the machine is, and nothing else.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_report_header() -> str:
    """Says what stands in for DynamoDB."""
    missing = server.missing()
    return f"DynamoDB: moto, because {missing}" if missing else "DynamoDB: DynamoDB Local"


@pytest.fixture
def alice() -> Caller:
    return Caller(ALICE)


@pytest.fixture
def bob() -> Caller:
    return Caller(BOB)


@pytest.fixture
def web() -> MemoryWeb:
    """What callers' URLs point at."""
    return MemoryWeb()


@pytest.fixture
def clock() -> SetClock:
    """Stands at 2026-01-02T03:04:05Z."""
    return SetClock(1_767_323_045_000)


@pytest.fixture
def memory(web: MemoryWeb, clock: SetClock) -> Iterator[Ports]:
    """Empty stores in memory; all handlers of this process answer with them."""
    ports = memory_ports(ALICE, BOB, fetch=web, clock=clock)
    with bootstrap.serving(ports):
        yield ports


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What has been logged since the test began, parsed."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logger.registered_formatter)
    under = logging.getLogger(logger.service)
    under.addHandler(handler)
    level = under.level
    under.setLevel(logging.INFO)  # another test may have built a service that says less
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    under.removeHandler(handler)
    under.setLevel(level)
