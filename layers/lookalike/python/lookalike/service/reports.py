"""What operators' commands found last, and how far a fill is: kept, so that whoever watches the service sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from lookalike.domain.record import Record
from lookalike.errors import Unavailable
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports

#: The partition of these records.
_PARTITION = "service"


class Reported(StrEnum):
    """What is reported, and the key of its record."""

    CHECK = "check"
    CANARY = "canary"
    FILL = "fill"


def note_report(ports: Ports, of: Reported, body: str) -> None:
    """Keep a report, JSON text, in place of the last one; best effort, for who asked for it has it."""
    try:
        ports.records.save_records([Record(_PARTITION, of, body)])
    except Unavailable as error:
        logger.warning("a report could not be kept", extra={"operation": "control", **error_fields(error)})


def last_report(ports: Ports, of: Reported) -> Mapping[str, Any] | None:
    """Return the last report; None if there is none. Raises Unavailable."""
    record = ports.records.record(_PARTITION, of)
    return None if record is None else dict(json.loads(record.body))
