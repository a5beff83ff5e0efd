"""Laws of what the native API reads: a fault is named where it is, and nothing that a caller sends is anything but read or refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lookalike.domain.geometry import Box
from lookalike.errors import InvalidArgument, MissingArgument
from lookalike.wire.http import Request
from lookalike.wire.native import conditions, reading, requests, searching, session
from lookalike.wire.native.json_body import json_of
from tests.support.examples import examples

SEARCH: dict[str, Any] = {
    "image": {"url": "https://example.com/a.jpg"},
    "also": [{"picture": "a"}, {"base64": "x", "library": "b"}],
    "not": [{"picture": "c"}],
    "box": [0, 0, 1, 1],
    "limit": 5,
    "threshold": 0.5,
    "filter": {"all": [{"tag": "1"}, {"tag": "2"}], "any": [], "none": [{"tag": "3"}]},
    "explain": True,
}

KINDS = [
    requests.PictureGiven,
    requests.MetadataGiven,
    requests.PictureChange,
    requests.LibraryGiven,
    requests.LibraryChange,
    requests.SearchGiven,
    requests.SearchManyGiven,
    requests.CheckGiven,
    requests.CompareGiven,
    requests.RowGiven,
]

T = TypeVar("T")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def pointers(value: Any, place: str = "") -> list[str]:
    """JSON pointers of everything in the value."""
    found = [place] if place else []
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        found += pointers(part, f"{place}/{_escaped(str(name))}")
    return found


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _parent(value: Any, pointer: str) -> tuple[Any, Any]:
    """What holds the place, and the place in it."""
    *above, last = pointer.split("/")[1:]
    for name in above:
        value = value[int(name) if isinstance(value, list) else name]
    return value, int(last) if isinstance(value, list) else last


def request(**headers: str) -> Request:
    return Request("1", "GET", "/", "/", "", headers, b"", "", {})


def outcome(read: Callable[..., T], *arguments: Any) -> T | InvalidArgument:
    """What is read, or how it is refused."""
    try:
        return read(*arguments)
    except InvalidArgument as error:
        return error


def refused(said: Any, kind: type[msgspec.Struct] = requests.SearchGiven) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as caught:
        json_of(json.dumps(said).encode(), kind)
    return caught.value


def test_what_is_planted_in_is_right() -> None:
    json_of(json.dumps(SEARCH).encode(), requests.SearchGiven)


@pytest.mark.parametrize("pointer", pointers(SEARCH))
def test_a_value_of_another_type_is_named_by_its_pointer(pointer: str) -> None:
    said = copy.deepcopy(SEARCH)
    parent, place = _parent(said, pointer)
    parent[place] = {"odd": 1} if not isinstance(parent[place], dict) else 7
    assert refused(said).field == pointer


@settings(max_examples=examples(200))
@given(st.sampled_from(["", "/image", "/also/1", "/filter", "/filter/none/0"]), texts)
@example("/image", "a`b")
@example("/filter", "~a/b")
def test_a_member_that_there_is_not_is_named_by_its_pointer(place: str, name: str) -> None:
    said = copy.deepcopy(SEARCH)
    holder = said
    for part in place.split("/")[1:]:
        holder = holder[int(part) if isinstance(holder, list) else part]
    if name in holder or name in ("url", "base64", "picture", "library", "tag", "all", "any", "none", "after"):
        return
    holder[name] = 1
    assert refused(said).field == f"{place}/{_escaped(name)}"


@pytest.mark.parametrize("pointer", ["/image", "/filter/all/1/tag", "/filter/none/0/tag"])
def test_a_member_that_is_missing_is_named_by_its_pointer(pointer: str) -> None:
    said = copy.deepcopy(SEARCH)
    parent, place = _parent(said, pointer)
    del parent[place]
    error = refused(said)
    assert (type(error), error.field) == (MissingArgument, pointer)


@settings(max_examples=examples(300))
@given(st.sampled_from(KINDS), json_values | st.fixed_dictionaries({"image": json_values}))
@example(requests.SearchGiven, {"image": {}, "limit": float("inf")})
def test_any_json_is_read_or_refused(kind: type[msgspec.Struct], said: Any) -> None:
    found = outcome(json_of, json.dumps(said).encode(), kind)
    if isinstance(found, InvalidArgument):
        assert found.field == "body" or found.field.startswith("/")
        assert found.reason


@settings(max_examples=examples(300))
@given(st.sampled_from(KINDS), st.binary(max_size=60))
@example(requests.PictureChange, b"[" * 100_000)
@example(requests.PictureChange, b'{"desc":' + b"[" * 100_000)
@example(requests.PictureChange, b'{"brief":"\\ud800"}')
@example(requests.PictureChange, b'{"brief":"\xed\xa0\x80"}')
@example(requests.SearchGiven, b'{"image":{},"limit":1e400}')
@example(requests.SearchGiven, b'{"image":{},"limit":' + b"9" * 5000 + b"}")
def test_any_bytes_are_read_or_refused(kind: type[msgspec.Struct], data: bytes) -> None:
    found = outcome(json_of, data, kind)
    assert isinstance(found, kind) or (isinstance(found, InvalidArgument) and found.field)


@given(st.floats(1, 1000).map(lambda limit: limit if limit % 1 else int(limit)))
def test_a_limit_is_a_whole_number_however_it_is_written(limit: float) -> None:
    for written in (limit, float(limit)):
        said = {"image": {"picture": "a"}, "limit": written}
        if limit % 1:
            assert refused(said).field == "/limit"
        else:
            assert json_of(json.dumps(said).encode(), requests.SearchGiven).limit == limit


@given(st.integers(1, 999_999))
def test_the_cursor_of_a_position_means_it(position: int) -> None:
    cursor = reading.cursor_of(position)
    assert reading.position_of(cursor) == position
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(texts.filter(lambda text: text and "\0" not in text))
def test_the_cursor_of_an_id_means_it(id_: str) -> None:
    assert reading.listed_after(reading.cursor_of(id_)) == id_


@given(st.text(max_size=30))
@example("\ud800")
@example("AA")
def test_any_cursor_is_read_or_refused(cursor: str) -> None:
    for read, field in ((reading.position_of, "/after"), (reading.listed_after, "after")):
        found = outcome(read, cursor)
        if isinstance(found, InvalidArgument):
            assert found.field == field
        else:
            assert not cursor or found


@given(st.integers(0, 10**18 - 1))
def test_a_revision_is_matched_with_or_without_quotes(revision: int) -> None:
    assert conditions.if_match(request(**{"if-match": f'"{revision}"'})) == revision
    assert conditions.if_match(request(**{"if-match": f" {revision} "})) == revision
    assert conditions.is_not_modified(request(**{"if-none-match": f'"7", W/"{revision}"'}), revision)
    assert not conditions.is_not_modified(request(**{"if-none-match": f'"{revision}0"'}), revision)


def test_any_revision_matches_a_star_or_nothing() -> None:
    assert conditions.if_match(request(**{"if-match": "*"})) is None
    assert conditions.if_match(request()) is None
    assert conditions.is_not_modified(request(**{"if-none-match": "*"}), 7)
    assert not conditions.is_not_modified(request(), 7)


@given(st.text(max_size=20))
@example("")
@example('"1')
@example('W/"1"')
@example('"1", "2"')
@example('"' + "9" * 19 + '"')
@example("١")
def test_any_other_if_match_is_refused(said: str) -> None:
    found = outcome(conditions.if_match, request(**{"if-match": said}))
    if isinstance(found, InvalidArgument):
        assert found.field == "If-Match"
    else:
        assert found is None or str(found) == said.strip().strip('"').lstrip("0") or found == 0


@pytest.mark.parametrize("said", ['"nope"', 'W/"1764300000000"', '""', '"1764300000000-gzip"'])
def test_another_entity_tag_matches_no_revision(said: str) -> None:
    assert conditions.if_match(request(**{"if-match": said})) == 0


@pytest.mark.parametrize("said", ["nope", '"1", "2"', '"1', "W/1", '"a b"'])
def test_what_is_no_entity_tag_is_refused(said: str) -> None:
    with pytest.raises(InvalidArgument, match="must be one ETag"):
        conditions.if_match(request(**{"if-match": said}))


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ({"image": "https://example.com/a.jpg"}, "must be an object with one of url, base64, upload and picture"),
        ({**SEARCH, "also": ["a"]}, "must be an object with one of url, base64, upload and picture"),
        ({**SEARCH, "limit": "5"}, "Expected `number`, got `string`"),
        ({**SEARCH, "limit": 1.5}, "Expected a whole number"),
        ({**SEARCH, "explain": "yes"}, "Expected `boolean`, got `string`"),
        ({**SEARCH, "box": [0, 0, 1]}, "Expected `array` of length 4"),
        (
            {**SEARCH, "image": {"link": "a"}},
            "there is no member of this name here; there are url, base64, upload, picture, library",
        ),
        (
            {**SEARCH, "also": [{"link": "a"}]},
            "there is no member of this name here; there are url, base64, upload, picture, library",
        ),
    ],
)
def test_what_is_wrong_is_said_in_words_of_json(said: Any, detail: str) -> None:
    assert refused(said).reason == detail


def test_members_that_there_are_are_said() -> None:
    said = refused({"key": 1}, session.SignInGiven)
    assert (said.field, said.reason) == (
        "/key",
        "there is no member of this name here; there are access_key, secret_key, once",
    )
    assert refused({**SEARCH, "odd": 1}).reason.endswith(
        "; there are also, not, box, limit, after, threshold, filter, explain, image"
    )


def test_a_body_that_a_gateway_has_spoilt_is_named() -> None:
    spoilt = Request("1", "POST", "/", "/", "", {}, '{"brief": "\ufffd"}'.encode(), "", {}, as_text=True)
    found = outcome(reading.body_of, spoilt, requests.PictureChange)
    assert isinstance(found, InvalidArgument)
    assert (found.field, found.reason) == ("body", "not UTF-8")


def test_values_that_there_are_are_said() -> None:
    assert refused({"kind": "odd"}, requests.LibraryGiven).reason == "must be one of same, similar, product"
    assert refused({"op": "odd"}, requests.RowGiven).reason == "must be one of add, update, delete"


fractions = st.floats(0, 1) | st.sampled_from([0, 1])


@given(st.lists(fractions | st.floats() | st.integers(), min_size=3, max_size=5))
@example([0, 0, 1, float("nan")])
@example([0.5, 0, 0.5, 1])
def test_a_box_is_within_the_picture_and_not_empty(box: list[float]) -> None:
    said = json.dumps({"image": {"picture": "a"}, "box": box}).encode()
    right = len(box) == 4 and all(0 <= side <= 1 for side in box) and box[0] < box[2] and box[1] < box[3]
    found = outcome(_box_read, said)
    assert isinstance(found, Box) is right
    if isinstance(found, Box):
        assert [found.left, found.top, found.right, found.bottom] == box
    else:
        assert found.field.startswith(("/box", "body"))


def _box_read(said: bytes) -> Box:
    read = json_of(said, requests.SearchGiven)
    assert read.box is not None
    return searching._box(read.box)
