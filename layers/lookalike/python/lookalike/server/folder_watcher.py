"""Plays S3: what is put into a folder becomes the event that S3 would send, by way of SQS, and goes to ``ingest``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote_plus

from lookalike.domain.upload import DeadLetter
from lookalike.handlers.http import Handler
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.server.scheduler import Allowance
from lookalike.service.holders import stale_holders
from lookalike.service.upload import ObjectCreated, is_processed
from lookalike.stores.local.watched_folder import BUCKET, WatchedFolder
from lookalike.triggers.batch import send_to_dead_letters

#: Seconds between two looks at the folder; a folder that takes long to look through is looked at less often, so that
#: looking never takes more than a tenth of the time.
_PAUSE, _SHARE = 1.0, 10

#: Files of one event, as SQS batches them.
_BATCH = 10

#: Seconds until what failed is tried again: the first time, and at most.
_FIRST_RETRY, _LAST_RETRY = 1.0, 300.0


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Retry:
    """A file that failed: when it is tried again, and how long the next wait is."""

    at: float
    wait: float


class Watcher:
    """Looks at a folder again and again, in one thread, and sends each file on once it has stopped changing.

    What has been done the catalog knows, so nothing is done twice after a restart. What failed is sent again, each time
    after a longer wait. A file that is gone is sent on as deleted: another that holds its picture may speak for it then.

    Parameters
    ----------
    handler : of the function ``ingest``.
    ports : what that handler answers with.
    pause : seconds between two looks, at least.
    """

    def __init__(self, folder: WatchedFolder, handler: Handler, ports: Ports, pause: float = _PAUSE) -> None:
        self._folder = folder
        self._handler = handler
        self._ports = ports
        self._pause = pause
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._seen: Mapping[str, str] = {}
        self._done: dict[str, str] = {}
        self._retries: dict[str, _Retry] = {}
        self._gone: set[str] = set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the event that is being worked on, and end."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                waiting = self._look()
                took = time.monotonic() - began
                for files in _batched(waiting, _BATCH):
                    if self._stopped.is_set():
                        return
                    self._send(files)
                for keys in _batched(sorted(self._gone), _BATCH):
                    if self._stopped.is_set():
                        return
                    self._send_gone(keys)
            except Exception:  # the next look tries again
                logger.exception("watching failed")
                took = time.monotonic() - began
            self._stopped.wait(max(self._pause, _SHARE * took))

    def _look(self) -> Sequence[tuple[str, str]]:
        """Files that have to be sent: as they were at the look before, not done, and not to be waited for.

        New names come first: a picture that has been put away is held by its new name before its old one lets it go.
        """
        before, self._seen = self._seen, dict(self._folder.keys())
        if self._ports.settings.keep_uploads:  # otherwise they go because they are done
            self._gone = (self._gone | {key for key in before if _is_text(key)}) - self._seen.keys()
        self._done = {key: sequencer for key, sequencer in self._done.items() if key in self._seen}
        self._retries = {key: retry for key, retry in self._retries.items() if key in self._seen}
        now = time.monotonic()
        waiting = [
            (key, sequencer)
            for key, sequencer in self._seen.items()
            if before.get(key) == sequencer
            and (key not in self._retries or self._retries[key].at <= now)
            and not self._is_done(key, sequencer)
        ]
        return sorted(waiting, key=lambda file: file[0] in self._done)

    def _is_done(self, key: str, sequencer: str) -> bool:
        if self._done.get(key) == sequencer:
            return True
        event = ObjectCreated(BUCKET, key, sequencer)
        if not _is_text(key) or not is_processed(self._ports, event):
            return False
        if key not in self._done:  # since before this start; what has gone meanwhile nobody has told
            self._gone |= {source.partition("/")[2] for source in stale_holders(self._ports, event.source)}
        self._done[key] = sequencer
        return True

    def _send(self, files: Sequence[tuple[str, str]]) -> None:
        for key, sequencer in files:
            if not _is_text(key):
                self._refuse(key, sequencer)
        files = [(key, sequencer) for key, sequencer in files if _is_text(key)]
        failed = self._handle(event_of(files), len(files))
        for number, (key, sequencer) in enumerate(files):
            if number in failed:
                wait = self._retries[key].wait if key in self._retries else _FIRST_RETRY
                self._retries[key] = _Retry(time.monotonic() + wait, min(2 * wait, _LAST_RETRY))
            else:
                self._retries.pop(key, None)
                self._done[key] = sequencer

    def _refuse(self, key: str, sequencer: str) -> None:
        """The name of a file is no text, and so no key."""
        (message,) = event_of([(key, sequencer)])["Records"]
        reason = "InvalidArgument: name: is not UTF-8"
        send_to_dead_letters(
            self._ports, DeadLetter("ingest", reason, message["body"], self._folder.place(BUCKET, key))
        )
        self._done[key] = sequencer

    def _send_gone(self, keys: Sequence[str]) -> None:
        """What failed comes again with the next look."""
        failed = self._handle(event_of_gone(keys), len(keys))
        self._gone -= {key for number, key in enumerate(keys) if number not in failed}

    def _handle(self, event: dict[str, Any], messages: int) -> frozenset[int]:
        """The messages of the event that failed."""
        try:
            answer = self._handler(event, Allowance(self._stopped))
            return frozenset(int(failure["itemIdentifier"]) for failure in answer["batchItemFailures"])
        except Exception:  # as a function that raises: all of it comes again
            logger.exception("handler failed", extra={"operation": "ingest"})
            return frozenset(range(messages))


def event_of(files: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The event that SQS would send for keys and their sequencers, a message each, numbered from 0."""
    stored = [{"key": _encoded(key), "sequencer": sequencer} for key, sequencer in files]
    return {"Records": [_message(number, "ObjectCreated:Put", one) for number, one in enumerate(stored)]}


def event_of_gone(keys: Sequence[str]) -> dict[str, Any]:
    """The event that SQS would send for keys whose objects were deleted, likewise."""
    return {
        "Records": [_message(number, "ObjectRemoved:Delete", {"key": _encoded(key)}) for number, key in enumerate(keys)]
    }


def _encoded(key: str) -> str:
    return quote_plus(key, safe="/", errors="surrogateescape")


def _message(number: int, name: str, stored: Mapping[str, str]) -> dict[str, Any]:
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": BUCKET}, "object": stored},
    }
    return {"messageId": str(number), "eventSource": "aws:sqs", "body": json.dumps({"Records": [record]})}


def _batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def _is_text(name: str) -> bool:
    """Whether a file's name is UTF-8; others can be no key."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
