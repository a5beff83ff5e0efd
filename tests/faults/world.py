"""Both stacks, as the state machine drives them: ports that fail, processes that end, and events that come as they like."""

from __future__ import annotations

import json
import random
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3

from lookalike.domain.application import Application
from lookalike.domain.consistency import Fault
from lookalike.handlers.process_ports import process_ports
from lookalike.handlers.purge import purge_handler
from lookalike.handlers.stream import stream_handler
from lookalike.handlers.uploads import upload_handler
from lookalike.ports import Ports
from lookalike.ports.clock import DAY_MS
from lookalike.service import consistency
from lookalike.service.mend import Mender
from lookalike.service.upload import ObjectCreated, ObjectRemoved
from lookalike.settings import Settings
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_counters import DynamoCounters
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.dynamodb_records import DynamoRecords
from lookalike.stores.aws.dynamodb_uploads import DynamoUploads
from lookalike.stores.local.local_stores import LocalStores
from tests.faults.faults import Faults
from tests.servers.dynamodb import server as dynamodb
from tests.servers.table_stream import TableStream, stream_of
from tests.support.fakes import (
    MemoryApplications,
    MemoryDeadLetters,
    MemoryIndex,
    MemoryObjects,
    MemoryOriginals,
    MemoryStaging,
    SetClock,
    TinyEmbedder,
    memory_ports,
)

ALICE = Application("alice-access", "alice-secret", "10000001", "tenant-alice", "alice")
BUCKET = "uploads"

#: Library of the uploads; pictures are their own ids there.
UPLOADED = "similar"

#: Milliseconds for which a table's stream keeps its records.
STREAM_MS = DAY_MS

ObjectEvent = ObjectCreated | ObjectRemoved


class AmpleTime:
    """A Lambda context with minutes left."""

    def get_remaining_time_in_millis(self) -> int:
        return 600_000


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found, and how much of it is left after the repair, if there was one."""

    found: dict[Fault, int]
    left: int


class World(ABC):
    """A stack: its ports, through which faults are injected, its clock, its bucket and its bucket's events."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.faults = Faults()
        self.clock = SetClock(time.time_ns() // 1_000_000)
        self.objects = MemoryObjects()
        self.letters = MemoryDeadLetters()
        self.events: list[ObjectEvent] = []  #: all that there were
        self.waiting: list[ObjectEvent] = []  #: those of them that have to come
        self.serial = 0
        self.real = self.open()
        self.ports = self.faults.wrap(self.real)
        process_ports.ports = self.ports

    @abstractmethod
    def open(self) -> Ports:
        """Return the ports of a new process."""

    @abstractmethod
    def restart(self) -> None:
        """End the process, if it has not ended, and begin another."""

    @abstractmethod
    def deliver_stream(self, limit: int) -> None:
        """Deliver some of the table's records, if there is a stream."""

    @abstractmethod
    def rewind_stream(self, count: int) -> None:
        """Have so many of the table's records delivered once more."""

    @abstractmethod
    def drain_index(self) -> None:
        """Bring the index to where the service brings it by itself, once nothing fails."""

    def close(self) -> None:
        process_ports.ports = None

    def pass_time(self, milliseconds: int) -> None:
        self.clock.now += milliseconds

    # -- the bucket ----------------------------------------------------------------------------------------------------

    def put(self, name: str, data: bytes, words: dict[str, str]) -> None:
        self.clock.now += 1
        self.serial += 1
        etag = self.objects.put(BUCKET, object_key(name), data, **words)
        self._emit(ObjectCreated(BUCKET, object_key(name), f"{self.serial:08x}", etag))

    def move(self, name: str, to: str) -> None:
        """As ``aws s3 mv`` does it: a copy, and a deletion."""
        data, words = self.objects.files[BUCKET, object_key(name)]
        self.put(to, data, dict(words))
        self.remove(name)

    def remove(self, name: str) -> None:
        del self.objects.files[BUCKET, object_key(name)]
        self._emit(ObjectRemoved(BUCKET, object_key(name)))

    def _emit(self, event: ObjectEvent) -> None:
        self.events.append(event)
        self.waiting.append(event)

    def deliver_event(self, event: ObjectEvent) -> None:
        """Deliver an object's event, first or once more; it waits on if the function says so, or ends."""
        self.clock.now += 1
        message = {"messageId": "1", "body": json.dumps({"Records": [_record(event)]})}
        answer = upload_handler()({"Records": [message]}, AmpleTime())
        if not answer["batchItemFailures"] and event in self.waiting:
            self.waiting.remove(event)

    def drain_events(self) -> None:
        """Deliver what waits, in any order, until nothing waits. Raises AssertionError if something waits for ever."""
        for _ in range(8):
            for event in self.chance.sample(self.waiting, len(self.waiting)):
                self.deliver_event(event)
            if not self.waiting:
                return
        raise AssertionError(f"they come for ever: {self.waiting}")

    # -- the operator --------------------------------------------------------------------------------------------------

    def purge(self) -> bool:
        """Purge; whether all was done."""
        return bool(purge_handler()({}, AmpleTime())["done"])

    def check(self, *, repair: bool) -> Checked:
        """Check, as of a day later, when everything may be judged."""
        later = replace(self.ports, clock=SetClock(self.clock.now + DAY_MS))
        mend = Mender(later, rate=1e9, pause=lambda _: None) if repair else None
        report = consistency.check(later, mend=mend)
        assert report.settling == 0
        return Checked(dict(report.found), report.left)


class OneMachine(World):
    """SQLite, FAISS and a folder of originals. Its index is filled at each start, and fails only with the process."""

    def __init__(self, seed: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="faults-")
        super().__init__(seed)
        self.real.applications.save_application(ALICE)

    def open(self) -> Ports:
        self._stores = LocalStores(Path(self._folder.name), TinyEmbedder())
        given = {name: getattr(self._stores, name) for name in _LOCAL}
        return memory_ports(
            **given, objects=self.objects, dead_letters=self.letters, clock=self.clock, settings=_SETTINGS
        )

    def restart(self) -> None:
        self._stores.close()
        self.faults.revive()
        self.real = self.open()
        self.ports = process_ports.ports = self.faults.wrap(self.real)

    def deliver_stream(self, limit: int) -> None:
        """There is no stream."""

    def rewind_stream(self, count: int) -> None:
        """There is no stream."""

    def drain_index(self) -> None:
        # The look-up after a lost answer has failed, too: a disk that is broken for longer than a moment.
        if self.faults.failed["index"] or self.faults.failed["catalog"] > 1:
            self.restart()

    def close(self) -> None:
        super().close()
        self._stores.close()
        self._folder.cleanup()


class Aws(World):
    """The functions' handlers on DynamoDB and its stream. Index and files are in memory, and outlive every process."""

    def __init__(self, seed: int) -> None:
        self._table = dynamodb.new_table()
        self._kept = {
            "applications": MemoryApplications(ALICE),
            "index": MemoryIndex(),
            "originals": MemoryOriginals(),
            "staged": MemoryStaging(),
        }
        super().__init__(seed)
        self.stream = TableStream(_streams(), stream_of(dynamodb.client(), self._table._name), stream_handler())

    def open(self) -> Ports:
        table = self._table
        return memory_ports(
            catalog=DynamoCatalog(table),
            maps=DynamoMaps(table),
            uploads=DynamoUploads(table),
            counters=DynamoCounters(table),
            records=DynamoRecords(table),
            **self._kept,
            objects=self.objects,
            dead_letters=self.letters,
            clock=self.clock,
            settings=_SETTINGS,
        )

    def restart(self) -> None:
        self.faults.revive()
        self.ports = process_ports.ports = self.faults.wrap(self.real)

    def deliver_stream(self, limit: int) -> None:
        self.stream.deliver(limit)

    def rewind_stream(self, count: int) -> None:
        self.stream.rewind(count)

    def drain_index(self) -> None:
        for _ in range(200):
            if self.stream.deliver():
                return
        raise AssertionError("the stream comes for ever")

    def pass_time(self, milliseconds: int) -> None:
        super().pass_time(milliseconds)
        if milliseconds >= STREAM_MS:
            self.stream.expire()

    def close(self) -> None:
        super().close()
        dynamodb.client().delete_table(TableName=self._table._name)


_SETTINGS = Settings(purge_after_days=7, log_level="CRITICAL")

_LOCAL = ("applications", "catalog", "index", "originals", "maps", "uploads", "counters", "records", "staged")


@cache
def _streams() -> Any:
    return boto3.client("dynamodbstreams", endpoint_url=dynamodb.dynamodb(), **dynamodb._ACCOUNT)


def object_key(name: str) -> str:
    return f"uploads/{ALICE.app_id}/{UPLOADED}/{name}"


def _record(event: ObjectEvent) -> dict[str, Any]:
    """The event as S3 sends it."""
    held: dict[str, Any] = {"key": quote(event.key), "size": 1}
    if isinstance(event, ObjectCreated):
        held |= {"eTag": event.etag, "sequencer": event.sequencer}
    name = "ObjectCreated:Put" if isinstance(event, ObjectCreated) else "ObjectRemoved:Delete"
    return {"eventName": name, "s3": {"bucket": {"name": event.bucket}, "object": held}}
