"""What every place that uploads lie in must do."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lookalike.errors import InvalidArgument, Unavailable
from lookalike.ports import UploadStore
from lookalike.stores.aws.s3_objects import CONFIG, S3Uploads
from lookalike.stores.local.watched_folder import WatchedFolder
from tests.support.emulated import aws
from tests.support.fakes import MemoryObjects

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
    assert (found.size, dict(found.user_metadata)) == (7, {"brief": "书 100% \u00e9", "tags": "1,2"})
    assert place.store.read(BUCKET, KEY, found.etag) == b"picture"


def test_an_object_without_words_has_none(place: Place) -> None:
    place.put(KEY, b"")
    found = place.store.head(BUCKET, KEY)
    assert found is not None
    assert (found.size, dict(found.user_metadata)) == (0, {})


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
    assert found.user_metadata == {"brief": "b", "tags": "1,2", "desc": '{"a": [1, "é"]}'}


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


# -- Links, and what is nobody's picture -------------------------------------------------------------------------------


def plant(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def keys(root: Path) -> list[str]:
    """The files below an application's library that are seen."""
    return [key.removeprefix("uploads/1/l/") for key in dict(WatchedFolder(root).keys())]


def link(root: Path, name: str, target: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).symlink_to(target)


@pytest.mark.parametrize("target", ["../../../secret", "../../2/l/a.jpg", "../../top.jpg", "nowhere", "x.jpg", "."])
def test_a_link_out_of_the_applications_folder_is_not_there(tmp_path: Path, target: str) -> None:
    root = tmp_path / "root"
    plant(tmp_path, "secret", "root/2/l/a.jpg", "root/top.jpg")
    link(root, "1/l/x.jpg", target)
    folder = WatchedFolder(root)
    assert "uploads/1/l/x.jpg" not in dict(folder.keys())
    assert folder.head("watch", "uploads/1/l/x.jpg") is None
    assert folder.read("watch", "uploads/1/l/x.jpg", "0") is None
    folder.remove("watch", "uploads/1/l/x.jpg", "0")
    assert (root / "1/l/x.jpg").is_symlink()


def test_a_link_within_the_applications_folder_is_the_file_that_it_leads_to(tmp_path: Path) -> None:
    plant(tmp_path, "1/kept/a.jpg")
    link(tmp_path, "1/l/x.jpg", "../kept/a.jpg")
    folder = WatchedFolder(tmp_path)
    assert "uploads/1/l/x.jpg" in dict(folder.keys())
    found = folder.head("watch", "uploads/1/l/x.jpg")
    assert found is not None
    assert folder.read("watch", "uploads/1/l/x.jpg", found.etag) == b"1/kept/a.jpg"
    folder.remove("watch", "uploads/1/l/x.jpg", found.etag)
    assert list(dict(folder.keys())) == ["uploads/1/kept/a.jpg"]


def test_words_beside_a_file_are_not_those_of_another_file_of_this_machine(tmp_path: Path) -> None:
    root = tmp_path / "root"
    plant(root, "1/l/a.jpg", "1/l/b.jpg")
    (tmp_path / "secret.json").write_text('{"brief": "secret"}')
    (root / "1/words.json").write_text('{"brief": "shared"}')
    link(root, "1/l/a.jpg.json", str(tmp_path / "secret.json"))
    link(root, "1/l/b.jpg.json", "../words.json")
    folder = WatchedFolder(root)
    said = [folder.head("watch", f"uploads/1/l/{name}.jpg") for name in "ab"]
    assert [one and dict(one.user_metadata) for one in said] == [{}, {"brief": "shared"}]


def test_a_folder_that_becomes_a_link_meanwhile_is_not_gone_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is exchanged when all looking at paths is over."""
    root = tmp_path / "root"
    plant(tmp_path, "root/1/l/in/a.jpg", "elsewhere/a.jpg")
    folder = WatchedFolder(root)
    real = os.open

    def exchanged(path: object, flags: int, *mode: int, dir_fd: int | None = None) -> int:
        if path == "in" and not (root / "1/l/in").is_symlink():
            (root / "1/l/in").rename(root / "1/l/was")
            link(root, "1/l/in", str(tmp_path / "elsewhere"))
        return real(path, flags, *mode, dir_fd=dir_fd)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", exchanged)
    assert folder.head("watch", "uploads/1/l/in/a.jpg") is None


def test_linked_folders_are_not_gone_into_and_said_once(
    tmp_path: Path, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    root = tmp_path / "root"
    plant(tmp_path, "elsewhere/a.jpg", "root/1/l/b.jpg", "root/1/l/sub/c.jpg")
    link(root, "1/l/linked", str(tmp_path / "elsewhere"))
    link(root, "1/l/again", "sub")
    link(root, "1/l/out.jpg", str(tmp_path / "elsewhere/a.jpg"))
    folder = WatchedFolder(root)
    for _ in range(3):
        assert list(dict(folder.keys())) == ["uploads/1/l/b.jpg", "uploads/1/l/sub/c.jpg"]
    assert folder.head("watch", "uploads/1/l/linked/a.jpg") is None
    said = {(line["file"], line["reason"].partition(" is ")[0]) for line in log_lines()}
    out = "a link that leads out of its application's folder"
    assert said == {
        (f"{root}/1/l/linked", "a link to a folder"),
        (f"{root}/1/l/again", "a link to a folder"),
        (f"{root}/1/l/out.jpg", out),
    }
    assert len(log_lines()) == 3


def test_pipes_and_the_like_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "1/l").mkdir(parents=True)
    os.mkfifo(tmp_path / "1/l/a.jpg")
    with closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(str(tmp_path / "1/l/b.jpg"))
        (tmp_path / "1/l/c.jpg").mkdir()
        assert keys(tmp_path) == []
        assert [WatchedFolder(tmp_path).head("watch", f"uploads/1/l/{name}.jpg") for name in "abc"] == [None] * 3


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "1/l/a.jpg")
    real = os.open

    def refused(path: object, *how: Any, **where: Any) -> int:
        if path == "a.jpg":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *how, **where)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(Unavailable, match=r"1/l/a\.jpg: Permission denied"):
        WatchedFolder(tmp_path).head("watch", "uploads/1/l/a.jpg")


def test_what_storage_devices_and_systems_put_there_is_nobodys_picture(tmp_path: Path) -> None:
    nobodys = [
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
        "#recycle/b.jpg",
        "@Recycle/c.jpg",
        "$RECYCLE.BIN/d.jpg",
        "lost+found/e.jpg",
        "System Volume Information/f",
        "__MACOSX/g.jpg",
        "#snapshot/h.jpg",
        "Thumbs.db",
        "desktop.ini",
        ".DS_Store",
    ]
    plant(tmp_path, *(f"1/l/{place}{name}" for name in nobodys for place in ("", "deeper/")), "1/l/eaDir/recycle.jpg")
    assert keys(tmp_path) == ["eaDir/recycle.jpg"]


def test_an_ignore_file_is_read_and_read_again_once_it_has_changed(
    tmp_path: Path, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    plant(tmp_path, "1/l/a.jpg", "1/l/b.tmp", "1/l/raw/c.jpg", "1/l/raw/d.jpg", "2/l/raw/e.jpg")
    folder = WatchedFolder(tmp_path)
    ignore = tmp_path / ".lookalikeignore"

    def seen() -> list[str]:
        return [key.removeprefix("uploads/") for key in dict(folder.keys())]

    assert len(seen()) == 5
    ignore.write_text("# notes\n*.tmp\n/1/**/raw/*\n!d.jpg\n\\\n")
    assert seen() == ["1/l/a.jpg", "1/l/raw/d.jpg", "2/l/raw/e.jpg"]
    ignore.write_text("raw/\n")
    assert seen() == ["1/l/a.jpg", "1/l/b.tmp"]
    ignore.unlink()
    assert len(seen()) == 5
    (line,) = log_lines()
    assert line["message"] == ".lookalikeignore, line 5 is passed over"


def test_a_place_is_where_an_operator_finds_the_object(tmp_path: Path) -> None:
    assert WatchedFolder(tmp_path).place("watch", "uploads/1/l/é b.jpg") == f"{tmp_path}/1/l/é b.jpg"
    with aws() as make:
        assert S3Uploads(make("s3")).place("bucket", "uploads/1/l/é b.jpg") == "s3://bucket/uploads/1/l/é b.jpg"
