"""The handler of the canary's schedule."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lookalike.handlers.http import Handler
from lookalike.handlers.process_ports import process_ports
from lookalike.observability import logger
from lookalike.service.canary import run_canary
from lookalike.service.model_view import current
from lookalike.service.reports import Reported, note_report
from lookalike.wire import http


class CanaryUnwellError(Exception):
    """The canary's picture was not found, or not gone, in time."""


def canary_handler() -> Handler:
    """Return the handler of the canary's schedule: it fails if the canary is not well, which Lambda counts."""

    def handle(_event: http.Event, _context: Any) -> dict[str, Any]:
        ports = current(process_ports())
        report = run_canary(ports)
        note_report(ports, Reported.CANARY, report.to_json())
        logger.info("canary", extra={"operation": "canary", **asdict(report)})
        if not report.well:
            raise CanaryUnwellError("not found" if report.found_seconds is None else "found although deleted")
        return asdict(report)

    return handle
