"""Percent-decoding beside the standard library's, which is slow and right."""

from urllib.parse import unquote_to_bytes

from hypothesis import example, given
from hypothesis import strategies as st

from lookalike.wire.percent import decoded

PIECES = st.sampled_from([b"%", b"%%", b"%2", b"2B", b"%2b", b"%2B", b"%25", b"%00", b"%Ff", b"g", b"+", b"\xff"])


@given(st.lists(PIECES | st.binary(max_size=3), max_size=20).map(b"".join))
@example(b"")
@example(b"%")
@example(b"%4")
@example(b"%%41")
@example(b"%%%41%4")
def test_any_text(text: bytes) -> None:
    assert decoded(text) == unquote_to_bytes(text)


def test_every_byte() -> None:
    for form in ("%{:02x}", "%{:02X}"):
        assert decoded("".join(form.format(byte) for byte in range(256)).encode()) == bytes(range(256))
