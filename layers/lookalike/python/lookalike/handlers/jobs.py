"""The handler of the schedule of jobs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lookalike.handlers.http import Handler
from lookalike.handlers.process_ports import process_ports
from lookalike.service.job_runner import run_jobs
from lookalike.service.model_view import current
from lookalike.wire import http

#: Milliseconds before its function's time is up at which a job stops after its step: a step takes some seconds, and
#: what it does last is made again by the next run if it is cut off.
_MARGIN_MS = 60_000


def jobs_handler() -> Handler:
    """The handler of the schedule of jobs: works until nothing waits or time runs short; the next run goes on there."""

    def handle(_event: http.Event, context: Any) -> dict[str, Any]:
        return asdict(run_jobs(current(process_ports()), lambda: context.get_remaining_time_in_millis() > _MARGIN_MS))

    return handle
