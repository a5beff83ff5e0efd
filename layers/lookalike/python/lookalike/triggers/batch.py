"""Batches of records: malformed records, failures and dead letters.

Not Powertools' batch processor: that one handles a record at a time, and leaves messages that cannot succeed to the
queue's receive count. Here a stream's batch is one write to the index, and a dead letter has a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lookalike.domain.upload import DeadLetter
from lookalike.observability import count, logger, printable
from lookalike.ports import Ports

Event = Mapping[str, Any]
Answer = dict[str, list[dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that cannot be read. ``body`` is the record as received."""

    body: str
    reason: str


def failures(identifiers: Iterable[str]) -> Answer:
    """Build Lambda's partial batch response: the records that have to be delivered again."""
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


def send_to_dead_letters(ports: Ports, letter: DeadLetter) -> None:
    """Record a message that cannot succeed: in the log, the metrics and the dead letters. Raises Unavailable."""
    log_fields = {"operation": letter.operation, "reason": printable(letter.reason), "body": letter.body}
    logger.error("dead letter", extra=log_fields | ({"file": printable(letter.file)} if letter.file else {}))
    count(ports.settings, {"operation": letter.operation}, {"DeadLetters": 1})
    ports.dead_letters.send(letter)
