"""Bodies as they really arrive."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lookalike.errors import InvalidArgument
from lookalike.wire.forms import MAX_FIELDS, Form, body, read, urlencoded
from lookalike.wire.http import Request

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=----b7"

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
NAMES = st.text(st.characters(categories=["Ll", "Nd"], include_characters="_"), min_size=1, max_size=12)


def multipart(*parts: tuple[str, bytes], boundary: str = "----b7") -> bytes:
    lines = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (boundary.encode(), name.encode(), value)
        for name, value in parts
    )
    return lines + b"--%s--\r\n" % boundary.encode()


def cesu(text: str) -> bytes:
    """UTF-8 with a surrogate at a time, as Java and old databases write it."""
    units = text.encode("utf-16-be")
    pairs = (units[at : at + 2] for at in range(0, len(units), 2))
    return b"".join(pair.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass") for pair in pairs)


class TestForms:
    @given(st.dictionaries(NAMES, TEXTS, max_size=8), st.booleans())
    def test_fields_come_out_as_they_went_in(self, fields: dict[str, str], plus: bool) -> None:
        body = urlencode(fields, quote_via=quote_plus if plus else quote).encode()
        form = read(FORM, body)
        assert {name: form.text(name) for name in form.values} == fields

    @given(st.binary(max_size=100))
    @example(b"%2B%2f%3d%25 +%2B")
    @example(b"%2%2BB%252B")
    def test_any_bytes_percent_encoded(self, value: bytes) -> None:
        assert urlencoded(b"v=" + quote_plus(value).encode()).data("v") == value

    @pytest.mark.parametrize(
        "content_type",
        ["", FORM, f"{FORM};charset=UTF-8", "text/plain", "application/json", "multipart/form-data", "nonsense"],
    )
    def test_whatever_the_type_says(self, content_type: str) -> None:
        assert read(content_type, b"brief=a%20b&tags=1").text("brief") == "a b"

    def test_blank_values_and_bare_keys_are_there_and_empty(self) -> None:
        form = urlencoded(b"tags=&brief&&=x&image=a=b==")
        assert "tags" in form
        assert "brief" in form
        assert "url" not in form
        assert (form.text("tags"), form.text("brief"), form.text("url")) == ("", "", "")
        assert form.data("image") == b"a=b=="

    def test_the_first_of_repeated_fields_counts(self) -> None:
        assert urlencoded(b"brief=1&brief=2").text("brief") == "1"

    def test_a_brief_that_nobody_percent_encoded(self) -> None:
        body = 'brief={"name":"小度", "id":"100%"}&image=abc&tags=1,1'.encode()
        assert read("", body).text("brief") == '{"name":"小度", "id":"100%"}'

    @pytest.mark.parametrize("escaped", [False, True])
    def test_gb18030_where_it_is_not_utf8(self, escaped: bool) -> None:
        value = "相同图检索".encode("gb18030")
        form = read("", b"brief=" + (quote(value).encode() if escaped else value) + b"&url=" + "图".encode())
        assert form.text("brief") == "相同图检索"
        assert form.text("url") == "图"

    def test_text_that_is_none(self) -> None:
        form = urlencoded(b"brief=%ff%ff&label=a%00b&surrogate=%ED%A0%80%81")
        for name in form.values:
            with pytest.raises(InvalidArgument):
                form.text(name)

    @pytest.mark.parametrize("content_type", [FORM, "", "text/plain"])
    def test_behind_a_byte_order_mark(self, content_type: str) -> None:
        assert read(content_type, b"\xef\xbb\xbfimage=QUJD&brief=x").data("image") == b"QUJD"
        assert urlencoded(b"brief=%EF%BB%BFx").text("brief") == "\ufeffx"

    @given(st.text(st.characters(min_codepoint=0x10000), min_size=1, max_size=5), TEXTS)
    def test_emoji_that_come_a_surrogate_at_a_time(self, emoji: str, around: str) -> None:
        value = cesu(around) + cesu(emoji) + cesu(around)
        assert urlencoded(b"brief=" + quote(value).encode()).text("brief") == around + emoji + around
        assert read(MULTIPART, multipart(("brief", value))).text("brief") == around + emoji + around
        body = b'{"brief": "' + cesu(emoji) + b'\\ud83d\\ude00"}'
        assert read("application/json", body).text("brief") == emoji + "\N{GRINNING FACE}"

    @pytest.mark.parametrize(
        "half", [b"\xed\xa0\xbd", b"\xed\xb8\x80", b"\xed\xb8\x80\xed\xa0\xbd", b"\xed\xa0\xbd" * 2]
    )
    def test_half_a_surrogate_pair_is_no_text(self, half: bytes) -> None:
        for form in (
            urlencoded(b"brief=a" + quote(half).encode()),
            read(MULTIPART, multipart(("brief", b"a" + half))),
        ):
            with pytest.raises(InvalidArgument):
                form.text("brief")
        with pytest.raises(InvalidArgument):
            read("application/json", b'{"brief": "a' + half + b'"}')

    @given(st.binary(max_size=40))
    def test_text_can_always_be_stored(self, value: bytes) -> None:
        try:
            text = Form({"brief": value}).text("brief")
        except InvalidArgument:
            return
        text.encode()
        assert "\0" not in text

    def test_too_many_fields(self) -> None:
        fields = [f"f{number}=1" for number in range(MAX_FIELDS + 1)]
        assert len(urlencoded("&".join(fields[1:]).encode()).values) == MAX_FIELDS
        with pytest.raises(InvalidArgument):
            urlencoded("&".join(fields).encode())


class TestMultipart:
    @given(st.dictionaries(NAMES, st.binary(max_size=60), max_size=6))
    def test_fields_come_out_as_they_went_in(self, fields: dict[str, bytes]) -> None:
        assert read(MULTIPART, multipart(*fields.items())).values == fields

    @pytest.mark.parametrize("said", ['multipart/form-data; boundary="a b"', 'Multipart/Form-Data;Boundary="a b"; x=y'])
    def test_a_quoted_boundary(self, said: str) -> None:
        assert read(said, multipart(("brief", b"x"), boundary="a b")).text("brief") == "x"

    def test_parts_as_curl_and_browsers_write_them(self) -> None:
        body = (
            b"a preamble\r\n------b7 \r\n"
            b'Content-Type: text/plain; charset=UTF-8\r\ncontent-disposition: form-data; filename="name=no"; name=image\r\n\r\n'
            b"line\r\n--other\r\n\r\n"
            b'\r\n------b7\r\nContent-Disposition: form-data;name="brief"\r\n\r\n\r\n------b7--\r\nan epilogue'
        )
        assert read(MULTIPART, body).values == {"image": b"line\r\n--other\r\n\r\n", "brief": b""}

    def test_behind_a_byte_order_mark(self) -> None:
        assert read(MULTIPART, b"\xef\xbb\xbf" + multipart(("brief", b"x"), ("tags", b"1"))).text("brief") == "x"

    def test_gb18030_and_repeated_fields(self) -> None:
        form = read(MULTIPART, multipart(("brief", "小度".encode("gb18030")), ("brief", b"second")))
        assert form.text("brief") == "小度"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"no boundary at all",
            multipart(("brief", b"x"))[:-6],
            b"------b7\r\nContent-Type: text/plain\r\n\r\nx\r\n------b7--\r\n",
            b"------b7\r\n\r\nx\r\n------b7--\r\n",
            b"------b7 brief\r\n\r\nx\r\n------b7--\r\n",
            b'------b7\r\nContent-Disposition: form-data; name="brief"\r\nx\r\n------b7--\r\n',
            b"------b7\r\nA: " + b"a" * 5000 + b'\r\nContent-Disposition: x; name="b"\r\n\r\nx\r\n------b7--\r\n',
            multipart(*((f"f{number}", b"") for number in range(MAX_FIELDS + 1))),
        ],
    )
    def test_what_cannot_be_read(self, body: bytes) -> None:
        with pytest.raises(InvalidArgument):
            read(MULTIPART, body)

    def test_as_many_fields_as_a_form(self) -> None:
        assert len(read(MULTIPART, multipart(*((f"f{n}", b"") for n in range(MAX_FIELDS)))).values) == MAX_FIELDS


class TestJson:
    @given(st.dictionaries(NAMES, TEXTS, max_size=8))
    def test_fields_come_out_as_they_went_in(self, fields: dict[str, str]) -> None:
        form = read("application/json; charset=utf-8", json.dumps(fields).encode())
        assert {name: form.text(name) for name in form.values} == fields

    def test_numbers_booleans_and_null(self) -> None:
        body = b'\xef\xbb\xbf {"pn": 10, "rn": 1e3, "big": 123456789012345678901, "logic": true, "off": false, "url": null}'
        form = read("application/json", body)
        assert {name: form.text(name) for name in form.values} == {
            "pn": "10",
            "rn": "1e3",
            "big": "123456789012345678901",
            "logic": "true",
            "off": "false",
        }

    def test_gb18030_and_repeated_fields(self) -> None:
        form = read("application/json", '{"brief":"小度","brief":"second"}'.encode("gb18030"))
        assert form.text("brief") == "小度"

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b'{"brief": {"nested": 1}}',
            b'{"tags": [1, 2]}',
            b'{"brief": "\\ud800"}',
            b"{} {}",
            b'{"a":' + b"[" * 100_000,
            json.dumps({f"f{number}": 1 for number in range(MAX_FIELDS + 1)}).encode(),
        ],
    )
    def test_what_cannot_be_read(self, body: bytes) -> None:
        with pytest.raises(InvalidArgument):
            read("application/json", body)

    def test_json_of_another_type_is_a_form(self) -> None:
        assert read(FORM, b'{"brief": "x"}').text("brief") == ""


def test_the_fields_of_a_body_in_gzip() -> None:
    packed = base64.b64encode(gzip.compress(b"brief=a+b&rn=1")).decode()
    sent = {"headers": {"content-type": FORM, "content-encoding": "gzip"}, "body": packed, "isBase64Encoded": True}
    assert body(Request.of(sent)).values == {"brief": b"a b", "rn": b"1"}


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_what_the_gateway_replaced_because_it_was_no_utf8_is_no_field(content_type: str) -> None:
    """The gateway hands text types over as text, and puts U+FFFD in the place of what is none."""
    sent: dict[str, Any] = {
        "headers": {"content-type": content_type},
        "body": "brief=\ufffd\ufffd&x=1",
        "isBase64Encoded": False,
    }
    with pytest.raises(InvalidArgument):
        body(Request.of(sent))
    whole = {**sent, "body": base64.b64encode(sent["body"].encode()).decode(), "isBase64Encoded": True}
    assert body(Request.of(whole)).text("brief") == "\ufffd\ufffd"


def test_a_picture_of_four_mebibytes_in_every_form() -> None:
    picture = base64.b64encode(bytes(range(256)) * (3 * 4096))
    assert len(picture) == 4 * 1024 * 1024
    assert read(FORM, urlencode({"image": picture, "brief": "x"}).encode()).data("image") == picture
    assert read(MULTIPART, multipart(("image", picture))).data("image") == picture
    assert read("application/json", b'{"image":"' + picture + b'"}').data("image") == picture
