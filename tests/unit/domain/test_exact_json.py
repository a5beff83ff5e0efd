"""JSON that comes back as it was given."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain import exact_json
from lookalike.errors import InvalidArgument

texts = st.text(st.characters())  # half surrogate pairs and all
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def round_trip(text: str) -> str:
    return exact_json.compact(exact_json.read(text.encode()))


@given(values, st.booleans())
def test_a_value_comes_back_as_it_was(value: Any, ascii_only: bool) -> None:
    sent = json.dumps(value) if ascii_only else round_trip(json.dumps(value))
    kept = round_trip(sent)
    assert json.loads(kept) == value
    assert kept.encode().decode() == kept
    assert round_trip(kept) == kept


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-0",
        "1.0",
        "1.10",
        "1E400",
        "-1e-400",
        "123456789012345678901234567890.123456789012345678901234567890",
        "9" * 4500,
        "true",
        '"é书\U0001f600"',
        '"\\ud800"',
        '"\\u0000"',
        '{"a":[1,2.50,{"b":null}],"a b":""}',
    ],
)
def test_a_compact_text_comes_back_to_the_letter(text: str) -> None:
    assert round_trip(text) == text


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_its_digits(number: Decimal) -> None:
    text = f"{number:f}"
    assert round_trip(f"[ {text} ]") == f"[{text}]"


def test_blanks_and_needless_escapes_go() -> None:
    assert round_trip('\ufeff{ "\\u0061" : [ 1 , "\\/" ] }\n') == '{"a":[1,"/"]}'


def test_the_last_of_a_name_counts() -> None:
    assert round_trip('{"a":1,"a":2}') == '{"a":2}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nul",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"01",
        b"{'a':1}",
        b"\xff",
        b"[1,]",
        b"{}{}",
        b"\xff\xfe[\x00]\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"\t"',
    ],
)
def test_what_is_no_json_is_a_bad_argument(body: bytes) -> None:
    with pytest.raises(InvalidArgument):
        exact_json.read(body)


def test_what_is_kept_is_not_deeper_than_may_be() -> None:
    deep = "[" * exact_json.MAX_DEPTH + "]" * exact_json.MAX_DEPTH
    assert round_trip(deep) == deep
    with pytest.raises(InvalidArgument):
        round_trip(f'[{{"a":{deep}}}]')
