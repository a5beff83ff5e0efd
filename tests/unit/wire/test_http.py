"""Events in, answers out, and the routing between."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from lookalike.errors import InvalidArgument
from lookalike.ports import Ports
from lookalike.settings import Settings
from lookalike.wire import http
from lookalike.wire.http import Answer, Request, Route
from lookalike.wire.log_fields import LogFields
from tests.support.baidu import event
from tests.support.fakes import memory_ports


def test_reads_an_event() -> None:
    sent = event("post", "/rest/caf%C3%A9", query="a=b%20c", headers={"X-Name": "value"}, body=b"\xff\x00")
    request = Request.of(sent)
    assert request.id == "request-1"
    assert request.method == "POST"
    assert (request.path, request.raw_path) == ("/rest/café", "/rest/caf%C3%A9")
    assert request.raw_query == "a=b%20c"
    assert request.headers == {"host": "example.com", "x-name": "value"}
    assert request.content() == b"\xff\x00"
    assert request.source_ip == "203.0.113.9"


def test_cookies_come_parted_or_as_their_header() -> None:
    sent = event("GET", "/")
    assert Request.of(sent).cookies == ("",)
    assert Request.of({**sent, "cookies": ["a=1", "b=2"]}).cookies == ("a=1", "b=2")
    assert Request.of({**sent, "cookies": None}).cookies == ()
    assert Request.of(event("GET", "/", headers={"Cookie": "a=1; b=2"})).cookies == ("a=1", " b=2")


def test_an_answer_sets_cookies_beside_its_headers_and_only_where_it_has_some() -> None:
    assert Answer(b"", cookies=("a=1", "b=2")).event()["cookies"] == ["a=1", "b=2"]
    assert "cookies" not in Answer(b"").event()


def test_the_path_has_no_stage_and_the_raw_path_keeps_it() -> None:
    request = Request.of(event("GET", "/rest/x", stage="prod"))
    assert (request.path, request.raw_path) == ("/rest/x", "/prod/rest/x")
    assert Request.of({**event("GET", "/rest/x", stage="prod"), "rawPath": "/products"}).path == "/products"


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("//rest/x", "/rest/x"),
        ("///rest//x/", "/rest//x/"),
        ("//", "/"),
        ("/%2Frest", "//rest"),
        ("/prod//rest/x", "/rest/x"),
    ],
)
def test_the_path_begins_with_one_slash_and_the_raw_path_as_it_was_sent(raw: str, path: str) -> None:
    stage = "prod" if raw.startswith("/prod") else "$default"
    request = Request.of({"rawPath": raw, "requestContext": {"stage": stage}})
    assert (request.path, request.raw_path) == (path, raw)


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def sent(body: bytes, coding: str) -> Request:
    return Request.of(event("POST", "/", headers={"Content-Encoding": coding}, body=body))


@pytest.mark.parametrize("coding", ["gzip", "GZip", "x-gzip", "identity, gzip"])
def test_a_body_in_gzip_is_read_and_kept_as_signatures_see_it(coding: str) -> None:
    request = sent(packed(b"rn=1"), coding)
    assert (request.content(), request.body) == (b"rn=1", packed(b"rn=1"))


@pytest.mark.parametrize("coding", ["gzip", "UTF-8", "", "identity", "deflate", "aws-chunked"])
def test_a_plain_body_is_taken_whatever_its_encoding_is_called(coding: str) -> None:
    assert sent(b"rn=1", coding).content() == b"rn=1"


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (packed(b"rn=1")[:-1], "gzip"),
        (packed(b"rn=1") + b"x", "gzip"),
        (packed(b"rn=1")[:10] + b"xxxxxxxxxxxx", "gzip"),
        (packed(bytes(10 * 1024 * 1024 + 1)), "gzip"),
        (zlib.compress(b"rn=1"), "deflate"),
        (b"\x8b\x02\x80rn=1\x03", "br"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ],
)
def test_a_compressed_body_that_cannot_be_read_or_is_too_large(body: bytes, coding: str) -> None:
    with pytest.raises(InvalidArgument):
        sent(body, coding).content()


def test_what_a_body_in_gzip_may_hold_is_as_much_as_a_plain_one() -> None:
    assert len(sent(packed(bytes(10 * 1024 * 1024)), "gzip").content()) == 10 * 1024 * 1024


def test_a_body_that_came_as_text() -> None:
    assert Request.of({**event("POST", "/"), "body": "小度", "isBase64Encoded": False}).content() == "小度".encode()


@pytest.mark.parametrize("body", ["!", "YQ", "YQ==YQ==", "é", "Y Q="])
def test_broken_base64_is_the_callers_bad_argument(body: str) -> None:
    request = Request.of({**event("POST", "/"), "body": body})
    assert request.body is None
    with pytest.raises(InvalidArgument):
        request.content()


@pytest.mark.parametrize(
    "bare", [{}, {"requestContext": None, "headers": None, "body": None}, {"requestContext": {"http": None}}]
)
def test_an_event_that_lacks_everything_is_a_get_of_the_root(bare: dict[str, Any]) -> None:
    request = Request.of(bare)
    assert (request.method, request.path, request.body) == ("GET", "/", b"")


def test_neither_headers_nor_body_show_in_a_requests_repr() -> None:
    shown = repr(Request.of(event("POST", "/", headers={"authorization": "secret-header"}, body=b"secret-body")))
    assert "secret" not in shown


def named(name: str) -> http.Endpoint:
    return lambda _ports, request: Answer(f"{name} {dict(request.arguments)}".encode())


ROUTES = (
    Route("POST", "/a/{one}/b", named("first")),
    Route("*", "/a/{rest+}", named("second")),
    Route("GET", "/a.b", named("third")),
)


@pytest.mark.parametrize(
    ("method", "path", "answered"),
    [
        ("POST", "/a/x/b", "first {'one': 'x'}"),
        ("GET", "/a/x/b", "second {'rest': 'x/b'}"),
        ("POST", "/a/x/y/b", "second {'rest': 'x/y/b'}"),
        ("DELETE", "/a/%0Ab", "second {'rest': '\\nb'}"),
        ("GET", "/a.b", "third {}"),
        ("GET", "/aXb", '{"message":"Not Found"}'),
        ("POST", "/a.b", '{"message":"Not Found"}'),
        ("GET", "/", '{"message":"Not Found"}'),
    ],
)
def test_the_first_route_that_matches_answers(method: str, path: str, answered: str) -> None:
    reply = http.answer(memory_ports(), "test", ROUTES, event(method, path))
    assert reply["body"] == answered
    assert reply["statusCode"] == (404 if "Not Found" in answered else 200)


def test_one_metrics_line_a_request_if_metrics_are_on(capsys: pytest.CaptureFixture[str]) -> None:
    for on in (True, False):
        http.answer(memory_ports(settings=Settings(metrics=on)), "add", ROUTES, event("GET", "/nowhere"))
    (line,) = capsys.readouterr().out.splitlines()
    written = json.loads(line)
    assert (written["operation"], written["outcome"], written["Requests"]) == ("add", "UnknownOperation", [1.0])
    assert written["Latency"][0] >= 0


@pytest.mark.parametrize("failed", [True, False])
def test_what_is_our_failure_is_counted_as_one(capsys: pytest.CaptureFixture[str], failed: bool) -> None:
    def endpoint(_ports: Ports, _request: Request) -> Answer:
        return Answer(b"", outcome="Unavailable", failed=failed)

    ports = memory_ports(settings=Settings(metrics=True, stack="one"))
    http.answer(ports, "add", [Route("*", "/{any+}", endpoint)], event("GET", "/x"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["stack"] for line in lines} == {"one"}
    failures = [(line["trigger"], line["Failures"]) for line in lines if "Failures" in line]
    assert failures == ([("request", [1.0])] if failed else [])


def test_one_log_line_a_request(log_lines: Callable[[], list[dict[str, Any]]]) -> None:
    def endpoint(_ports: Ports, _request: Request) -> Answer:
        return Answer(b"", outcome="PictureExists", log=LogFields(app_id="1"))

    http.answer(memory_ports(), "add", [Route("*", "/{any+}", endpoint)], event("GET", "/x", body=b"12345"))
    (line,) = log_lines()
    assert line.pop("milliseconds") >= 0
    said = {name: line[name] for name in ("operation", "outcome", "status", "request_id", "request_bytes", "app_id")}
    assert said == {
        "operation": "add",
        "outcome": "PictureExists",
        "status": 200,
        "request_id": "request-1",
        "request_bytes": 5,
        "app_id": "1",
    }
