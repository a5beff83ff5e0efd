"""What every store of local maps must do."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from lookalike.domain.picture import Key, object_key
from lookalike.ports import MapStore
from tests.contract.rows import digest_of

Together = Callable[[list[Callable[[], object]]], list[object]]

#: A search asks for so many candidates' maps in one call.
BATCH = 25


def keys_of(library: str, count: int) -> list[str]:
    """Keys as pictures have them."""
    return [
        object_key(Key(library, digest_of(f"{n}")), 1_767_323_045_000 + n, digest_of(f"file {n}")) for n in range(count)
    ]


def test_only_known_maps_are_answered(maps: MapStore) -> None:
    kept = {f"library/{number:064x}/1": os.urandom(3000 + number) for number in range(60)}
    for key, data in kept.items():
        maps.put_map(key, data)
    assert maps.maps([]) == {}
    assert maps.maps(["library/unknown/1"]) == {}
    assert maps.maps([*kept, "library/unknown/1"]) == kept
    some = list(kept)[7:9]
    assert maps.maps(some) == {key: kept[key] for key in some}


def test_whatever_is_asked_for_unknown_is_missing(maps: MapStore) -> None:
    names = ["", "library/", "/", "library", f"library/{'x' * 5000}"]
    maps.remove_maps(names)
    assert maps.maps(names) == {}


def test_putting_again_replaces(maps: MapStore) -> None:
    maps.put_map("library/a/1", b"before")
    maps.put_map("library/a/1", b"after")
    assert maps.maps(["library/a/1"]) == {"library/a/1": b"after"}


def test_revisions_are_apart(maps: MapStore) -> None:
    maps.put_map("library/a/1", b"one")
    maps.put_map("library/a/11", b"eleven")
    maps.remove_maps(["library/a/1"])
    assert maps.maps(["library/a/1", "library/a/11"]) == {"library/a/11": b"eleven"}


def test_removing_unknown_maps_does_not_matter(maps: MapStore) -> None:
    maps.put_map("library/a/1", b"one")
    maps.remove_maps([])
    maps.remove_maps([f"library/{number}/1" for number in range(300)])
    maps.remove_maps(["library/a/1", "library/a/1"])
    assert maps.maps(["library/a/1"]) == {}


def test_ids_may_hold_any_character(maps: MapStore) -> None:
    keys = [f"library/{name}/1" for name in ("../../x", "ü 猫", "a/b", "a'b\"; --", "%_*", "\x00\x01", "x" * 512)]
    for key in keys:
        maps.put_map(key, key.encode())
    assert maps.maps(keys) == {key: key.encode() for key in keys}


@pytest.mark.parametrize("size", [0, 1, 6_400, 10_000])
def test_a_batch_comes_in_one_call(maps: MapStore, uid: str, size: int) -> None:
    kept = {key: os.urandom(size) for key in keys_of(uid, BATCH)}
    for key, data in kept.items():
        maps.put_map(key, data)
    assert maps.maps(list(kept)) == kept
    assert {type(data) for data in maps.maps(list(kept)).values()} == {bytes}
    assert maps.maps(list(reversed(kept))) == kept


def test_a_batch_may_be_missing_in_part_or_altogether(maps: MapStore, uid: str) -> None:
    keys = keys_of(uid, BATCH)
    kept = {key: key.encode() for key in keys[::3]}
    for key, data in kept.items():
        maps.put_map(key, data)
    assert maps.maps(keys) == kept
    assert maps.maps([key for key in keys if key not in kept]) == {}
    assert maps.maps(keys_of(f"{uid}-other", BATCH)) == {}


def test_two_hundred_maps_come_in_one_call(maps: MapStore, uid: str) -> None:
    """As many as one search proves at most; together they are larger than what some stores answer at once."""
    kept = {key: os.urandom(10_000) for key in keys_of(uid, 200)}
    for key, data in kept.items():
        maps.put_map(key, data)
    assert maps.maps([*kept, *keys_of(f"{uid}-other", 20)]) == kept
    maps.remove_maps(list(kept)[20:])
    assert maps.maps(list(kept)) == {key: kept[key] for key in list(kept)[:20]}


def test_a_key_may_be_asked_for_twice(maps: MapStore, uid: str) -> None:
    first, second = keys_of(uid, 2)
    maps.put_map(first, b"one")
    assert maps.maps([first, second, first, second]) == {first: b"one"}


def test_replacing_takes_the_new_length(maps: MapStore, uid: str) -> None:
    (key,) = keys_of(uid, 1)
    for data in (os.urandom(10_000), b"short", b"", os.urandom(6_400), bytes(range(256))):
        maps.put_map(key, data)
        assert maps.maps([key]) == {key: data}


def test_a_removed_map_may_be_put_again(maps: MapStore, uid: str) -> None:
    (key,) = keys_of(uid, 1)
    maps.put_map(key, b"before")
    maps.remove_maps([key])
    assert maps.maps([key]) == {}
    maps.put_map(key, b"after")
    assert maps.maps([key]) == {key: b"after"}


def test_adds_side_by_side_keep_every_map(maps: MapStore, uid: str, together: Together) -> None:
    kept = {key: os.urandom(6_400) for key in keys_of(uid, 40)}

    def putting(key: str) -> Callable[[], object]:
        return lambda: maps.put_map(key, kept[key])

    assert together([putting(key) for key in kept]) == [None] * len(kept)
    assert maps.maps(list(kept)) == kept


def test_all_maps_are_listed(maps: MapStore, uid: str) -> None:
    keys = keys_of(uid, 30)
    for number, key in enumerate(keys):
        maps.put_map(key, bytes(number))
    maps.remove_maps(keys[:3])
    found = [one for batch in maps.stored_maps() for one in batch if one.key.startswith(uid)]
    assert sorted(one.key for one in found) == sorted(keys[3:])
    assert all(one.size in {keys.index(one.key), None} for one in found)
