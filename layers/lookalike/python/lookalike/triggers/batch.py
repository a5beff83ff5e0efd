"""What triggers that come in batches share.

Powertools' batch processor handles one record at a time and leaves messages that never succeed to the queue's count of
receives. Here a stream's batch is one write to the index, and a message says why it is dead, so this is our own.
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
class Garbled:
    """A record that cannot be read. ``body`` is what came."""

    body: str
    reason: str


def failures(identifiers: Iterable[str]) -> Answer:
    """What Lambda wants to hear of a batch: the records that have to come again."""
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


def bury(ports: Ports, letter: DeadLetter) -> None:
    """A message that never will succeed: into the log, the metrics and the dead letters. Raises Unavailable."""
    facts = {"operation": letter.operation, "reason": printable(letter.reason), "body": letter.body}
    logger.error("dead letter", extra=facts | ({"file": printable(letter.file)} if letter.file else {}))
    count(ports.settings, {"operation": letter.operation}, {"DeadLetters": 1})
    ports.dead_letters.send(letter)
