"""Rows as items: nothing is lost, whichever way they come back, and what is no row says so."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.library import Identity, Kind, Library, RemovedLibrary
from lookalike.domain.picture import DIMENSION, Key, Picture, State
from lookalike.domain.upload import Upload
from lookalike.stores.aws import dynamodb_items
from lookalike.stores.aws.dynamodb_items import picture_item, picture_of
from lookalike.stores.aws.dynamodb_table import (
    SHARDS,
    Item,
    ItemKey,
    key_of,
    map_key,
    object_key_of,
    shard_of,
    shards_of,
)
from tests.contract.rows import contents, digest_of, random_vectors, row

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
IDS = TEXTS.filter(bool) | st.text("0123456789abcdef", min_size=14, max_size=20)

PICTURES = st.builds(
    lambda seed, **given: row("uid", "a", **given).but(vector=random_vectors(1, seed)[0]),
    seed=st.integers(0, 9),
    key=st.builds(Key, TEXTS.filter(bool), IDS),
    kind=st.sampled_from(Kind),
    revision=st.integers(0, 1 << 53),
    added=st.integers(0, 1 << 53),
    state=st.sampled_from(State),
    digest=TEXTS.map(digest_of),
    file_digest=TEXTS.map(digest_of),
    model=TEXTS,
    brief=TEXTS,
    label=TEXTS,
    desc=TEXTS,
    tags=st.lists(TEXTS, max_size=3).map(tuple),
    sign_version=st.integers(1, 3),
    deleted_at=st.none() | st.integers(0, 1 << 53),
)


def streamed(item: Item) -> Any:
    """The item as Lambda hands it over in a stream record."""
    return json.loads(json.dumps(item, default=lambda data: b64encode(data).decode()))


@given(PICTURES)
def test_row_comes_back_from_its_item_and_from_a_stream_record(picture: Picture) -> None:
    item = picture_item(picture)
    assert contents(picture_of(item)) == contents(picture)
    assert contents(picture_of(streamed(item))) == contents(picture)


@given(PICTURES)
def test_only_what_is_not_live_waits_for_purge(picture: Picture) -> None:
    item = picture_item(picture)
    assert ({"purge", "deleted_at"} <= item.keys()) == (not picture.live and picture.deleted_at is not None)


def test_items_of_other_kinds_are_no_pictures() -> None:
    others = [
        dynamodb_items.library_item(Library("tenant", "P#", "uid", Kind.SAME, Identity.OWN, 1)),
        dynamodb_items.removed_item(RemovedLibrary("uid", Kind.SAME, 1)),
        dynamodb_items.upload_item(Upload("bucket/P#", "00")),
        map_key("P#/a/1").values,
    ]
    assert [picture_of(item) for item in others] == [None] * len(others)


WHOLE = streamed(picture_item(row("uid", "a", tags=("1",), deleted_at=3)))


@pytest.mark.parametrize("name", sorted(WHOLE.keys() - {"deleted_at", "tags", "purge"}))
def test_row_without_something_cannot_be_read(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        picture_of({key: value for key, value in WHOLE.items() if key != name})


@pytest.mark.parametrize(
    "wrong",
    [
        {"pk": {}},
        {"pk": "P#uid#0"},
        {"sk": {"N": "1"}},
        {"kind": {"S": "other"}},
        {"state": {"S": "LIVE"}},
        {"revision": {"N": "one"}},
        {"revision": {"N": None}},
        {"vector": {"B": b64encode(bytes(2 * DIMENSION - 2)).decode()}},
        {"vector": {"B": "AAA"}},
        {"vector": {"B": "§"}},
        {"vector": {"S": "AAAA"}},
        {"tags": {"L": [{"N": "1"}]}},
        {"tags": {"S": "1"}},
        {"digest": None},
    ],
    ids=repr,
)
def test_garbled_row_cannot_be_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        picture_of(WHOLE | wrong)


@given(IDS, st.integers(0, 20))
def test_pictures_shard_is_among_those_of_every_prefix(picture: str, length: int) -> None:
    assert shard_of(picture) in shards_of(picture[:length])
    assert shards_of(picture[:length]) in (SHARDS, shard_of(picture))


def test_sign_names_one_shard_and_digests_use_all() -> None:
    digests = [digest_of(str(number)) for number in range(200)]
    assert {shards_of(digest[:16]) for digest in digests} == set(SHARDS)
    assert {shard_of(str(number)) for number in range(200)} == set(SHARDS)


@given(TEXTS.filter(lambda text: "/" not in text), TEXTS)
def test_maps_key_comes_back(library: str, rest: str) -> None:
    key = f"{library}/{rest}"
    assert object_key_of(key_of(map_key(key).values)) == key


@pytest.mark.parametrize(
    ("key", "possible"),
    [
        (ItemKey("p", "s"), True),
        (ItemKey("猫" * 682, "猫" * 341), True),
        (ItemKey("猫" * 683, "s"), False),
        (ItemKey("p", "猫" * 342), False),
        (ItemKey("p", ""), False),
        (ItemKey("", "s"), False),
        (ItemKey("\ud800", "s"), False),
    ],
)
def test_keys_are_bounded_in_bytes(key: ItemKey, possible: bool) -> None:
    assert key.possible == possible
