"""The handler of the purge schedule."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lookalike.handlers.http import Handler
from lookalike.handlers.process_ports import process_ports
from lookalike.observability import count, logger
from lookalike.service.model_view import current
from lookalike.service.purge import purge
from lookalike.wire import http

#: A job stops this long before its function's time is up, in milliseconds.
_MARGIN_MS = 30_000


def purge_handler() -> Handler:
    """The handler of the purge schedule: works until nothing waits or time runs short."""

    def handle(_event: http.Event, context: Any) -> dict[str, Any]:
        ports = current(process_ports())
        done = purge(ports, lambda: context.get_remaining_time_in_millis() > _MARGIN_MS)
        logger.info("purged", extra={"operation": "purge", **asdict(done)})
        count(ports.settings, {"operation": "purge"}, {"Purged": done.pictures, "Stuck": done.stuck})
        return asdict(done)

    return handle
