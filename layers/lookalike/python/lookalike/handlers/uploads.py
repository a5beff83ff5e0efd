"""The handler of uploads."""

from __future__ import annotations

from typing import Any

from lookalike.handlers.http import Handler
from lookalike.handlers.process_ports import process_ports
from lookalike.triggers import uploads
from lookalike.triggers.batch import Answer, Event

#: What one upload takes at most, in milliseconds: a large picture, on a slow day of the stores.
_MARGIN_MS = 15_000


def upload_handler() -> Handler:
    """The handler of uploads: as many as there is time for, and the others come again."""

    def handle(event: Event, context: Any) -> Answer:
        return uploads.answer(process_ports(), event, lambda: context.get_remaining_time_in_millis() > _MARGIN_MS)

    return handle
