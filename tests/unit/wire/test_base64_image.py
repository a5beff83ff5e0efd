"""base64 as it is found in the wild."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lookalike.errors import BadEncoding, EmptyPicture, PictureError, PictureSizeError
from lookalike.wire.base64_image import from_base64

LIMIT = 4 * 1024 * 1024
FILE = b"\xfb\xef\xbe\x00\x10\x83\xff" * 5 + b"\xfb\xef\xbe"  # its base64 is full of + and /, and ends in +
TEXT = base64.b64encode(FILE)
assert b"+" in TEXT
assert b"/" in TEXT

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda text: text,
    "pluses turned into spaces": lambda text: text.replace(b"+", b" "),
    "MIME line breaks": lambda text: b"\r\n".join(text[at : at + 8] for at in range(0, len(text), 8)) + b"\r\n",
    "line feeds and tabs": lambda text: text[:8] + b"\n\t" + text[8:] + b"\n",
    "a data head": lambda text: b"data:image/png;base64," + text,
    "a data head in capitals": lambda text: b" DATA:image/svg+xml;charset=x;BASE64," + text,
    "percent-encoded twice": lambda text: quote_plus(text).encode(),
    "percent-encoded twice, lower case": lambda text: (
        quote_plus(text).replace("%2B", "%2b").replace("%2F", "%2f").encode()
    ),
    "a data head, percent-encoded twice": lambda text: quote(b"data:image/png;base64," + text).encode(),
    "no padding": lambda text: text.rstrip(b"="),
    "too much padding": lambda text: text + b"=",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("length", range(len(FILE) - 3, len(FILE) + 1))
def test_damage_is_mended(damage: str, length: int) -> None:
    file = FILE[:length]
    assert from_base64("image", DAMAGES[damage](base64.b64encode(file)), LIMIT) == file


@given(st.binary(min_size=1, max_size=200), st.sampled_from(sorted(DAMAGES)), st.sampled_from(sorted(DAMAGES)))
def test_damage_of_any_bytes_is_mended(file: bytes, first: str, second: str) -> None:
    assume("data" not in first)
    assume("percent" not in first or "percent" not in second)
    assert from_base64("image", DAMAGES[second](DAMAGES[first](base64.b64encode(file))), LIMIT) == file


@given(st.binary(max_size=60))
def test_anything_else_is_said_to_be_bad(text: bytes) -> None:
    try:
        file = from_base64("image", text, LIMIT)
    except PictureError:
        return
    assert file


@pytest.mark.parametrize(
    "text",
    [b"A", b"AAAAA", b"a*bc", b"YQ==YQ==", b"AA-_", b"\xff\xfe", "图片".encode(), b"data:image/png,AAAA", b"data:AAAA"],
)
def test_what_is_not_base64(text: bytes) -> None:
    with pytest.raises(BadEncoding):
        from_base64("image", text, LIMIT)


@pytest.mark.parametrize("text", [b"", b"\r\n", b"data:image/png;base64,", b"data:;base64,\n", b"=="])
def test_nothing_in_it(text: bytes) -> None:
    with pytest.raises(EmptyPicture):
        from_base64("image", text, LIMIT)


def test_the_limit_is_of_clean_base64() -> None:
    text = b"A" * 64
    assert len(from_base64("image", b"data:image/png;base64," + text + b"\r\n", 64)) == 48
    with pytest.raises(PictureSizeError):
        from_base64("image", text + b"AAAA", 64)
