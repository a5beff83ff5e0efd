"""What every store of originals must do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.ports import PictureStore
from lookalike.stores.aws.s3_objects import CONFIG, S3Store
from lookalike.stores.local.original_files import FolderStore
from tests.support.emulated import aws
from tests.support.examples import examples

Together = Callable[[list[Callable[[], object]]], list[object]]


def test_unknown_key_is_none(originals: PictureStore) -> None:
    assert originals.get("library/a/1") is None
    assert originals.size("library/a/1") is None


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 4096 * 3], ids=["empty", "small", "3 MiB"])
def test_what_is_put_is_got(originals: PictureStore, data: bytes) -> None:
    originals.put("library/a/1", data)
    assert originals.get("library/a/1") == data
    assert originals.size("library/a/1") == len(data)


def test_putting_again_replaces(originals: PictureStore) -> None:
    originals.put("library/a/1", b"a longer one before")
    originals.put("library/a/1", b"after")
    assert originals.get("library/a/1") == b"after"


def test_removed_originals_are_gone_and_others_stay(originals: PictureStore) -> None:
    keys = [f"library/{number}/1" for number in range(5)]
    for key in keys:
        originals.put(key, key.encode())
    originals.remove([])
    originals.remove([keys[0], keys[3], "library/unknown/1", keys[3]])
    assert [originals.get(key) is not None for key in keys] == [False, True, True, False, True]
    originals.put(keys[0], b"back")
    assert originals.get(keys[0]) == b"back"


@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60), min_size=2, max_size=6, unique=True
    )
)
def test_ids_may_hold_any_character(originals: PictureStore, names: list[str]) -> None:
    keys = [f"library/{name}/1" for name in names]
    for key in keys:
        originals.put(key, key.encode())
    assert [originals.get(key) for key in keys] == [key.encode() for key in keys]
    originals.remove(keys)
    assert [originals.get(key) for key in keys] == [None] * len(keys)


@pytest.mark.parametrize("name", ["..", ".", "../../../../outside", "/etc/x", "a/../b", "猫" * 170, "CON", "x" * 512])
def test_awkward_ids(originals: PictureStore, name: str) -> None:
    originals.put(f"library/{name}/1", b"one")
    originals.put(f"library/{name}/2", b"two")
    assert originals.get(f"library/{name}/1") == b"one"
    assert originals.get(f"library/{name}/2") == b"two"


def test_many_threads_at_once(originals: PictureStore, together: Together) -> None:
    def work(thread: int) -> Callable[[], object]:
        def run() -> None:
            for number in range(10):
                key = f"library/{thread}-{number}/1"
                originals.put(key, key.encode() * 100)
                assert originals.get(key) == key.encode() * 100
                if number % 2:
                    originals.remove([key])

        return run

    assert together([work(thread) for thread in range(8)]) == [None] * 8
    kept = [originals.get(f"library/{thread}-{number}/1") for thread in range(8) for number in range(10)]
    assert [data is not None for data in kept] == [number % 2 == 0 for _ in range(8) for number in range(10)]


def test_files_are_listed_by_names_and_removed_by_them(originals: PictureStore) -> None:
    keys = [f"library/{name}/1" for name in ("a", "../../outside", "猫" * 60)]
    for key in keys:
        originals.put(key, b"file")
    listed = [one for batch in originals.stored() for one in batch]
    assert sorted(one.name for one in listed) == sorted(map(originals.name_of, keys))
    assert all(0 <= one.written < 1 << 48 for one in listed)
    assert {one.name: one.size for one in listed}[originals.name_of(keys[2])] == len(b"file")
    originals.remove_stored([originals.name_of(keys[0]), originals.name_of("library/unknown/1"), "../x", ""])
    assert [originals.get(key) is not None for key in keys] == [False, True, True]


def test_s3_signs_an_address_for_some_minutes_and_one_type() -> None:
    with aws() as make:
        store = S3Store(make("s3", config=CONFIG), "originals")
        address = urlsplit(str(store.place("library/a/1", "image/png", 300)))
    said = dict(parse_qsl(address.query))
    assert address.netloc == "originals.s3.us-east-1.amazonaws.com"
    assert (said["response-content-type"], said["response-content-disposition"]) == ("image/png", "attachment")
    assert (said["X-Amz-Expires"], said["X-Amz-Algorithm"]) == ("300", "AWS4-HMAC-SHA256")


def test_a_folder_names_the_file(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "originals")
    store.put("library/a/1", b"picture")
    assert store.place("library/a/1", "image/png", 300).read_bytes() == b"picture"
