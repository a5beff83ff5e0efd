"""The handler of uploads."""

from __future__ import annotations

from typing import Any

from lookalike.handlers.http import Handler
from lookalike.handlers.process_ports import process_ports
from lookalike.service.model_view import current
from lookalike.triggers import uploads
from lookalike.triggers.batch import Answer, Event

#: Milliseconds reserved for one upload: a large picture, and stores that are slow.
_MARGIN_MS = 15_000


def upload_handler() -> Handler:
    """Return the handler of uploads: it processes messages until ``_MARGIN_MS`` remain, and returns the rest as failures."""

    def handle(event: Event, context: Any) -> Answer:
        return uploads.answer(
            current(process_ports()), event, lambda: context.get_remaining_time_in_millis() > _MARGIN_MS
        )

    return handle
