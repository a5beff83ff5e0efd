"""Plays S3: what is put into a folder becomes the event that S3 would send, by way of SQS, and goes to ``ingest``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from lookalike.adapters.watched import BUCKET, WatchedFolder
from lookalike.bootstrap import Handler
from lookalike.local.schedule import Allowance
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.service.ingest import Ingest, is_done

#: Seconds between two looks at the folder; a folder that takes long to look through is looked at less often, so that
#: looking never takes more than a tenth of the time.
_PAUSE, _SHARE = 1.0, 10

#: Files of one event, as SQS batches them.
_BATCH = 10

#: Seconds until what failed is tried again: the first time, and at most.
_FIRST_RETRY, _LAST_RETRY = 1.0, 300.0


@dataclass(frozen=True, slots=True)
class _Retry:
    """A file that failed: when it is tried again, and how long the next wait is."""

    at: float
    wait: float


class Watcher:
    """Looks at a folder again and again, in one thread, and sends each file on once it has stopped changing.

    What has been done the catalog knows, so nothing is done twice after a restart. What failed is sent again, each time
    after a longer wait.

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
                for begin in range(0, len(waiting), _BATCH):
                    if self._stopped.is_set():
                        return
                    self._send(waiting[begin : begin + _BATCH])
            except Exception:  # the next look tries again
                logger.exception("watching failed")
                took = time.monotonic() - began
            self._stopped.wait(max(self._pause, _SHARE * took))

    def _look(self) -> Sequence[tuple[str, str]]:
        """Files that have to be sent: as they were at the look before, not done, and not to be waited for."""
        before, self._seen = self._seen, dict(self._folder.keys())
        self._done = {key: sequencer for key, sequencer in self._done.items() if key in self._seen}
        self._retries = {key: retry for key, retry in self._retries.items() if key in self._seen}
        now = time.monotonic()
        return [
            (key, sequencer)
            for key, sequencer in self._seen.items()
            if before.get(key) == sequencer
            and (key not in self._retries or self._retries[key].at <= now)
            and not self._is_done(key, sequencer)
        ]

    def _is_done(self, key: str, sequencer: str) -> bool:
        if self._done.get(key) == sequencer:
            return True
        if not _is_text(key) or not is_done(self._ports, Ingest(BUCKET, key, sequencer)):
            return False
        self._done[key] = sequencer
        return True

    def _send(self, files: Sequence[tuple[str, str]]) -> None:
        try:
            answer = self._handler(event_of(files), Allowance(self._stopped))
            failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        except Exception:  # as a function that raises: all of it comes again
            logger.exception("handler failed", extra={"operation": "ingest"})
            failed = {str(number) for number in range(len(files))}
        for number, (key, sequencer) in enumerate(files):
            if str(number) in failed:
                wait = self._retries[key].wait if key in self._retries else _FIRST_RETRY
                self._retries[key] = _Retry(time.monotonic() + wait, min(2 * wait, _LAST_RETRY))
            else:
                self._retries.pop(key, None)
                self._done[key] = sequencer


def event_of(files: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The event that SQS would send for keys and their sequencers, a message each, numbered from 0."""
    return {"Records": [_message(number, key, sequencer) for number, (key, sequencer) in enumerate(files)]}


def _message(number: int, key: str, sequencer: str) -> dict[str, Any]:
    put = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": BUCKET},
            "object": {"key": quote_plus(key, safe="/", errors="surrogateescape"), "sequencer": sequencer},
        },
    }
    return {"messageId": str(number), "eventSource": "aws:sqs", "body": json.dumps({"Records": [put]})}


def _is_text(name: str) -> bool:
    """Whether a file's name is UTF-8; others can be no key."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
