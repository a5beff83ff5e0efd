"""What every place for dead letters must do."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lookalike.domain.upload import DeadLetter
from lookalike.errors import Unavailable
from lookalike.ports import DeadLetters
from lookalike.stores.aws.sqs_dead_letters import SqsDeadLetters
from lookalike.stores.local.dead_letter_file import FileDeadLetters
from tests.support.emulated import aws
from tests.support.fakes import MemoryDeadLetters


@dataclass(frozen=True, slots=True)
class Place:
    """A store, and what an operator reads there."""

    store: DeadLetters
    read: Callable[[], Sequence[DeadLetter]]


@contextmanager
def sqs(_folder: Path) -> Iterator[Place]:
    with aws() as make:
        client = make("sqs")
        url = client.create_queue(QueueName="dead")["QueueUrl"]

        def read() -> Sequence[DeadLetter]:
            answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            return [
                DeadLetter(
                    message["MessageAttributes"]["operation"]["StringValue"],
                    message["MessageAttributes"]["reason"]["StringValue"],
                    message["Body"],
                    message["MessageAttributes"].get("file", {}).get("StringValue", ""),
                )
                for message in answer.get("Messages", [])
            ]

        yield Place(SqsDeadLetters(client, url), read)


@contextmanager
def file(folder: Path) -> Iterator[Place]:
    path = folder / "dead-letters.jsonl"

    def read() -> Sequence[DeadLetter]:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert all(line.pop("time") == 7 for line in lines)
        return [DeadLetter(**line) for line in lines]

    yield Place(FileDeadLetters(path, lambda: 7), read)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@contextmanager
def memory(_folder: Path) -> Iterator[Place]:
    store = MemoryDeadLetters()
    yield Place(store, lambda: store.letters)


PLACES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {"sqs": sqs, "file": file, "memory": memory}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with PLACES[request.param](tmp_path) as opened:
        yield opened


def test_letters_can_be_read_and_sent_again(place: Place) -> None:
    letters = [
        DeadLetter("ingest", "NotAPicture: broken 猫", '{"Records": [{"a": "é\\u0000"}]}'),
        DeadLetter("index", "refused", "line\nline"),
        DeadLetter("ingest", "too large", "{}", "/srv/pictures/1/similar/猫 1.jpg"),
    ]
    for letter in letters:
        place.store.send(letter)
    assert sorted(place.read(), key=lambda letter: letter.reason) == letters


def test_letters_that_no_queue_takes_as_they_are_are_kept_all_the_same(place: Place) -> None:
    place.store.send(DeadLetter("ingest", "\0\x1f" + "x" * 5000, ""))
    place.store.send(DeadLetter("ingest", "", "\ud800\0"))
    assert len(place.read()) == 2


def test_a_queue_that_is_not_there_is_unavailable() -> None:
    with aws() as make, pytest.raises(Unavailable, match="SQS"):
        SqsDeadLetters(make("sqs"), "https://sqs.us-east-1.amazonaws.com/123456789012/none").send(
            DeadLetter("ingest", "reason", "body")
        )


def test_a_file_holds_every_letter_once(tmp_path: Path) -> None:
    path = tmp_path / "letters"
    letters = [DeadLetter("ingest", reason, body) for reason in ("a", "b\ud800") for body in ("1", "2")]
    for _ in range(2):  # as after a restart
        store = FileDeadLetters(path, lambda: 7)
        for letter in letters * 2:
            store.send(letter)
    assert len(path.read_text().splitlines()) == len(letters)
    path.write_text('no JSON\n[]\n{"operation": []}\n' + "[" * 9999 + "\n")  # what comes to an operator's mind
    store.send(letters[0])
    assert len(path.read_text().splitlines()) == 5
    path.unlink()
    for _ in range(2):
        store.send(letters[0])
    assert len(path.read_text().splitlines()) == 1


def test_a_file_is_named_plainly_and_not_said_twice_over_a_new_version(tmp_path: Path) -> None:
    path = tmp_path / "letters"
    path.write_text('{"time": 1, "operation": "ingest", "reason": "r", "body": "b"}\n')
    store = FileDeadLetters(path, lambda: 7)
    store.send(DeadLetter("ingest", "r", "b", "/srv/a.jpg"))  # as the version before has said it, without the file
    store.send(DeadLetter("ingest", "r", "c", "/srv/a.jpg"))
    (_, line) = path.read_text().splitlines()
    assert line.startswith('{"time": 7, "operation": "ingest", "reason": "r", "file": "/srv/a.jpg", ')


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        FileDeadLetters(tmp_path / "none/letters", lambda: 7).send(DeadLetter("ingest", "reason", "body"))
