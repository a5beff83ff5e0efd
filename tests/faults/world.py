"""Both stacks, as the state machine drives them: ports that fail, processes that end, and events that come as they like."""

from __future__ import annotations

import json
import random
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock
from urllib.parse import quote

import boto3

from lookalike.bootstrap import MODELS_SECONDS
from lookalike.domain.application import Application
from lookalike.domain.consistency import Fault
from lookalike.domain.model_change import ModelRef, Phase
from lookalike.embedding.kept_models import KeptModels
from lookalike.errors import LookalikeError
from lookalike.handlers.process_ports import process_ports
from lookalike.handlers.purge import purge_handler
from lookalike.handlers.stream import stream_handler
from lookalike.handlers.uploads import upload_handler
from lookalike.ports import Embedder, Ports, Stores, Verifier
from lookalike.ports.clock import DAY_MS
from lookalike.server.model_changes import SETTLE_SECONDS, SETTLE_SECONDS_AWS
from lookalike.service import consistency, libraries, model_fill
from lookalike.service.mend import Mender
from lookalike.service.model_change import back, begin, switch
from lookalike.service.model_drop import drop
from lookalike.service.model_fill import Watch, fill
from lookalike.service.model_view import current
from lookalike.service.second_model_check import with_second_model
from lookalike.service.upload import ObjectCreated, ObjectRemoved
from lookalike.settings import Settings
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_counters import DynamoCounters
from lookalike.stores.aws.dynamodb_embeddings import DynamoEmbeddings
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
    MemoryIndices,
    MemoryObjects,
    MemoryOriginals,
    MemoryStaging,
    OtherEmbedder,
    SetClock,
    TinyEmbedder,
    TinyVerifier,
    memory_ports,
)

ALICE = Application("alice-access", "alice-secret", "10000001", "tenant-alice", "alice")
BUCKET = "uploads"

#: Library of the uploads; pictures are their own ids there.
UPLOADED = "similar"

#: Models by name, the first of which is configured.
EMBEDDERS: Mapping[str, Embedder] = {"tiny": TinyEmbedder(), "new": OtherEmbedder()}
REFS = {name: ModelRef(name, card * 16, f"graph of {name}") for card, name in zip("01", EMBEDDERS, strict=True)}

#: When every run begins, so that the same calls are made each time it is repeated: in 2100, when all files are old.
BEGIN_MS = 4_102_444_800_000

#: Milliseconds for which a table's stream keeps its records.
STREAM_MS = DAY_MS

ObjectEvent = ObjectCreated | ObjectRemoved

#: A step of a change of models, and what does it.
_Step = tuple[str, Callable[[], object]]


class AmpleTime:
    """A Lambda context with minutes left."""

    def get_remaining_time_in_millis(self) -> int:
        return 600_000


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found, and how much of it is left after the repair, if there was one."""

    found: dict[Fault, int]
    left: int


class TinyModels(KeptModels):
    """Two models without files, the first of which is configured; a process remembers those in use for ``seconds``."""

    def __init__(self, faults: Faults, stores: Callable[[], Stores], seconds: float, clock: SetClock) -> None:
        verifier = TinyVerifier()
        opened = [faults.wrap_model(embedder, verifier) for embedder in EMBEDDERS.values()]
        self._models = {name: (one["embedder"], one["verifier"]) for name, one in zip(EMBEDDERS, opened, strict=True)}
        super().__init__((None, *self._models["tiny"]), 1, stores, seconds, lambda: clock() / 1000)

    def configured(self) -> ModelRef:
        return REFS["tiny"]

    def configured_files(self) -> Mapping[str, bytes]:
        return {"model.onnx": b"graph", "codebooks.npz": b"books", "card.json": b"{}"}

    def opened(self, ref: ModelRef) -> tuple[Embedder, Verifier]:
        return self._models[ref.name]


class SeededSecrets:
    """Uids of libraries, in whose order stores are read: the same ones whenever a run is repeated."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def token_hex(self, count: int) -> str:
        return self._chance.randbytes(count).hex()


class FirstIndex:
    """The index of the configured model, as it is when it is asked: one that was dropped may have been made anew."""

    def __init__(self, indices: Any) -> None:
        self._indices = indices

    def __getattr__(self, name: str) -> Any:
        return getattr(self._indices.of(EMBEDDERS["tiny"]), name)


class AtOnce:
    """A pool that does its work where it is asked to, so that the same happens every time."""

    def __init__(self, *_given: Any, **_options: Any) -> None:
        """Without threads, there is nothing to be made."""

    def __enter__(self) -> AtOnce:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing is left to be done."""

    def submit(self, do: Callable[..., Any], *given: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(do(*given))
        return done


class World(ABC):
    """A stack: its ports, through which faults are injected, its clock, its bucket and its bucket's events."""

    #: Seconds for which a process remembers the models in use, and after which all processes know of a change.
    remembers: ClassVar[float]
    settles: ClassVar[float]

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self._named = mock.patch.object(libraries, "secrets", SeededSecrets(self.chance))
        self._named.start()
        self.faults = Faults()
        self.clock = SetClock(BEGIN_MS)
        self.objects = MemoryObjects()
        self.letters = MemoryDeadLetters()
        self.events: list[ObjectEvent] = []  #: all that there were
        self.waiting: list[ObjectEvent] = []  #: those of them that have to come
        self.serial = 0
        self.real = self.open()
        self._begin()

    def _begin(self) -> None:
        """Begin a process."""
        self.ports = process_ports.ports = self.process()

    def process(self) -> Ports:
        """Return the ports of a process that has just begun, on the stores that there are."""
        ports = self.faults.wrap(self.real)
        return replace(ports, models=TinyModels(self.faults, lambda: ports.stores, self.remembers, self.clock))

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
        self._named.stop()

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
        try:
            answer = upload_handler()({"Records": [message]}, AmpleTime())
        except LookalikeError:  # the queue delivers it again
            return
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

    @abstractmethod
    def operator(self) -> Ports:
        """Return the ports of the process that does what an operator asks for."""

    def change_models(self, *, forward: bool) -> str:
        """Do the next step of a change of models, or give it up; return the step."""
        ports, watch = self.operator(), Watch(pause=lambda seconds: self.pass_time(round(1000 * seconds)))
        models = self.real.stores.embeddings.models()
        phase = None if models is None else models.phase
        ways: Mapping[Phase, _Step] = {
            Phase.FILLING: ("fill", lambda: fill(ports, self.settles, watch)),
            Phase.FILLED: ("switch", lambda: switch(ports, watch)),
            Phase.RETIRED: ("back", lambda: back(ports)),
        }
        if phase is None:
            live = "tiny" if models is None else models.live.name
            other = next(ref for name, ref in REFS.items() if name != live)
            way: _Step = "begin", lambda: begin(ports, other, rate=1e9)
        elif phase is Phase.DROPPING or not forward:
            way = "drop", lambda: drop(ports, self.settles, watch)
        else:
            way = ways[phase]
        step, do = way
        with mock.patch.object(model_fill, "ThreadPoolExecutor", AtOnce):
            do()
        return step

    def check(self, *, repair: bool) -> Checked:
        """Check, as of a day later, when everything may be judged."""
        later = current(replace(self.operator(), clock=SetClock(self.clock.now + DAY_MS)))
        mend = Mender(later, rate=1e9, pause=lambda _: None) if repair else None
        report = with_second_model(later, consistency.check(later, mend=mend), repair=repair)
        assert report.settling == 0
        return Checked(dict(report.found), report.left)


class OneMachine(World):
    """SQLite, FAISS and a folder of originals. Its index is filled at each start, and fails only with the process."""

    remembers, settles = 0.0, SETTLE_SECONDS

    def __init__(self, seed: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="faults-")
        super().__init__(seed)
        self.real.applications.save_application(ALICE)

    def open(self) -> Ports:
        self._stores = LocalStores(Path(self._folder.name), TinyEmbedder())
        given = {name: getattr(self._stores, name) for name in _LOCAL}
        given["index"] = FirstIndex(self._stores.indices)
        return memory_ports(
            **given, objects=self.objects, dead_letters=self.letters, clock=self.clock, settings=_SETTINGS
        )

    def restart(self) -> None:
        self._stores.close()
        self.faults.revive()
        self.real = self.open()
        self._begin()

    def operator(self) -> Ports:
        """The server does it."""
        return self.ports

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

    remembers, settles = MODELS_SECONDS, SETTLE_SECONDS_AWS

    def __init__(self, seed: int) -> None:
        self._table = dynamodb.new_table()
        indices = MemoryIndices()
        self._kept = {
            "applications": MemoryApplications(ALICE),
            "index": FirstIndex(indices),
            "indices": indices,
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
            embeddings=DynamoEmbeddings(table),
            **self._kept,
            objects=self.objects,
            dead_letters=self.letters,
            clock=self.clock,
            settings=_SETTINGS,
        )

    def restart(self) -> None:
        self.faults.revive()
        self._begin()

    def operator(self) -> Ports:
        """A command does it, in a process of its own."""
        return self.process()

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

_LOCAL = (
    "applications",
    "catalog",
    "indices",
    "originals",
    "maps",
    "uploads",
    "counters",
    "records",
    "embeddings",
    "model_files",
    "staged",
)


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
