"""Rows as items: lossless in both notations, and damaged rows are detected."""

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
from lookalike.stores.aws.dynamodb_keys import (
    Item,
    map_key,
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
    """The item as Lambda passes it in a stream record."""
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
