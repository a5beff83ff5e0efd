"""Keys of the table: shards, limits, and keys that are read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.stores.aws.dynamodb_keys import (
    SHARDS,
    ItemKey,
    key_of,
    map_key,
    object_key_of,
    shard_of,
    shards_of,
)
from tests.contract.rows import digest_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
IDS = TEXTS.filter(bool) | st.text("0123456789abcdef", min_size=14, max_size=20)


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
    ("key", "is_valid"),
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
def test_keys_are_bounded_in_bytes(key: ItemKey, is_valid: bool) -> None:
    assert key.is_valid == is_valid
