"""Percent-decoding beside the standard library's, which is slow and right."""

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lookalike.wire.percent import MIN_LARGE, decoded, decoded_at_once

PIECES = st.sampled_from([b"%", b"%%", b"%2", b"2B", b"%2b", b"%2B", b"%25", b"%00", b"%Ff", b"g", b"+", b"\xff"])


@given(st.lists(PIECES | st.binary(max_size=3), max_size=20).map(b"".join))
@example(b"")
@example(b"%")
@example(b"%4")
@example(b"%%41")
@example(b"%%%41%4")
def test_any_text(text: bytes) -> None:
    expected = unquote_to_bytes(text)
    assert decoded(text) == expected
    assert decoded_at_once(text) == expected


@given(st.lists(PIECES, min_size=1, max_size=20).map(b"".join), st.integers(-3, 3))
def test_any_length_around_that_of_a_picture(text: bytes, more: int) -> None:
    long = (text * MIN_LARGE)[: MIN_LARGE + more]
    assert decoded(long) == unquote_to_bytes(long)


@pytest.mark.parametrize("decode", [decoded, decoded_at_once])
def test_every_byte(decode: Callable[[bytes], bytes]) -> None:
    for form in ("%{:02x}", "%{:02X}"):
        assert decode("".join(form.format(byte) for byte in range(256)).encode()) == bytes(range(256))
