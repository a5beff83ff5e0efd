"""Events of uploads: whatever comes, nothing is raised, nothing loops, and each bad one says why it is dead."""

from __future__ import annotations

import copy
import io
import json
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, LibraryRef
from lookalike.domain.picture import Picture
from lookalike.domain.upload import DeadLetter
from lookalike.errors import ModelError, SettingsError, Unavailable
from lookalike.handlers.process_ports import serving
from lookalike.handlers.uploads import upload_handler
from lookalike.ports import Ports
from lookalike.service.libraries import create_library, set_capacity
from lookalike.service.upload import ObjectCreated, ObjectRemoved
from lookalike.settings import Settings
from lookalike.triggers.batch import Malformed
from lookalike.triggers.uploads import Message, ObjectEvent, answer, messages
from tests.support.examples import examples
from tests.support.fakes import MemoryCatalog, MemoryDeadLetters, MemoryObjects, memory_ports

ALICE = Application("access", "secret", "10000001", "tenant", "alice")
BUCKET, KEY = "uploads", "uploads/10000001/same_hq/a.png"
NOTHING: dict[str, Any] = {"batchItemFailures": []}


def file(number: int) -> bytes:
    """A picture for each number."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def put(key: str = KEY, sequencer: str = "1", **given: Any) -> dict[str, Any]:
    """A record of S3, its key as S3 writes it."""
    stored = {"key": quote_plus(key, safe="/"), "sequencer": sequencer, "size": 1, **given}
    return {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": stored}}


def sqs(*bodies: Any) -> dict[str, Any]:
    """An event of SQS: a message for each body, numbered from 0."""
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    return {"Records": [{"messageId": str(number), "body": text} for number, text in enumerate(texts)]}


def s3(*records: Any) -> dict[str, Any]:
    """A notice of S3."""
    return {"Records": list(records)}


def commands(event: Any) -> list[Any]:
    """The puts in an event in which nothing is garbled."""
    items = [item for message in messages(event) for item in message.items]
    assert all(isinstance(item, ObjectEvent) for item in items)
    return [item.command for item in items if isinstance(item, ObjectEvent)]


class World:
    """Stores in memory."""

    def __init__(self, **overrides: Any) -> None:
        self.objects, self.letters, self.catalog = MemoryObjects(), MemoryDeadLetters(), MemoryCatalog()
        chosen = {"objects": self.objects, "dead_letters": self.letters, "catalog": self.catalog, **overrides}
        self.ports: Ports = memory_ports(ALICE, **chosen)

    def answer(self, event: Any) -> dict[str, Any]:
        return answer(self.ports, event, lambda: True)

    def reasons(self) -> list[str]:
        return [letter.reason for letter in self.letters.letters]


@pytest.fixture
def world() -> World:
    return World()


# -- Reading -----------------------------------------------------------------------------------------------------------


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200),
    st.text("0123456789ABCDEFabcdef", min_size=1, max_size=64),
)
def test_every_key_comes_back_as_it_was(name: str, sequencer: str) -> None:
    key = f"uploads/1/l/{name}x"
    for written in (quote_plus(key), quote_plus(key, safe="/")):
        record = put(sequencer=sequencer)
        record["s3"]["object"]["key"] = written
        assert commands(sqs(s3(record))) == [ObjectCreated(BUCKET, key, sequencer)]


def test_keys_are_read_as_emulators_and_s3_write_them() -> None:
    for written in ("in%2Fg+1%2F%C3%A9%2B.jpg", "in/g%201/%C3%A9%2B.jpg"):
        record = put()
        record["s3"]["object"]["key"] = written
        assert [command.key for command in commands(sqs(s3(record)))] == ["in/g 1/é+.jpg"]


@pytest.mark.parametrize(
    ("given", "etag"), [({"eTag": "ab"}, "ab"), ({"eTag": '"ab"'}, "ab"), ({"eTag": ""}, None), ({}, None)]
)
def test_the_etag_is_read(given: dict[str, str], etag: str | None) -> None:
    assert [command.etag for command in commands(sqs(s3(put(**given))))] == [etag]


@pytest.mark.parametrize(
    "body",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"},
        {"Records": []},
        s3(put() | {"eventName": "ObjectTagging:Put"}),
        s3(put("uploads/1/l/", size=0)),
    ],
)
def test_test_events_and_folders_are_nothing(world: World, body: Any) -> None:
    assert commands(sqs(body)) == []
    assert world.answer(sqs(body)) == NOTHING
    assert world.reasons() == []


@pytest.mark.parametrize("name", ["ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated"])
def test_a_deletion_leaves_the_picture_and_is_heard_of(world: World, name: str) -> None:
    world.objects.put(BUCKET, KEY, file(1))
    world.answer(sqs(s3(put())))
    world.objects.files.clear()
    event = sqs(s3(put(sequencer="2") | {"eventName": name}))
    assert commands(event) == [ObjectRemoved(BUCKET, KEY)]
    assert world.answer(event) == NOTHING
    assert [row.live for row in world.catalog.rows.values()] == [True]


def test_without_a_sequencer_the_time_orders_events() -> None:
    times = ["2026-11-21T10:00:00.001Z", "2026-11-21T10:00:00.002Z", "2026-11-21T11:00:01.000Z"]
    records = [put(sequencer="") | {"eventTime": moment} for moment in times]
    sequencers = [command.sequencer for command in commands(sqs(s3(*records)))]
    assert sequencers == sorted(set(sequencers))


def test_names_of_events_may_have_their_prefix() -> None:
    assert len(commands(sqs(s3(put() | {"eventName": "s3:ObjectCreated:CompleteMultipartUpload"})))) == 1


def test_several_records_in_several_messages_keep_their_order() -> None:
    event = sqs(s3(put(sequencer="1"), put(sequencer="2")), s3(put(sequencer="3")))
    found = messages(event)
    assert [message.id for message in found] == ["0", "1"]
    assert [command.sequencer for command in commands(event)] == ["1", "2", "3"]


GARBLED_BODIES = [
    "",
    "no json",
    "null",
    "7",
    '"text"',
    "[]",
    "{}",
    "{" * 100_000,
    "[" * 100_000,
    '{"Records": {}}',
    '{"Records": "x"}',
    '{"Records": [null]}',
    '{"Records": [7, "x", []]}',
    '{"Records": [{"eventName": 7}]}',
    '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
    '{"Records": [{"eventName": "ObjectCreated:Put", "s3": null}]}',
    json.dumps(s3(put(key="a\0b"))),
    json.dumps(s3(put(key=""))),
    *(
        json.dumps(s3(put() | {"s3": put()["s3"] | {"bucket": {"name": name}}}))
        for name in ("", "A b/c", "ab", "a" * 256, "a..b", ".abc", "abc\n", "arn:aws:s3:::uploads", "http://uploads")
    ),
    json.dumps(s3(put(key="é" * 513))),
    json.dumps(s3(put(sequencer=""))),
    json.dumps(s3(put(sequencer="xyz"))),
    json.dumps(s3(put(sequencer="1" * 65))),
    json.dumps(s3(put(sequencer="") | {"eventTime": "0001-01-01T00:00:00+23:59"})),
    json.dumps(s3(put(sequencer="") | {"eventTime": "now"})),
    json.dumps(s3(put(eTag=7))),
    json.dumps(s3({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": 7}, "object": put()["s3"]["object"]}})),
    json.dumps(
        s3(
            {
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "bucket"}, "object": {"key": "%FF", "sequencer": "1"}},
            }
        )
    ),
    json.dumps(
        s3(
            {
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "bucket"}, "object": {"key": "\ud800", "sequencer": "1"}},
            }
        )
    ),
    json.dumps(
        s3(
            {
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "bucket"}, "object": {"key": 7, "sequencer": "1"}},
            }
        )
    ),
    json.dumps(
        s3(
            {
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "bucket"}, "object": {"key": "a", "sequencer": 7}},
            }
        )
    ),
]


@pytest.mark.parametrize("body", GARBLED_BODIES, ids=range(len(GARBLED_BODIES)))
def test_a_garbled_message_ends_in_the_dead_letters_beside_others_that_are_done(world: World, body: str) -> None:
    world.objects.put(BUCKET, KEY, file(1))
    assert world.answer(sqs(body, s3(put()))) == NOTHING
    assert world.letters.letters
    assert (
        all(letter.operation == "ingest" and letter.reason and letter.body for letter in world.letters.letters)
        or not body
    )
    assert len(world.catalog.rows) == 1


@pytest.mark.parametrize(
    "event",
    [
        None,
        7,
        [],
        {},
        {"Records": None},
        {"Records": {}},
        {"detail": {}},
        {"Records": [None]},
        {"Records": [{"messageId": 1, "body": "{}"}]},
        {"Records": [{"messageId": "1"}]},
    ],
)
def test_an_event_of_anything_else_is_a_dead_letter(world: World, event: Any) -> None:
    assert world.answer(event) == NOTHING
    assert len(world.reasons()) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=examples(200))
@given(st.data())
def test_whatever_is_wrong_in_an_event_it_is_read(data: st.DataObject) -> None:
    event = json.loads(json.dumps(sqs(s3(put(eTag="ab")))))
    notice = json.loads(event["Records"][0]["body"])
    notice = _spoilt(data, notice)
    event["Records"][0]["body"] = json.dumps(notice)
    event = _spoilt(data, event) if data.draw(st.booleans()) else event
    for message in messages(event):
        assert isinstance(message, Message)
        assert all(isinstance(item, ObjectEvent | Malformed) for item in message.items)
    assert World().answer(event) == NOTHING


def _spoilt(data: st.DataObject, value: Any) -> Any:
    """The value with one thing in it replaced by anything."""
    if isinstance(value, dict | list) and value and data.draw(st.booleans()):
        changed = copy.copy(value)
        place = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        changed[place] = _spoilt(data, value[place])
        return changed
    return data.draw(json_values)


# -- What becomes of it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "data", "reason"),
    [
        (KEY, b"no picture", "NotAPicture: "),
        (KEY, b"", "EmptyPicture: "),
        ("somewhere/a.png", file(1), "InvalidArgument: key: is not uploads/<app id>/<library>/<name>"),
        (
            "uploads/20000001/same_hq/a.png",
            file(1),
            "ApplicationNotFound: application: no application has the app id 20000001",
        ),
        ("uploads/10000001/none/a.png", file(1), "LibraryNotFound: group: the tenant has none called none"),
    ],
)
def test_what_never_will_succeed_is_a_dead_letter_that_can_be_sent_again(
    world: World, key: str, data: bytes, reason: str, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    world.objects.put(BUCKET, key, data)
    world.objects.put(BUCKET, "uploads/10000001/similar/good.png", file(2))
    event = sqs(s3(put(key), put("uploads/10000001/similar/good.png")))
    assert world.answer(event) == NOTHING
    assert len(world.catalog.rows) == 1
    (letter,) = world.letters.letters
    assert letter.reason.startswith(reason)
    assert commands(sqs(letter.body)) == [ObjectCreated(BUCKET, key, "1")]
    (line,) = [line for line in log_lines() if line["message"] == "dead letter"]
    assert line["reason"] == letter.reason


def test_a_dead_letter_sent_again_once_its_library_is_there_is_added(world: World) -> None:
    key = "uploads/20000001/similar/a.png"
    world.objects.put(BUCKET, key, file(1))
    world.answer(sqs(s3(put(key))))
    world.ports.applications.save_application(Application("other", "secret", "20000001", "tenant-2", "later"))
    (letter,) = world.letters.letters
    assert world.answer(sqs(letter.body)) == NOTHING
    assert len(world.catalog.rows) == 1


def test_a_library_that_is_full_takes_no_upload_and_the_letter_says_so(world: World) -> None:
    ref = LibraryRef(ALICE.tenant, "small", Kind.SAME, Identity.OWN)
    library = create_library(world.ports, ref, capacity=1)
    for number in range(2):
        world.objects.put(BUCKET, f"uploads/{ALICE.app_id}/small/{number}.png", file(number))
    records = [s3(put(f"uploads/{ALICE.app_id}/small/{number}.png")) for number in range(2)]
    assert world.answer(sqs(*records)) == NOTHING
    (letter,) = world.letters.letters
    assert letter.reason.startswith("LibraryFull: group: small is full")
    set_capacity(world.ports, ALICE.tenant, "small", 2)
    assert world.answer(sqs(letter.body)) == NOTHING
    assert len(world.catalog.pictures(library.uid, None, 9)) == 2


def test_200_mb_are_refused_unread(world: World) -> None:
    world.objects.put(BUCKET, KEY, file(1))
    world.objects.sizes[BUCKET, KEY] = 200 * 1024 * 1024
    assert world.answer(sqs(s3(put()))) == NOTHING
    assert world.reasons() == ["PictureSizeError: picture: 209715200 bytes, more than 33554432"]
    assert world.objects.read_keys == []


def test_an_object_that_is_gone_is_done(world: World, log_lines: Callable[[], list[dict[str, Any]]]) -> None:
    assert world.answer(sqs(s3(put()))) == NOTHING
    assert world.reasons() == []
    assert [(line["outcome"], line["source"]) for line in log_lines()] == [("gone", f"{BUCKET}/{KEY}")]


class Failing(MemoryCatalog):
    """Cannot put, in the way it is told."""

    error: Exception | None = None

    def put(self, picture: Picture, previous: int | None) -> None:
        if self.error is not None:
            raise self.error
        super().put(picture, previous)


@pytest.mark.parametrize(
    "error",
    [Unavailable("no answer"), RuntimeError("a fault of ours"), ModelError("cannot be used"), SettingsError("not set")],
)
def test_what_may_succeed_later_comes_again_and_the_rest_is_done(error: Exception) -> None:
    catalog = Failing()
    world = World(catalog=catalog)
    other = "uploads/10000001/similar/b.png"
    world.objects.put(BUCKET, KEY, file(1))
    world.objects.put(BUCKET, other, b"no picture")
    catalog.error = error
    event = sqs("garbled", s3(put(), put(other)), s3(put(other, sequencer="2")))
    assert world.answer(event) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert len(world.reasons()) == 3
    catalog.error = None
    assert world.answer({"Records": event["Records"][1:2]}) == NOTHING
    assert len(catalog.rows) == 1
    assert len(world.reasons()) == 3


class Full(MemoryDeadLetters):
    """Takes no letters."""

    def send(self, letter: DeadLetter) -> None:
        raise Unavailable("no answer")


def test_what_cannot_be_buried_comes_again() -> None:
    world = World(dead_letters=Full())
    assert world.answer(sqs("garbled", s3(put()))) == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert world.answer({}) == {"batchItemFailures": [{"itemIdentifier": ""}]}  # which is all of it, to Lambda


def test_when_time_runs_short_messages_not_begun_come_again(world: World) -> None:
    world.objects.put(BUCKET, KEY, file(1))
    event = sqs(*(s3(put(sequencer=str(number))) for number in range(1, 4)))
    left = iter([True, False])
    answered = answer(world.ports, event, lambda: next(left))
    assert answered == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert len(answer(world.ports, event, lambda: False)["batchItemFailures"]) == 2


def test_events_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(settings=Settings(metrics=True))
    world.objects.put(BUCKET, KEY, file(1))
    world.answer(sqs(s3(put()), "garbled"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    outcomes = [line["outcome"] for line in lines if "Events" in line]
    assert outcomes == ["added", "Garbled"]
    assert [line["DeadLetters"] for line in lines if "DeadLetters" in line] == [[1.0]]
    assert not [line for line in lines if "Failures" in line], "a dead letter is settled"


def test_what_comes_again_is_counted_as_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(settings=Settings(metrics=True), dead_letters=Full())
    world.answer(sqs("garbled"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["trigger"], line["Failures"]) for line in lines if "Failures" in line] == [("ingest", [1])]


class Waiting(MemoryCatalog):
    """Holds every put until another has come, so that two events are in the middle of it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.both = threading.Barrier(2)

    def put(self, picture: Picture, previous: int | None) -> None:
        self.both.wait(30)
        super().put(picture, previous)


def test_two_events_at_once_through_one_handler_keep_apart() -> None:
    bob = Application("access-bob", "secret", "10000002", "tenant-bob", "bob")
    objects, catalog = MemoryObjects(), Waiting()
    ports = memory_ports(ALICE, bob, objects=objects, catalog=catalog)
    handler = upload_handler()
    keys = [f"uploads/{application.app_id}/similar/a.png" for application in (ALICE, bob)]
    for number, key in enumerate(keys):
        objects.put(BUCKET, key, file(number), brief=key)
    with serving(ports):
        threads = [threading.Thread(target=handler, args=(sqs(s3(put(key))), Plenty())) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for application, key in zip((ALICE, bob), keys, strict=True):
        library = catalog.library(application.tenant, "similar")
        assert library is not None
        assert [row.metadata.brief for row in catalog.rows.values() if row.key.library == library.uid] == [key]


class Plenty:
    """A context with time left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000
