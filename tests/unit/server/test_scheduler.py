"""The scheduler runs handlers at once and at intervals, survives failures, and stops on request."""

from __future__ import annotations

import threading
from typing import Any

from lookalike.server.scheduler import MAX_RUN_MS, Scheduler


def test_a_handler_runs_again_and_again_though_one_run_fails() -> None:
    runs: list[int] = []
    enough = threading.Event()

    def handler(_event: Any, context: Any) -> None:
        runs.append(context.get_remaining_time_in_millis())
        if len(runs) == 3:
            enough.set()
        if len(runs) == 1:
            raise RuntimeError("the first run fails")

    scheduler = Scheduler({handler: 1})
    scheduler.start()
    assert enough.wait(30)
    scheduler.stop()
    assert all(0 < left <= MAX_RUN_MS for left in runs[:3])


def test_a_stop_uses_up_the_time_of_the_run_under_way() -> None:
    running, left = threading.Event(), []

    def handler(_event: Any, context: Any) -> None:
        running.set()
        while context.get_remaining_time_in_millis() > 0:
            threading.Event().wait(0.001)
        left.append(context.get_remaining_time_in_millis())

    scheduler = Scheduler({handler: 1_000_000})
    scheduler.start()
    assert running.wait(30)
    scheduler.stop()
    assert left == [0]
