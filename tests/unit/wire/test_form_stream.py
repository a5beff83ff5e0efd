"""A multipart form that comes in pieces: the file is the same however the body is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lookalike.errors import InvalidArgument
from lookalike.wire.form_stream import FormStream

TYPE = "multipart/form-data; boundary=xYz"
_HEAD = (
    b'--xYz\r\nContent-Disposition: form-data; name="policy"\r\n\r\neyJ9\r\n'
    b'--xYz\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
)


def body(file: bytes, head: bytes = _HEAD, end: bytes = b"\r\n--xYz--\r\n") -> bytes:
    return head + file + end


def read(pieces: list[bytes]) -> tuple[FormStream, bytes]:
    form = FormStream(TYPE)
    return form, b"".join(form.feed(piece) for piece in pieces)


@given(
    st.lists(st.sampled_from([b"a", b"\r", b"\n", b"-", b"\r\n--", b"\r\n--xY", b"--xYz", b"\0\xff"])).map(b"".join),
    st.lists(st.integers(0, 400)),
)
def test_the_file_is_the_same_however_the_body_is_cut(file: bytes, cuts: list[int]) -> None:
    assume(b"\r\n--xYz" not in b"\r\n" + file)
    whole = body(file)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    form, found = read([whole[a:b] for a, b in pairwise(places)])
    assert (found, form.complete) == (file, True)
    assert form.fields is not None
    assert form.fields.text("policy") == "eyJ9"


def test_what_comes_behind_the_file_is_ignored() -> None:
    more = b'\r\n--xYz\r\nContent-Disposition: form-data; name="policy"\r\n\r\nother\r\n--xYz--\r\n'
    form, found = read([body(b"file", end=more)])
    assert (found, form.complete) == (b"file", True)
    assert form.fields is not None
    assert form.fields.text("policy") == "eyJ9"


def test_a_body_that_breaks_off_is_not_complete() -> None:
    form, found = read([_HEAD + b"half of it and more than a delimiter"])
    assert not form.complete
    assert b"half of it and more than a delimiter".startswith(found)


def test_a_file_may_be_all_there_is() -> None:
    form, found = read([body(b"", head=_HEAD[_HEAD.index(b"\r\n--xYz") + 2 :])])
    assert (found, form.complete, form.fields and dict(form.fields.values)) == (b"", True, {})


def test_no_form() -> None:
    with pytest.raises(InvalidArgument, match="multipart/form-data"):
        FormStream("application/json")


def test_fields_without_end() -> None:
    form = FormStream(TYPE)
    with pytest.raises(InvalidArgument, match="does not begin"):
        form.feed(b"x" * 40_000)
