"""The sample events: shapes that API Gateway and EventBridge really send, one for every trigger."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aws_lambda_powertools.utilities.parser.models import APIGatewayProxyEventV2Model
from PIL import Image

from tests.template.conftest import ROOT, Template

EVENTS = sorted((ROOT / "events").glob("*.json"))

#: Content types whose bodies an HTTP API hands over as text; all others come as base64.
TEXT = re.compile(r"text/|application/(json|javascript|xml)")


def read(path: Path) -> dict[str, Any]:
    """An event."""
    event: dict[str, Any] = json.loads(path.read_text())
    return event


HTTP = [path for path in EVENTS if "routeKey" in read(path)]
each_request = pytest.mark.parametrize("path", HTTP, ids=[path.stem for path in HTTP])


def operation(path: Path) -> str:
    """The function an event is for, by its file's name."""
    return path.stem.split("-")[0]


def body(event: Mapping[str, Any]) -> bytes:
    """The bytes that the client sent."""
    text = event.get("body", "")
    return base64.b64decode(text, validate=True) if event["isBase64Encoded"] else text.encode()


def test_every_function_has_an_event(template: Template) -> None:
    assert {operation(path) for path in EVENTS} == set(template.functions())


@each_request
def test_a_request_is_a_payload_2_event(path: Path) -> None:
    event = read(path)
    APIGatewayProxyEventV2Model.model_validate(event)
    context = event["requestContext"]
    assert (context["routeKey"], context["http"]["path"]) == (event["routeKey"], event["rawPath"])
    assert all(name == name.lower() for name in event["headers"])
    assert event["headers"].get("content-length", "0") == str(len(body(event)))
    assert event["isBase64Encoded"] == ("body" in event and not TEXT.match(event["headers"]["content-type"]))


@each_request
def test_a_request_has_the_route_that_the_template_gives_it(path: Path, template: Template) -> None:
    event = read(path)
    routes = {
        shape if shape == "$default" else f"{method} {shape}" for method, shape in template.routes()[operation(path)]
    }
    assert event["routeKey"] in routes
    if event["routeKey"] != "$default":
        filled = event["routeKey"].format_map(event.get("pathParameters", {}))
        assert filled == f"{event['requestContext']['http']['method']} {event['rawPath']}"


@pytest.mark.parametrize("name", ["add-form", "add-multipart", "search", "update"])
def test_the_pictures_in_requests_can_be_seen(name: str) -> None:
    sent = body(read(ROOT / f"events/{name}.json"))
    if name == "add-multipart":
        found = re.search(rb'name="image"\r\n\r\n(.+?)\r\n', sent)
        assert found
        image = found[1].decode()
    else:
        (image,) = parse_qs(sent.decode())["image"]
    with Image.open(io.BytesIO(base64.b64decode(image, validate=True))) as picture:
        picture.load()
        assert min(picture.size) >= 15


def test_the_schedule_sends_what_its_event_shows(template: Template) -> None:
    (schedule,) = template.of_type("AWS::Scheduler::Schedule").values()
    sent = json.loads(schedule["Properties"]["Target"]["Input"])
    assert read(ROOT / "events/purge.json").keys() == sent.keys()
