"""Two applications of two tenants, and handlers that answer with stores in memory.

Every run of one test imports this: what is here imports no client of AWS, starts no server, and imports what answers
calls only for a test that asks for it.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from lookalike.domain.application import Application
from lookalike.ports import Ports
from tests.support import examples
from tests.support.baidu import Caller
from tests.support.fakes import MemoryWeb, SetClock, memory_ports

ALICE = Application("alice-access", "alice-secret", "10000001", "tenant-alice", "alice")
BOB = Application("bob-access", "bob-secret", "10000002", "tenant-bob", "bob")

examples.register()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: many tests wait for a limit of time to be over."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Log as much in the next test as in the first: one that built a service may have had it say less."""
    if "lookalike.observability" in sys.modules:
        sys.modules["lookalike.observability"].logger.setLevel("INFO")


LEFT_OUT = pytest.StashKey[int]()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count what was collected and is not run; a process of pytest-xdist tells the first one."""
    if items:
        config = items[0].config
        config.stash[LEFT_OUT] = config.stash.get(LEFT_OUT, 0) + len(items)
        if (output := getattr(config, "workeroutput", None)) is not None:
            output["left out"] = config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process has counted: each collects the same tests."""
    counted = getattr(node, "workeroutput", {}).get("left out", 0)  # nothing, where the process has crashed
    node.config.stash[LEFT_OUT] = max(counted, node.config.stash.get(LEFT_OUT, 0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many tests were left out, which pytest-xdist does not."""
    if left_out := config.stash.get(LEFT_OUT, 0):
        asked = [f"{option} {value!r}" for option in ("-m", "-k") if (value := config.getoption(option))]
        terminalreporter.write_line(f"Left out by {' and '.join(asked) or 'this choice'}: {left_out}")


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
    from lookalike.handlers.process_ports import serving  # noqa: PLC0415 - see above

    ports = memory_ports(ALICE, BOB, fetch=web, clock=clock)
    with serving(ports):
        yield ports


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What has been logged since the test began, parsed."""
    from lookalike.observability import logger  # noqa: PLC0415 - see above

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
