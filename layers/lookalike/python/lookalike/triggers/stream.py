"""The catalog's DynamoDB stream: brings the vector index to the rows written and removed, in the order of the writes.

Whoever removes a row has removed it from the index before. Records that come late, or once more, write it there again: of a
group that was removed, say, while the stream was behind. The record of the removal, which follows them, ends that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.domain.picture import Picture
from lookalike.domain.upload import DeadLetter
from lookalike.errors import Unavailable
from lookalike.observability import count, count_failures, logger
from lookalike.ports import Ports
from lookalike.service.index_sync import SyncResult, sync_index
from lookalike.triggers.batch import Answer, Event, Malformed, failures, send_to_dead_letters

_OPERATION = "index"

#: Reads a picture's row from an item image of the stream; None if the item is not a picture.
Read = Callable[[Mapping[str, Any]], Picture | None]

#: Parts of a record that its dead letter keeps: those that locate the row, of which the table has a newer version.
_KEPT = ("Keys", "SequenceNumber")


@dataclass(frozen=True, slots=True)
class Change:
    """A record of the stream: the row written, or the one removed for good if ``removed``; or the malformed record.

    ``number`` is the sequence number, which identifies the record to Lambda; empty if it has none, which identifies the
    whole batch. ``body`` locates the row.
    """

    number: str
    row: Picture | Malformed
    body: str
    removed: bool = False


def changes(event: Event, read: Read) -> Sequence[Change]:
    """Parse a stream event into the picture rows written and removed, however malformed it is."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        body = json.dumps(event, default=repr)
        return [Change("", Malformed(body, "no event of a stream"), body)]
    found = (_change(record, read) for record in records)
    return [change for change in found if change is not None]


def _change(record: Any, read: Read) -> Change | None:
    number, body = "", json.dumps(record, default=repr)
    try:
        stream = record["dynamodb"]
        body = json.dumps({name: stream.get(name) for name in _KEPT}, default=repr)
        number = _sequence_number(stream["SequenceNumber"])
        if record["eventName"] == "REMOVE":
            return _removal(number, stream, read, body)
        row = read(stream["NewImage"])
    except Exception as reason:  # an image may be wrong in any way
        return Change(number, Malformed(body, f"no record of a stream: {reason!r}"), body)
    return None if row is None else Change(number, row, body)


def _removal(number: str, stream: Mapping[str, Any], read: Read, body: str) -> Change | None:
    """Return the removal of a row; None if it is no picture's, or cannot be read: then no record has written it either."""
    try:
        row = read(stream["OldImage"])
    except (LookupError, ValueError):
        return None
    return None if row is None else Change(number, row, body, removed=True)


def _sequence_number(given: Any) -> str:
    """Return the sequence number if it is text of digits. Raises ValueError otherwise."""
    if not isinstance(given, str) or not (given.isascii() and given.isdigit()):
        raise ValueError(f"no sequence number: {given!r}")
    return given


def answer(ports: Ports, event: Event, read: Read) -> Answer:
    """Write the event's rows to the index; answer the first record that has to be delivered again, with all after it.

    The records of an event are in the order of the stream. A row that the index will never take becomes a dead letter
    with the index's reason, unless its record is delivered again anyway.
    """
    found = changes(event, read)
    done = _synced(ports, found)
    again = [
        position
        for position, change in enumerate(found)
        if isinstance(change.row, Picture) and change.row.key in done.retryable
    ]
    again += _send_dead_before(ports, found, done, min(again, default=len(found)))
    figures = {"Rows": len(found), "Again": len(done.retryable), "Refused": len(done.rejected)}
    logger.info("indexed", extra={"operation": _OPERATION, **figures})
    count(ports.settings, {"operation": _OPERATION}, figures)
    count_failures(ports.settings, _OPERATION, len(again))
    return failures([found[min(again)].number] if again else [])


def _synced(ports: Ports, found: Sequence[Change]) -> SyncResult:
    """Bring the index to the last record of each picture."""
    last = {change.row.key: change.removed for change in found if isinstance(change.row, Picture)}
    rows = [(change.row, change.removed) for change in found if isinstance(change.row, Picture)]
    written = [row for row, removed in rows if not removed and not last[row.key]]
    return sync_index(ports, written, [row for row, removed in rows if removed and last[row.key]])


def _send_dead_before(ports: Ports, found: Sequence[Change], done: SyncResult, end: int) -> list[int]:
    """Send the dead records before index ``end`` to the dead letters; return the indices of those that failed."""
    failed = []
    for position, change in enumerate(found[:end]):
        reason = _reason(change, done)
        if reason is None:
            continue
        try:
            send_to_dead_letters(ports, DeadLetter(_OPERATION, reason, change.body))
        except Unavailable:
            logger.exception("dead letter not kept", extra={"operation": _OPERATION})
            failed.append(position)
    return failed


def _reason(change: Change, done: SyncResult) -> str | None:
    """Return the reason why the record cannot succeed; None if it can."""
    if isinstance(change.row, Malformed):
        return change.row.reason
    return done.rejected.get(change.row.key)
