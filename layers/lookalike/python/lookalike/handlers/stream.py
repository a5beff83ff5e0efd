"""The handler of the table's stream."""

from __future__ import annotations

from typing import Any

from lookalike.handlers.http import Handler
from lookalike.handlers.process_ports import process_ports
from lookalike.service.model_view import current
from lookalike.stores.aws.dynamodb_items import picture_of
from lookalike.triggers import stream
from lookalike.triggers.batch import Answer, Event


def stream_handler() -> Handler:
    """The handler of the table's stream."""

    def handle(event: Event, _context: Any) -> Answer:
        return stream.answer(current(process_ports()), event, picture_of)

    return handle
