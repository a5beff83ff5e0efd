"""Pictures as text: base64 as it is found in the wild, made clean and then checked strictly."""

from __future__ import annotations

import binascii

from lookalike.errors import BadEncoding, EmptyPicture, PictureSizeError
from lookalike.wire import percent

#: Longest ``data:`` head, in bytes.
_MAX_HEAD = 256

_LINE_BREAKS = b"\r\n\t"


def from_base64(name: str, text: bytes, max_length: int) -> bytes:
    """The bytes that ``text``, of the field ``name``, stands for.

    Mended first: a second layer of percent-encoding, a ``data:…;base64,`` head, line breaks, ``+`` that a form
    turned into a space, and the padding. ``max_length`` bounds what is left of the text, in bytes.

    Raises EmptyPicture if nothing is left, PictureSizeError if too much is, BadEncoding if that is not base64.
    """
    clean = _normalised(name, text)
    if not clean:
        raise EmptyPicture("empty", field=name)
    if len(clean) > max_length:
        raise PictureSizeError(f"{len(clean)} bytes of base64, more than {max_length}", field=name)
    try:
        return binascii.a2b_base64(clean, strict_mode=True)
    except binascii.Error as reason:
        raise BadEncoding(f"not base64: {reason}", field=name) from reason


def _normalised(name: str, text: bytes) -> bytes:
    text = text.translate(None, _LINE_BREAKS)
    if b"%" in text:
        text = percent.decoded(text).translate(None, _LINE_BREAKS)
    # Blanks at the ends stay: they may be pluses, too.
    text = _without_data_head(name, text).replace(b" ", b"+").rstrip(b"=")
    return text + b"=" * (-len(text) % 4)


def _without_data_head(name: str, text: bytes) -> bytes:
    start = text[:_MAX_HEAD].lstrip()
    if start[:5].lower() != b"data:":
        return text
    head, comma, _ = start.partition(b",")
    if not comma or not head.lower().endswith(b";base64"):
        raise BadEncoding("a data: head that says nothing of base64", field=name)
    return text[text.index(b",") + 1 :]
