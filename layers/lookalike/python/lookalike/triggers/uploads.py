"""Uploads: events of S3 in messages of SQS.

A key is form-encoded in an event, and unique in its bucket; events come more than once and in any order, and say by
their sequencer which is the later (Amazon S3 user guide, "Event message structure").
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
from lookalike.observability import count, fail, logger, printable, why
from lookalike.ports import Ports
from lookalike.service.upload import Ingest, Removal, ingest, remove
from lookalike.triggers.batch import Answer, Event, Garbled, bury, failures

_OPERATION = "ingest"

#: Longest key, in bytes of UTF-8, and longest sequencer that is believed.
_MAX_KEY, _MAX_SEQUENCER = 1024, 64

#: What a bucket may be called: as one is now, or as the oldest were (Amazon S3 user guide, "Bucket naming rules").
_BUCKET = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")

#: What is wrong with an upload and not with the service: no use in trying again.
_FOR_EVER = (AccessError, InvalidArgument, PictureError, StateError)

_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Notice:
    """An object was put, or deleted. ``body`` is a message with this event alone, which can be sent again."""

    command: Ingest | Removal
    body: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of SQS, by its id, and what it holds."""

    id: str
    items: tuple[Notice | Garbled, ...]


def messages(event: Event) -> Sequence[Message]:
    """What an event of SQS holds, whatever is wrong with it. Folders and test events are nothing."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        return [Message("", (Garbled(_text(event), "no event of SQS"),))]
    return [_message(record) for record in records]


def _message(record: Any) -> Message:
    identifier = record.get("messageId") if isinstance(record, Mapping) else None
    body = record.get("body") if isinstance(record, Mapping) else None
    if not isinstance(identifier, str) or not isinstance(body, str):
        return Message(
            identifier if isinstance(identifier, str) else "", (Garbled(_text(record), "no message of SQS"),)
        )
    return Message(identifier, tuple(_items(body)))


def _items(body: str) -> Iterator[Notice | Garbled]:
    try:
        notice = json.loads(body)
    except (RecursionError, ValueError):
        yield Garbled(body, "not JSON")
        return
    if isinstance(notice, Mapping) and notice.get("Event") == "s3:TestEvent":
        return
    records = notice.get("Records") if isinstance(notice, Mapping) else None
    if not isinstance(records, list):
        yield Garbled(body, "no event of S3")
        return
    for record in records:
        alone = _text({"Records": [record]})
        try:
            command = _command(record)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as reason:
            yield Garbled(alone, f"no record of S3: {reason!r}")
            continue
        if command is not None:
            yield Notice(command, alone)


def _command(record: Any) -> Ingest | Removal | None:
    """None if the record asks for nothing. Raises what Python does if it is none."""
    happened = record["eventName"].removeprefix("s3:")
    if happened.startswith("ObjectRemoved:"):
        return Removal(*_object(record))
    if not happened.startswith("ObjectCreated:"):
        return None
    put = record["s3"]["object"]
    etag, sequencer = put.get("eTag"), put.get("sequencer") or _moment(record["eventTime"])
    if unquote_plus(put["key"]).endswith("/") and not put.get("size"):  # what consoles make for a folder
        return None
    bucket, key = _object(record)
    if not isinstance(etag, str | None):
        raise TypeError("eTag is no text")
    if not 0 < len(sequencer) <= _MAX_SEQUENCER or not set(sequencer) <= _HEXADECIMAL:
        raise ValueError("the sequencer is not hexadecimal")
    return Ingest(bucket, key, sequencer, None if etag is None else etag.strip('"') or None)


def _object(record: Any) -> tuple[str, str]:
    """The bucket and the key of the object that a record is about."""
    bucket, key = record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"], errors="strict")
    if not isinstance(bucket, str):
        raise TypeError("bucket is no text")
    if _BUCKET.fullmatch(bucket) is None:
        raise ValueError(f"no bucket can be called {bucket[:255]!r}")
    if "\0" in key or not 0 < len(key.encode()) <= _MAX_KEY:
        raise ValueError(f"the key holds a NUL, or is empty, or has more than {_MAX_KEY} bytes")
    return bucket, key


def _moment(event_time: str) -> str:
    """A sequencer for events of S3's emulators, some of which send none: the millisecond, as hexadecimal digits."""
    return f"{int(datetime.fromisoformat(event_time).timestamp() * 1000):016x}"


def _text(given: Any) -> str:
    return json.dumps(given, default=repr)


def answer(ports: Ports, event: Event, time_left: Callable[[], bool]) -> Answer:
    """Ingest what the event holds; the messages that have to come again.

    What never will succeed ends in the dead letters, with its reason. Once ``time_left()`` says there is none, the
    messages not begun come again; the first is always begun.
    """
    # Nobody waits for what is ingested to be seen.
    patient = replace(ports, settings=replace(ports.settings, wait_for_index=False))
    return failures(
        message.id
        for number, message in enumerate(messages(event))
        if (number > 0 and not time_left()) or not _is_done(patient, message)
    )


def _is_done(ports: Ports, message: Message) -> bool:
    """Whether all that the message holds is settled; each is tried, whatever becomes of the others."""
    settled = [_is_settled(ports, item) for item in message.items]
    return all(settled)


def _is_settled(ports: Ports, item: Notice | Garbled) -> bool:
    """Whether this is done with, in whatever way; otherwise it has to come again."""
    began = time.perf_counter()
    outcome, settled, told = _settle(ports, item)
    milliseconds = (time.perf_counter() - began) * 1000
    source = item.command.source if isinstance(item, Notice) else ""
    facts = {"operation": _OPERATION, "outcome": outcome, "source": source, "milliseconds": round(milliseconds, 1)}
    logger.info("ingested" if settled else "comes again", extra={**facts, **told})
    count(ports.settings, {"operation": _OPERATION, "outcome": outcome}, {"Events": 1, "Latency": milliseconds})
    fail(ports.settings, _OPERATION, not settled)
    return settled


def _settle(ports: Ports, item: Notice | Garbled) -> tuple[str, bool, Mapping[str, str]]:
    """(outcome, whether it is done with, why it was refused) of one item."""
    try:
        if isinstance(item, Garbled):
            bury(ports, DeadLetter(_OPERATION, item.reason, item.body))
            return "Garbled", True, {"reason": printable(item.reason)}
        return _ingested(ports, item)
    except LookalikeError as error:
        traced = None if isinstance(error, Unavailable) else error  # the next line says all there is of that
        logger.warning("not ingested", exc_info=traced, extra={"operation": _OPERATION})
        return type(error).__name__, False, why(error)
    except Exception as error:  # a fault of ours: it comes again, and in the end the queue gives it up
        logger.exception("failed", extra={"operation": _OPERATION})
        return type(error).__name__, False, why(error)


def _ingested(ports: Ports, put: Notice) -> tuple[str, bool, Mapping[str, str]]:
    command = put.command
    try:
        done = remove(ports, command) if isinstance(command, Removal) else ingest(ports, command)
    except _FOR_EVER as error:
        place = ports.objects.place(command.bucket, command.key)
        bury(ports, DeadLetter(_OPERATION, f"{type(error).__name__}: {error.explanation}", put.body, place))
        return type(error).__name__, True, why(error)
    return done, True, {}
