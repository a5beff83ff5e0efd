"""Events and responses of one machine equal those of API Gateway."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser.models import APIGatewayProxyEventV2Model
from hypothesis import given
from hypothesis import strategies as st

from lookalike.server import api_gateway
from lookalike.server.api_gateway import MAX_EVENT_BYTES, HttpRequest, event_size, to_event, to_response
from lookalike.wire.http import Request


def received(body: bytes = b"", **changes: Any) -> HttpRequest:
    given_: dict[str, Any] = {
        "method": "POST",
        "path": "/rest/2.0/a%20b",
        "query": "access_token=T&x=1&x=2",
        "headers": (("Host", "127.0.0.1:8000"), ("Content-Type", "application/x-www-form-urlencoded")),
        "body": body,
        "client": "127.0.0.1",
        "arrived": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    return HttpRequest(**given_ | changes)


def test_an_event_is_what_powertools_own_model_of_it_expects() -> None:
    model = APIGatewayProxyEventV2Model.model_validate(to_event(received(b"a=1")))
    assert model.requestContext.http.method == "POST"
    assert model.rawPath == "/rest/2.0/a%20b"
    assert model.rawQueryString == "access_token=T&x=1&x=2"
    assert model.queryStringParameters == {"access_token": "T", "x": "1,2"}


def test_header_names_are_lower_case_and_repeats_are_joined() -> None:
    event = to_event(received(headers=(("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1; b=2"))))
    assert event["headers"] == {"x-a": "1,2", "x-forwarded-proto": "http"}
    assert event["cookies"] == ["a=1", "b=2"]


def test_how_a_client_has_connected_is_what_the_server_knows_and_not_what_the_client_says() -> None:
    for claimed, scheme in (("https", "http"), ("http", "https"), ("https, http", "http")):
        event = to_event(received(headers=(("X-Forwarded-Proto", claimed),), scheme=scheme))
        assert event["headers"]["x-forwarded-proto"] == scheme
        assert Request.of(event).over_https is (scheme == "https")


@pytest.mark.parametrize(
    ("host", "name"),
    [("x", "x"), ("X.example:8000", "x.example"), ("[::1]", "[::1]"), ("[::1]:8000", "[::1]"), ("x:", "x"), ("", "")],
)
def test_the_host_is_named_without_its_port(host: str, name: str) -> None:
    request = received(headers=(("host", host),))
    assert (request.host, to_event(request)["requestContext"]["domainName"].lower()) == (name, name)
    assert received(headers=()).host == ""


@pytest.mark.parametrize(
    ("content_type", "as_text"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("text/plain", True),
        ("application/xml", True),
        ("application/javascript", True),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("image/png", False),
        ("", False),
    ],
)
def test_only_text_types_arrive_as_text(content_type: str, as_text: bool) -> None:
    event = to_event(received(b"body", headers=(("content-type", content_type),)))
    assert event["isBase64Encoded"] is not as_text
    assert event["body"] == ("body" if as_text else base64.b64encode(b"body").decode())


@given(st.binary(max_size=200), st.sampled_from(["application/x-www-form-urlencoded", "multipart/form-data", ""]))
def test_a_handler_gets_back_the_very_bytes_that_were_sent(body: bytes, content_type: str) -> None:
    event = json.loads(json.dumps(to_event(received(body, headers=(("content-type", content_type),)))))
    request = Request.of(event)
    assert request.body == body
    assert (request.path, request.raw_path) == ("/rest/2.0/a b", "/rest/2.0/a%20b")
    assert request.source_ip == "127.0.0.1"


@given(st.binary(max_size=300), st.sampled_from(["application/json", "image/png"]))
def test_an_events_size_is_that_of_its_json(body: bytes, content_type: str) -> None:
    event = to_event(received(body, headers=(("content-type", content_type),)))
    missing = 0 if body else len(', "body": ""')
    assert event_size(event) == len(json.dumps(event)) + missing


def test_answers_become_responses() -> None:
    answer = {"statusCode": 201, "headers": {"Content-Type": "text/plain"}, "cookies": ["a=1"], "body": "é"}
    response = to_response(answer)
    assert response.status == 201
    assert response.headers == (("content-type", "text/plain"), ("set-cookie", "a=1"))
    assert response.body == "é".encode()
    assert to_response({"statusCode": 200, "body": "AAEC", "isBase64Encoded": True}).body == b"\x00\x01\x02"


@pytest.mark.parametrize(
    "answer", [None, "text", {}, {"statusCode": "200"}, {"statusCode": 200, "body": "x" * (MAX_EVENT_BYTES + 1)}]
)
def test_answers_that_lambda_could_not_give_are_the_gateways_500(answer: object) -> None:
    assert to_response(answer) == api_gateway.FAILED
