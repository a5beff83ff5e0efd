"""What every store of local maps must do."""

from __future__ import annotations

import os

from lookalike.ports import MapStore


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
