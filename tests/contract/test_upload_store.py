"""What every place that uploads lie in must do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from lookalike.adapters.s3 import CONFIG, S3Uploads
from lookalike.adapters.watched import WatchedFolder
from lookalike.errors import InvalidArgument
from lookalike.ports import UploadStore
from tests.emulated import aws
from tests.fakes import MemoryObjects

BUCKET = "uploads"
KEY = "uploads/10000001/similar/a b+c/é猫🐈%2F.jpg"


@dataclass(frozen=True, slots=True)
class Place:
    """A store, and how somebody else puts an object into it."""

    store: UploadStore
    put: Callable[..., object]
    delete: Callable[[str], object]


@contextmanager
def s3(_folder: Path) -> Iterator[Place]:
    with aws() as make:
        client = make("s3", config=CONFIG)
        client.create_bucket(Bucket=BUCKET)

        def put(key: str, data: bytes, **words: str) -> None:
            metadata = {name: quote(word) for name, word in words.items()}
            client.put_object(Bucket=BUCKET, Key=key, Body=data, Metadata=metadata)

        yield Place(S3Uploads(client), put, lambda key: client.delete_object(Bucket=BUCKET, Key=key))


@contextmanager
def watched(folder: Path) -> Iterator[Place]:
    def put(key: str, data: bytes, **words: str) -> None:
        path = folder / key.removeprefix("uploads/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.with_name(f"{path.name}.json").write_text(json.dumps(words))

    yield Place(WatchedFolder(folder), put, lambda key: (folder / key.removeprefix("uploads/")).unlink())


@contextmanager
def memory(_folder: Path) -> Iterator[Place]:
    objects = MemoryObjects()
    yield Place(
        objects,
        lambda key, data, **words: objects.put(BUCKET, key, data, **words),
        lambda key: objects.files.pop((BUCKET, key)),
    )


PLACES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {"s3": s3, "watched": watched, "memory": memory}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with PLACES[request.param](tmp_path) as opened:
        yield opened


def etag(place: Place, key: str = KEY) -> str:
    found = place.store.head(BUCKET, key)
    assert found is not None
    return found.etag


def test_what_is_not_there_is_none(place: Place) -> None:
    assert place.store.head(BUCKET, KEY) is None
    assert place.store.read(BUCKET, KEY, "0" * 32) is None
    place.store.remove(BUCKET, KEY, "0" * 32)


def test_an_object_is_seen_and_read(place: Place) -> None:
    place.put(KEY, b"picture", brief="书 100% \u00e9", tags="1,2")
    found = place.store.head(BUCKET, KEY)
    assert found is not None
    assert (found.size, dict(found.words)) == (7, {"brief": "书 100% \u00e9", "tags": "1,2"})
    assert place.store.read(BUCKET, KEY, found.etag) == b"picture"


def test_an_object_without_words_has_none(place: Place) -> None:
    place.put(KEY, b"")
    found = place.store.head(BUCKET, KEY)
    assert found is not None
    assert (found.size, dict(found.words)) == (0, {})


def test_another_object_in_its_place_is_not_read_for_it(place: Place) -> None:
    place.put(KEY, b"first")
    first = etag(place)
    place.put(KEY, b"other")
    assert etag(place) != first
    assert place.store.read(BUCKET, KEY, first) is None
    assert place.store.read(BUCKET, KEY, etag(place)) == b"other"


def test_an_object_that_is_removed_is_gone(place: Place) -> None:
    place.put(KEY, b"first")
    found = etag(place)
    place.store.remove(BUCKET, KEY, found)
    assert place.store.head(BUCKET, KEY) is None
    place.store.remove(BUCKET, KEY, found)


def test_an_object_deleted_by_somebody_else_is_gone(place: Place) -> None:
    place.put(KEY, b"first")
    found = etag(place)
    place.delete(KEY)
    assert place.store.read(BUCKET, KEY, found) is None


@pytest.mark.parametrize(
    "key",
    [
        "uploads/1/l/../../../../../etc/passwd",
        "uploads/../../etc/passwd",
        "uploads//etc/passwd",
        "uploads/1/l/" + "x" * 1000,
        "uploads/1/l/a\nb",
        "elsewhere/1/l/a.jpg",
    ],
)
def test_hostile_keys_of_things_that_are_not_there_are_none(place: Place, key: str) -> None:
    assert place.store.head(BUCKET, key) is None
    assert place.store.read(BUCKET, key, "0") is None
    place.store.remove(BUCKET, key, "0")


@pytest.mark.parametrize("key", ["../../secret", "../secret", "1/../../secret", "1/l/../../../secret"])
def test_a_watched_folder_ends_at_its_root(tmp_path: Path, key: str) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "in/deep").mkdir(parents=True)
    folder = WatchedFolder(tmp_path / "in/deep")
    assert folder.head("watch", f"uploads/{key}") is None


@pytest.mark.parametrize("text", ["[1]", "{", '"x"', "\xff", "[" * 100_000, "1" * 5000])
def test_words_beside_a_file_that_cannot_be_read_are_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "1/l").mkdir(parents=True)
    (tmp_path / "1/l/a.jpg").write_bytes(b"x")
    (tmp_path / "1/l/a.jpg.json").write_text(text, "latin-1")
    with pytest.raises(InvalidArgument, match=r"a\.jpg\.json"):
        WatchedFolder(tmp_path).head("watch", "uploads/1/l/a.jpg")


def test_words_beside_a_file_may_be_json_of_any_kind(tmp_path: Path) -> None:
    (tmp_path / "1/l").mkdir(parents=True)
    (tmp_path / "1/l/a.jpg").write_bytes(b"x")
    said = {"Brief": "b", "tags": [1, "2"], "label": None, "desc": {"a": [1, "é"]}}
    (tmp_path / "1/l/a.jpg.json").write_text(json.dumps(said))
    found = WatchedFolder(tmp_path).head("watch", "uploads/1/l/a.jpg")
    assert found is not None
    assert found.words == {"brief": "b", "tags": "1,2", "desc": '{"a": [1, "é"]}'}


def test_the_keys_of_a_folder_are_its_plain_files(tmp_path: Path) -> None:
    for name in ("1/l/b.jpg", "1/l/a b/é.png", "1/l/.hidden.jpg", "1/.l/c.jpg", "1/l/b.jpg.json", "top.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "1/l/link.jpg").symlink_to(tmp_path / "nowhere")
    found = dict(WatchedFolder(tmp_path).keys())
    assert list(found) == ["uploads/top.jpg", "uploads/1/l/b.jpg", "uploads/1/l/a b/é.png"]
    assert all(len(sequencer) == 16 for sequencer in found.values())
    assert list(WatchedFolder(None).keys()) == []


def test_a_sequencer_grows_when_an_older_file_takes_the_place(tmp_path: Path) -> None:
    (tmp_path / "1/l").mkdir(parents=True)
    (tmp_path / "1/l/a.jpg").write_bytes(b"x")
    ((_, before),) = WatchedFolder(tmp_path).keys()
    (tmp_path / "new").write_bytes(b"y")
    os.utime(tmp_path / "new", (1, 1))
    (tmp_path / "new").rename(tmp_path / "1/l/a.jpg")
    ((_, after),) = WatchedFolder(tmp_path).keys()
    assert after > before
    (tmp_path / "1/l/a.jpg.json").write_text("{}")
    ((_, said),) = WatchedFolder(tmp_path).keys()
    assert said > after
