"""Handlers of HTTP requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lookalike.handlers.process_ports import process_ports
from lookalike.limits.call import Call, TimedCall
from lookalike.wire import http

Handler = Callable[[http.Event, Any], Any]


def http_handler(operation: str, routes: Sequence[http.Route]) -> Handler:
    """A function's handler for HTTP requests."""

    def handle(event: http.Event, context: Any) -> http.EventAnswer:
        return http.answer(replace(process_ports(), call=_call(operation, context)), operation, routes, event)

    return handle


def _call(operation: str, context: Any) -> Call:
    """Return the server's own call, or a call made from Lambda's context; on Lambda, only a search has a time limit."""
    if isinstance(context, Call):
        return context
    return Call() if operation != "search" or context is None else TimedCall(context.get_remaining_time_in_millis)
