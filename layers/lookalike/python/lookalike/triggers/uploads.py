"""Uploads: S3 events in SQS messages.

Events may be delivered repeatedly and in any order; their sequencer tells which is later. Keys are form-encoded (Amazon S3
user guide, "Event message structure").
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from lookalike.domain.upload import DeadLetter
from lookalike.errors import AccessError, InvalidArgument, LookalikeError, PictureError, StateError, Unavailable
from lookalike.observability import count, count_failures, error_fields, logger, printable
from lookalike.ports import Ports
from lookalike.service.upload import ObjectCreated, ObjectRemoved, ingest, remove
from lookalike.triggers.batch import Answer, Event, Malformed, failures, send_to_dead_letters

_OPERATION = "ingest"

#: Bytes of a key in UTF-8 (Amazon S3 user guide, "Object key naming guidelines").
_MAX_KEY_BYTES = 1024

#: Hexadecimal digits of a sequencer: Amazon documents no maximum, and its example has 18.
_MAX_SEQUENCER = 64

#: Valid bucket names, today's and those of the oldest buckets (Amazon S3 user guide, "Bucket naming rules").
_BUCKET = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")

#: Faults of an upload, and not of the service: retries are useless.
_PERMANENT_ERRORS = (AccessError, InvalidArgument, PictureError, StateError)

_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """An object was created or removed. ``body`` is a message with this event alone, which can be sent again."""

    command: ObjectCreated | ObjectRemoved
    body: str


@dataclass(frozen=True, slots=True)
class Message:
    """An SQS message: its id, and the events in it."""

    id: str
    items: tuple[ObjectEvent | Malformed, ...]


def messages(event: Event) -> Sequence[Message]:
    """Parse an SQS event, however malformed it is. Folder markers and test events are left out."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        return [Message("", (Malformed(_text(event), "no event of SQS"),))]
    return [_message(record) for record in records]


def _message(record: Any) -> Message:
    identifier = record.get("messageId") if isinstance(record, Mapping) else None
    body = record.get("body") if isinstance(record, Mapping) else None
    if not isinstance(identifier, str) or not isinstance(body, str):
        return Message(
            identifier if isinstance(identifier, str) else "", (Malformed(_text(record), "no message of SQS"),)
        )
    return Message(identifier, tuple(_items(body)))


def _items(body: str) -> Iterator[ObjectEvent | Malformed]:
    try:
        notice = json.loads(body)
    except (RecursionError, ValueError):
        yield Malformed(body, "not JSON")
        return
    if isinstance(notice, Mapping) and notice.get("Event") == "s3:TestEvent":
        return
    records = notice.get("Records") if isinstance(notice, Mapping) else None
    if not isinstance(records, list):
        yield Malformed(body, "no event of S3")
        return
    for record in records:
        alone = _text({"Records": [record]})
        try:
            command = _command(record)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as reason:
            yield Malformed(alone, f"no record of S3: {reason!r}")
            continue
        if command is not None:
            yield ObjectEvent(command, alone)


def _command(record: Any) -> ObjectCreated | ObjectRemoved | None:
    """Parse an S3 record; None if there is nothing to do. Raises a built-in exception if it is malformed."""
    happened = record["eventName"].removeprefix("s3:")
    if happened.startswith("ObjectRemoved:"):
        return ObjectRemoved(*_object(record))
    if not happened.startswith("ObjectCreated:"):
        return None
    put = record["s3"]["object"]
    etag, sequencer = put.get("eTag"), put.get("sequencer") or _moment(record["eventTime"])
    if unquote_plus(put["key"]).endswith("/") and not put.get("size"):  # a folder marker, made by consoles
        return None
    bucket, key = _object(record)
    if not isinstance(etag, str | None):
        raise TypeError("eTag is no text")
    if not 0 < len(sequencer) <= _MAX_SEQUENCER or not set(sequencer) <= _HEXADECIMAL:
        raise ValueError("the sequencer is not hexadecimal")
    return ObjectCreated(bucket, key, sequencer, None if etag is None else etag.strip('"') or None)


def _object(record: Any) -> tuple[str, str]:
    """Return the bucket and the key of a record's object. Raises TypeError or ValueError if one is invalid."""
    bucket, key = record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"], errors="strict")
    if not isinstance(bucket, str):
        raise TypeError("bucket is no text")
    if _BUCKET.fullmatch(bucket) is None:
        raise ValueError(f"no bucket can be called {bucket[:255]!r}")
    if "\0" in key or not 0 < len(key.encode()) <= _MAX_KEY_BYTES:
        raise ValueError(f"the key holds a NUL, or is empty, or has more than {_MAX_KEY_BYTES} bytes")
    return bucket, key


def _moment(event_time: str) -> str:
    """Make a sequencer of the event's time in milliseconds: some emulators of S3 send none."""
    return f"{int(datetime.fromisoformat(event_time).timestamp() * 1000):016x}"


def _text(given: Any) -> str:
    return json.dumps(given, default=repr)


def answer(ports: Ports, event: Event, time_left: Callable[[], bool]) -> Answer:
    """Ingest the event's uploads; answer the messages that have to be delivered again.

    Events that cannot succeed become dead letters. Once ``time_left()`` is false, the remaining messages are answered as
    to be delivered again; the first message is always processed.
    """
    # No uploader waits until searches see the picture.
    patient = replace(ports, settings=replace(ports.settings, wait_for_index=False))
    return failures(
        message.id
        for number, message in enumerate(messages(event))
        if (number > 0 and not time_left()) or not _process_message(patient, message)
    )


def _process_message(ports: Ports, message: Message) -> bool:
    """Process every event of a message, whatever becomes of the others; return whether all are done."""
    done = [_process_event(ports, item) for item in message.items]
    return all(done)


def _process_event(ports: Ports, item: ObjectEvent | Malformed) -> bool:
    """Process an event, log and count it; return whether it is done, in whatever way. Otherwise it is retried."""
    began = time.perf_counter()
    outcome, done, fields = _processed(ports, item)
    milliseconds = (time.perf_counter() - began) * 1000
    source = item.command.source if isinstance(item, ObjectEvent) else ""
    log_fields = {"operation": _OPERATION, "outcome": outcome, "source": source, "milliseconds": round(milliseconds, 1)}
    logger.info("ingested" if done else "comes again", extra={**log_fields, **fields})
    count(ports.settings, {"operation": _OPERATION, "outcome": outcome}, {"Events": 1, "Latency": milliseconds})
    count_failures(ports.settings, _OPERATION, not done)
    return done


def _processed(ports: Ports, item: ObjectEvent | Malformed) -> tuple[str, bool, Mapping[str, str]]:
    """Process an event; return its outcome, whether it is done, and the log fields of an error."""
    try:
        if isinstance(item, Malformed):
            send_to_dead_letters(ports, DeadLetter(_OPERATION, item.reason, item.body))
            return "Garbled", True, {"reason": printable(item.reason)}
        return _ingested(ports, item)
    except LookalikeError as error:
        traced = None if isinstance(error, Unavailable) else error  # which the caller's log line explains in full
        logger.warning("not ingested", exc_info=traced, extra={"operation": _OPERATION})
        return type(error).__name__, False, error_fields(error)
    except Exception as error:  # a fault of ours: the event is retried, until the queue gives up
        logger.exception("failed", extra={"operation": _OPERATION})
        return type(error).__name__, False, error_fields(error)


def _ingested(ports: Ports, event: ObjectEvent) -> tuple[str, bool, Mapping[str, str]]:
    command = event.command
    try:
        done = remove(ports, command) if isinstance(command, ObjectRemoved) else ingest(ports, command)
    except _PERMANENT_ERRORS as error:
        place = ports.objects.place(command.bucket, command.key)
        send_to_dead_letters(
            ports, DeadLetter(_OPERATION, f"{type(error).__name__}: {error.explanation}", event.body, place)
        )
        return type(error).__name__, True, error_fields(error)
    return done, True, {}
