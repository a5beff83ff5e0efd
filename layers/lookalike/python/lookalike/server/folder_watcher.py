"""Plays S3 event notifications: a file in a folder becomes the event of SQS that S3 would cause, for ``ingest``."""

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
from lookalike.server.scheduler import LambdaContext
from lookalike.service.holders import stale_holders
from lookalike.service.upload import ObjectCreated, is_processed
from lookalike.stores.local.watched_folder import BUCKET, WatchedFolder
from lookalike.triggers.batch import send_to_dead_letters

#: Seconds between two scans of the folder.
_MIN_PAUSE_SECONDS = 1.0

#: Pause after a scan, as a multiple of the scan's own time: scanning never takes more than a tenth of the time.
_PAUSE_PER_SCAN = 10

#: Files of one event, as SQS batches them.
_BATCH_FILES = 10

#: Seconds until a failed file is sent again; doubled each time.
_FIRST_RETRY_SECONDS = 1.0
_MAX_RETRY_SECONDS = 300.0


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Retry:
    """A failed file: ``at``, when it is sent again (monotonic seconds), and ``wait``, the seconds after that."""

    at: float
    wait: float


class FolderWatcher:
    """Scans a folder repeatedly, in one thread, and sends each file to the handler once it has stopped changing.

    The catalog knows which files are processed, so none is processed twice after a restart. Failed files are sent
    again, each time after a longer wait. A deleted file is sent as such: another file with the same picture may take its
    place.

    Parameters
    ----------
    handler : handler of the function ``ingest``.
    ports : the ports that the handler uses.
    pause : minimum seconds between two scans.
    """

    def __init__(
        self, folder: WatchedFolder, handler: Handler, ports: Ports, pause: float = _MIN_PAUSE_SECONDS
    ) -> None:
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
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the current event, then end the thread."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                waiting = self._scan()
                took = time.monotonic() - began
                for files in _batched(waiting, _BATCH_FILES):
                    if self._stopped.is_set():
                        return
                    self._send(files)
                for keys in _batched(sorted(self._gone), _BATCH_FILES):
                    if self._stopped.is_set():
                        return
                    self._send_gone(keys)
            except Exception:  # the next scan tries again
                logger.exception("watching failed")
                took = time.monotonic() - began
            self._stopped.wait(max(self._pause, _PAUSE_PER_SCAN * took))

    def _scan(self) -> Sequence[tuple[str, str]]:
        """Return key and sequencer of the files to send: unchanged since the last scan, not processed, not waiting.

        New names come first: a moved picture is held under its new name before its old name is released.
        """
        before, self._seen = self._seen, dict(self._folder.keys())
        if self._ports.settings.keep_uploads:  # otherwise files disappear because they are processed
            self._gone = (self._gone | {key for key in before if _is_utf8(key)}) - self._seen.keys()
        self._done = {key: sequencer for key, sequencer in self._done.items() if key in self._seen}
        self._retries = {key: retry for key, retry in self._retries.items() if key in self._seen}
        now = time.monotonic()
        waiting = [
            (key, sequencer)
            for key, sequencer in self._seen.items()
            if before.get(key) == sequencer
            and (key not in self._retries or self._retries[key].at <= now)
            and not self._is_processed(key, sequencer)
        ]
        return sorted(waiting, key=lambda file: file[0] in self._done)

    def _is_processed(self, key: str, sequencer: str) -> bool:
        if self._done.get(key) == sequencer:
            return True
        event = ObjectCreated(BUCKET, key, sequencer)
        if not _is_utf8(key) or not is_processed(self._ports, event):
            return False
        if key not in self._done:  # processed before this start; files deleted in between were not reported
            self._gone |= {source.partition("/")[2] for source in stale_holders(self._ports, event.source)}
        self._done[key] = sequencer
        return True

    def _send(self, files: Sequence[tuple[str, str]]) -> None:
        for key, sequencer in files:
            if not _is_utf8(key):
                self._refuse(key, sequencer)
        files = [(key, sequencer) for key, sequencer in files if _is_utf8(key)]
        failed = self._call_handler(created_event(files), len(files))
        for number, (key, sequencer) in enumerate(files):
            if number in failed:
                wait = self._retries[key].wait if key in self._retries else _FIRST_RETRY_SECONDS
                self._retries[key] = _Retry(time.monotonic() + wait, min(2 * wait, _MAX_RETRY_SECONDS))
            else:
                self._retries.pop(key, None)
                self._done[key] = sequencer

    def _refuse(self, key: str, sequencer: str) -> None:
        """Send a file to the dead letters whose name is not UTF-8, and so cannot be a key."""
        (message,) = created_event([(key, sequencer)])["Records"]
        reason = "InvalidArgument: name: is not UTF-8"
        send_to_dead_letters(
            self._ports, DeadLetter("ingest", reason, message["body"], self._folder.place(BUCKET, key))
        )
        self._done[key] = sequencer

    def _send_gone(self, keys: Sequence[str]) -> None:
        """Report deleted files; those that fail are reported again after the next scan."""
        failed = self._call_handler(removed_event(keys), len(keys))
        self._gone -= {key for number, key in enumerate(keys) if number not in failed}

    def _call_handler(self, event: dict[str, Any], messages: int) -> frozenset[int]:
        """Send an event of that many messages; return the numbers of those that failed."""
        try:
            answer = self._handler(event, LambdaContext(self._stopped))
            return frozenset(int(failure["itemIdentifier"]) for failure in answer["batchItemFailures"])
        except Exception:  # as for a function that raises, every message comes again
            logger.exception("handler failed", extra={"operation": "ingest"})
            return frozenset(range(messages))


def created_event(files: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the event that SQS would send for created keys and their sequencers: a message each, numbered from 0."""
    stored = [{"key": _encoded(key), "sequencer": sequencer} for key, sequencer in files]
    return {"Records": [_message(number, "ObjectCreated:Put", one) for number, one in enumerate(stored)]}


def removed_event(keys: Sequence[str]) -> dict[str, Any]:
    """Return the event that SQS would send for deleted keys: a message each, numbered from 0."""
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
    """Yield the items in batches of at most ``size``."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def _is_utf8(name: str) -> bool:
    """Return whether a file's name is UTF-8, as a key must be."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
