"""The catalog's stream: records of DynamoDB, in the order that each picture's row was written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.domain.picture import Picture
from lookalike.domain.upload import DeadLetter
from lookalike.errors import Unavailable
from lookalike.observability import count, fail, logger
from lookalike.ports import Ports
from lookalike.service.index_sync import Indexed, index
from lookalike.triggers.batch import Answer, Event, Garbled, bury, failures

_OPERATION = "index"

#: What reads a row from a stream's image of an item: None if it is another item than a picture's.
Read = Callable[[Mapping[str, Any]], Picture | None]

#: What a dead letter keeps of a record: where its row is. The row itself is in the table, and newer there.
_KEPT = ("Keys", "SequenceNumber")


@dataclass(frozen=True, slots=True)
class Change:
    """One record of the stream: the row that was written, or what keeps it from being read.

    ``number`` is its sequence number as it came, by which Lambda knows the record, empty if it has none, which stands
    for the whole batch; ``body`` says where the row is.
    """

    number: str
    written: Picture | Garbled
    body: str


def changes(event: Event, read: Read) -> Sequence[Change]:
    """The rows of pictures in an event of a stream, whatever is wrong with it. What was removed is nothing."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        body = json.dumps(event, default=repr)
        return [Change("", Garbled(body, "no event of a stream"), body)]
    found = (_change(record, read) for record in records)
    return [change for change in found if change is not None]


def _change(record: Any, read: Read) -> Change | None:
    number, body = "", json.dumps(record, default=repr)
    try:
        stream = record["dynamodb"]
        body = json.dumps({name: stream.get(name) for name in _KEPT}, default=repr)
        number = _sequence_number(stream["SequenceNumber"])
        if record["eventName"] == "REMOVE":
            return None
        row = read(stream["NewImage"])
    except Exception as reason:  # an image may be wrong in any way
        return Change(number, Garbled(body, f"no record of a stream: {reason!r}"), body)
    return None if row is None else Change(number, row, body)


def _sequence_number(given: Any) -> str:
    """The text of digits that it is. Raises ValueError if it is something else."""
    if not isinstance(given, str) or not (given.isascii() and given.isdigit()):
        raise ValueError(f"no sequence number: {given!r}")
    return given


def answer(ports: Ports, event: Event, read: Read) -> Answer:
    """Bring the index to what the event's rows say; the first record that has to come again, with all behind it.

    The records of an event are in the order of the stream.

    What the index never will take ends in the dead letters, with its reason, unless it comes again anyway.
    """
    found = changes(event, read)
    done = index(ports, [change.written for change in found if isinstance(change.written, Picture)])
    again = [
        place
        for place, change in enumerate(found)
        if isinstance(change.written, Picture) and change.written.key in done.again
    ]
    again += _bury_before(ports, found, done, min(again, default=len(found)))
    facts = {"Rows": len(found), "Again": len(done.again), "Refused": len(done.refused)}
    logger.info("indexed", extra={"operation": _OPERATION, **facts})
    count(ports.settings, {"operation": _OPERATION}, facts)
    fail(ports.settings, _OPERATION, len(again))
    return failures([found[min(again)].number] if again else [])


def _bury_before(ports: Ports, found: Sequence[Change], done: Indexed, end: int) -> list[int]:
    """Bury what is dead, before the place of the record that comes again; the places of what could not be buried."""
    kept = []
    for place, change in enumerate(found[:end]):
        reason = _reason(change, done)
        if reason is None:
            continue
        try:
            bury(ports, DeadLetter(_OPERATION, reason, change.body))
        except Unavailable:
            logger.exception("dead letter not kept", extra={"operation": _OPERATION})
            kept.append(place)
    return kept


def _reason(change: Change, done: Indexed) -> str | None:
    """Why the record is dead; None if it is not."""
    if isinstance(change.written, Garbled):
        return change.written.reason
    return done.refused.get(change.written.key)
