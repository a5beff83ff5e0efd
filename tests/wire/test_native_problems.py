"""Problems of the native API: each names the place of its fault as the caller knows it, and helps."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from lookalike import errors
from lookalike.ports import Ports
from lookalike.service import staging
from tests.conftest import ALICE
from tests.support.baidu import picture
from tests.support.fakes import SetClock
from tests.support.native import NativeCaller, image, problem

pytestmark = pytest.mark.usefixtures("memory")
alice = NativeCaller(ALICE)

DEEP = json.loads("[" * 101 + "]" * 101)
ONE = image(picture(1))
ABSENT = {"picture": "absent"}


@pytest.fixture(autouse=True)
def shop(memory: Ports) -> None:
    alice.library("shop")
    alice.library("own-id", identity="picture")
    alice.put("shop", "one", picture(1))
    alice.put("shop", "two", picture(2))


@pytest.mark.parametrize(
    ("method", "path", "said", "status", "code", "field"),
    [
        ("PUT", "/jobs/x", {"kind": "x", "library": "shop"}, 400, "invalid_argument", "/kind"),
        ("PUT", "/jobs/a b", {"kind": "duplicates", "library": "shop"}, 400, "invalid_argument", "job"),
        ("PUT", "/jobs/x", {"kind": "duplicates", "library": "absent"}, 404, "library_not_found", "/library"),
        ("PATCH", "/libraries/shop/pictures/one", {"label": DEEP}, 400, "invalid_argument", "/label"),
        ("PATCH", "/libraries/shop/pictures/one", {"desc": DEEP}, 400, "invalid_argument", "/desc"),
        ("GET", "/libraries/shop/pictures/absent", None, 404, "picture_not_found", "id"),
        ("DELETE", "/libraries/shop/pictures/absent", None, 404, "picture_not_found", "id"),
        ("GET", "/libraries/absent", None, 404, "library_not_found", "library"),
        ("POST", "/libraries/own-id/pictures", {"image": ONE, "id": "x"}, 400, "invalid_argument", "/id"),
        ("POST", "/libraries/shop/search", {"image": ABSENT}, 404, "picture_not_found", "/image/picture"),
        ("POST", "/libraries/shop/search", {"image": ONE, "also": [ONE, ABSENT]}, 404, "picture_not_found", "/also/1/picture"),
        ("POST", "/libraries/shop/search", {"image": ONE, "not": [ABSENT]}, 404, "picture_not_found", "/not/0/picture"),
        ("POST", "/libraries/shop/search", {"image": ONE, "not": [ONE] * 50}, 400, "too_many_items", "/not"),
        ("POST", "/libraries/shop/search", {"image": {"picture": "one", "library": "absent"}}, 404, "library_not_found", "/image/library"),
        ("POST", "/search", {"image": ONE, "libraries": ["shop", "absent"]}, 404, "library_not_found", "/libraries/1"),
        ("POST", "/search", {"image": ONE, "libraries": ["shop"] * 21}, 400, "too_many_items", "/libraries"),
        ("POST", "/compare", {"a": ONE, "b": {**ABSENT, "library": "shop"}}, 404, "picture_not_found", "/b/picture"),
        ("POST", "/libraries/shop/duplicates/dismiss", {"pictures": ["one", "absent"]}, 404, "picture_not_found", "/pictures/1"),
        ("POST", "/libraries/shop/duplicates/dismiss", {"pictures": ["one"] * 201}, 400, "too_many_items", "/pictures"),
        ("POST", "/session", {"access_key": "x" * 201, "secret_key": "x"}, 400, "invalid_argument", "/access_key"),
    ],
)  # fmt: skip
def test_the_field_is_where_the_fault_is(method: str, path: str, said: Any, status: int, code: str, field: str) -> None:
    assert problem(alice.call(method, path, said), status, code)["field"] == field


def test_a_value_that_is_none_of_few_is_told_which() -> None:
    said = problem(alice.call("PUT", "/jobs/x", {"kind": "x", "library": "shop"}), 400, "invalid_argument")
    assert said["detail"] == "must be one of duplicates"
    said = problem(alice.call("PUT", "/libraries/new", {"kind": "x"}), 400, "invalid_argument")
    assert said["detail"] == "must be one of same, similar, product"


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ({"id": "new"}, "/url", "one of url, base64 and upload"),
        ({"id": "new", "url": "http://example.com/", **ONE}, "/url", "one of url, base64 and upload"),
        ({"op": "update", "id": "absent", "brief": "x"}, "/id", "absent"),
        ({"op": "delete", "id": "absent"}, "/id", "absent"),
        ({"op": "replace", "id": "one"}, "/op", "add, update, delete"),
    ],
)
def test_a_row_is_told_of_its_own_members(row: Any, field: str, words: str) -> None:
    line = alice.call("POST", "/libraries/shop/bulk", body=json.dumps(row).encode()).lines[0]
    assert line["field"] == field
    assert words in line["detail"]


@pytest.mark.parametrize(
    "file",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        picture(1, "JPEG")[:200],
        picture(1, "PNG")[:60],
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31) + b"IHDR" + bytes(40),
        b"BM" + bytes(60),
        b"GIF89a" + bytes(60),
        b"RIFF\x00\x01\x00\x00WEBPVP8 " + bytes(60),
    ],
)
def test_no_text_of_a_decoder_reaches_a_caller(file: bytes) -> None:
    answer = alice.add("shop", file, id="new")
    assert answer.status == 422
    detail = answer.json["detail"]
    assert not any(word in detail for word in ("Errno", "unpack", "buffer", "object at", "'", "(")), detail


@pytest.mark.parametrize("body", [b'{"access_key": "\\ud800", "secret_key": "x"}', b'{"access_key": "\xff"}', b"["])
def test_no_text_of_a_parser_reaches_whoever_signs_in(body: bytes) -> None:
    detail = problem(NativeCaller().call("POST", "/session", body=body), 400, "invalid_argument")["detail"]
    assert not any(word in detail for word in ("codec", "`str`", "truncated -")), detail


def test_a_link_that_is_none_says_what_helps() -> None:
    said = problem(NativeCaller().call("POST", "/session", {"once": "x"}), 401, "link_invalid")
    assert said["detail"] == "too old, or not made by this service"
    assert "lookalike console" in said["remedy"]


def test_a_library_that_is_other_is_told_how() -> None:
    said = problem(alice.call("PUT", "/libraries/shop", {"kind": "similar"}), 409, "library_exists")
    assert said["detail"] == "shop is of kind same, and its identity is own"


def test_an_upload_that_no_file_can_be_sent_to_any_more_has_expired(clock: SetClock) -> None:
    offered = alice.call("POST", "/uploads").json["upload"]
    said = {"image": {"upload": offered}, "id": "new"}
    problem(alice.call("POST", "/libraries/shop/pictures", said), 409, "upload_missing")
    clock.now += staging.SEND_SECONDS * 1000
    problem(alice.call("POST", "/libraries/shop/pictures", said), 410, "upload_expired")


@pytest.mark.parametrize("id_", ["%FF", "%F0%9F%98", "%C3", "a%FFb", "\ufffd"])
def test_an_id_that_is_not_utf_8_names_no_picture(id_: str) -> None:
    """U+FFFD as it is stands where a gateway has decoded what it could not."""
    for method, said in (("PUT", {"image": ONE}), ("GET", None), ("DELETE", None)):
        problem(alice.call(method, f"/libraries/shop/pictures/{id_}", said), 400, "invalid_argument")


def test_a_replacement_character_that_is_meant_is_an_id() -> None:
    for segment in ("%EF%BF%BD", "~77-9"):
        assert alice.call("PUT", f"/libraries/shop/pictures/{segment}", {"image": ONE}).json["id"] == "\ufffd"


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/libraries", {"limit": 1}),
        ("GET", "/libraries/shop/pictures", {"limits": 1}),
        ("POST", "/libraries/shop/pictures", {"idd": "x"}),
        ("POST", "/libraries/shop/search", {"limit": 1}),
    ],
)
def test_a_parameter_that_a_call_does_not_take_is_not_ignored(method: str, path: str, query: dict[str, Any]) -> None:
    answer = alice.call(method, path, body=picture(1), headers={"content-type": "image/png"}, **query)
    said = problem(answer, 400, "invalid_argument")
    assert said["field"] == next(iter(query))
    if path.endswith("/search"):
        assert "form" in said["remedy"]


@pytest.mark.parametrize(
    ("error", "status", "code", "field"),
    [
        (errors.TokenExpired("secret"), 401, "token_expired", ""),
        (errors.SignAmbiguous("1,2"), 409, "sign_ambiguous", "id"),
        (errors.PictureSizeError("10 × 9 pixels"), 422, "picture_size", "picture"),
        (errors.UrlError("ftp"), 422, "url_failed", "url"),
        (errors.UrlLengthError("too long"), 422, "url_length", "url"),
        (errors.UrlNotPublic("10.0.0.1"), 422, "url_not_public", "url"),
        (errors.UrlTimeout("10 s"), 422, "url_timeout", "url"),
        (errors.UrlAnswerError("HTTP 404"), 422, "url_answer", "url"),
        (errors.UrlAnswerTooLong("9 MB"), 422, "url_answer_too_long", "url"),
        (errors.ServiceRateReached(), 429, "too_many_requests", ""),
        (errors.Busy("10 s"), 503, "busy", ""),
        (errors.OutOfTime("10 s"), 503, "out_of_time", ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_goes_wrong_below_has_its_problem(
    memory: Ports, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str, field: str
) -> None:
    """Wherever it comes from; what may be tried again says when."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(memory.catalog), "libraries", fail)
    answer = alice.call("GET", "/libraries")
    said = problem(answer, status, code)
    assert said.get("field", "") == field, said
    if "retry-after" in answer.headers:
        assert "Retry-After" in said.get("remedy", "Retry-After"), "a caller cannot change settings"
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    assert ("www-authenticate" in answer.headers) == (status == 401)
