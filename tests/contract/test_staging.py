"""Files sent ahead of a call, in every store that keeps them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lookalike.domain.staged import StagedId
from lookalike.errors import Unavailable
from lookalike.ports import StagedFiles
from lookalike.stores.aws.s3_objects import CONFIG
from lookalike.stores.aws.s3_staging import PREFIX, NoStaging, S3Staging
from lookalike.stores.local.staged_files import StagedFolder
from tests.contract.conftest import Opening
from tests.support.emulated import aws
from tests.support.fakes import MemoryStaging

KEY = StagedId("tenant", 1_767_323_045, b"0123456789abcdef").key


@contextmanager
def folder(path: Path) -> Iterator[StagedFiles]:
    store = StagedFolder(path / "staged")
    with store.receive(KEY) as file:
        file.write(b"picture")
    yield store


@contextmanager
def s3(_path: Path) -> Iterator[StagedFiles]:
    with aws() as make:
        client = make("s3", config=CONFIG)
        client.create_bucket(Bucket="uploads")
        client.put_object(Bucket="uploads", Key=PREFIX + KEY, Body=b"picture")
        yield S3Staging(client, "uploads")


@contextmanager
def memory(_path: Path) -> Iterator[StagedFiles]:
    store = MemoryStaging()
    store.files[KEY] = b"picture"
    yield store


STORES: dict[str, Opening[StagedFiles]] = {"folder": folder, "s3": s3, "memory": memory}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StagedFiles]:
    with STORES[request.param](tmp_path) as opened:
        yield opened


def test_a_file_is_read_until_it_is_removed(store: StagedFiles) -> None:
    other = StagedId("another", 1_767_323_045, b"0123456789abcdef").key
    assert (store.read(KEY), store.read(other)) == (b"picture", None)
    store.remove(other)
    store.remove(KEY)
    store.remove(KEY)
    assert store.read(KEY) is None
    store.remove_older(0)


def test_s3_is_given_a_form_for_one_key_one_size_and_a_few_minutes() -> None:
    with aws() as make:
        form = S3Staging(make("s3", config=CONFIG), "uploads").post_form(KEY, 1000, 600)
    assert form.url == "https://uploads.s3.us-east-1.amazonaws.com/", "which answers for a bucket of any age"
    assert form.fields["key"] == PREFIX + KEY
    assert form.fields["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    conditions = json.loads(base64.b64decode(form.fields["policy"]))["conditions"]
    assert ["content-length-range", 1, 1000] in conditions
    assert {"key": PREFIX + KEY} in conditions
    assert {"bucket": "uploads"} in conditions


def test_a_folder_receives_each_file_once_and_whole(tmp_path: Path) -> None:
    store = StagedFolder(tmp_path / "staged")

    def half() -> None:
        with store.receive(KEY) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert store.read(KEY) is None
    with store.receive(KEY) as file:
        file.write(b"whole")
    with pytest.raises(FileExistsError), store.receive(KEY) as file:
        file.write(b"another")
    assert store.read(KEY) == b"whole"
    assert [path.name for path in (tmp_path / "staged").rglob("*.part")] == []


def test_a_folder_forgets_old_files_and_half_ones(tmp_path: Path) -> None:
    store = StagedFolder(tmp_path / "staged")
    new = StagedId("tenant", 1_767_323_045, b"fedcba9876543210").key
    for key in (KEY, new):
        with store.receive(key) as file:
            file.write(b"picture")
    left = tmp_path / "staged" / Path(KEY).parent / "left.part"
    left.write_bytes(b"half")
    for path in (tmp_path / "staged" / KEY, left):
        os.utime(path, (1000, 1000))
    store.remove_older(1_000_001)
    assert (store.read(KEY), store.read(new), left.exists()) == (None, b"picture", False)


def test_without_a_bucket_every_use_is_refused() -> None:
    store = NoStaging()
    for use in (lambda: store.read(KEY), lambda: store.remove(KEY), lambda: store.post_form(KEY, 1, 1)):
        with pytest.raises(Unavailable, match="LOOKALIKE_UPLOADS"):
            use()
    store.remove_older(0)
