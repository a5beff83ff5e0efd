"""The sample events: shapes that API Gateway, EventBridge, S3, SQS and DynamoDB really send, for every trigger."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aws_lambda_powertools.utilities.parser.models import (
    APIGatewayProxyEventV2Model,
    DynamoDBStreamModel,
    S3SqsEventNotificationModel,
    SqsModel,
)
from PIL import Image

from lookalike.domain.application import Application
from lookalike.domain.picture import Picture
from lookalike.ports import Ports
from lookalike.server import sam_template as template_of_one_machine
from lookalike.service.upload import ObjectCreated
from lookalike.service.upload_metadata import LAYOUT
from lookalike.stores.aws.dynamodb_items import picture_item, picture_of
from lookalike.triggers.stream import changes
from lookalike.triggers.uploads import ObjectEvent, messages
from lookalike.wire.http import Request
from lookalike.wire.qiniu import signature
from tests.support.documents import block
from tests.support.fakes import MemoryApplications, MemoryDeadLetters
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
        filled = event["routeKey"].replace("+}", "}").format_map(event.get("pathParameters", {}))
        assert filled == f"{event['requestContext']['http']['method']} {event['rawPath']}"


GROUPS = [path for path in HTTP if read(path)["rawPath"].startswith("/v1/image/group")]


def test_every_call_on_groups_has_an_event(template: Template) -> None:
    calls = {f"{method} {shape}" for routes in template.routes().values() for method, shape in routes}
    shown = [read(path)["routeKey"] for path in GROUPS]
    assert sorted(shown) == sorted(call for call in calls if "/v1/image/group" in call)


@pytest.mark.parametrize("path", GROUPS, ids=[path.stem for path in GROUPS])
def test_a_call_on_groups_is_signed(path: Path) -> None:
    event = read(path)
    caller = Application("ACCESSKEY", "SECRETKEY", "1", "tenant", "signer")
    now = event["requestContext"]["timeEpoch"] // 1000
    assert signature.verify(MemoryApplications(caller), Request.of(event), (), now) == caller


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
    schedules = template.of_type("AWS::Scheduler::Schedule")
    for name in ("purge", "jobs", "canary"):
        schedule = schedules[f"{name.capitalize()}FunctionSchedule"]
        sent = json.loads(schedule["Properties"]["Target"]["Input"])
        assert read(ROOT / f"events/{name}.json").keys() == sent.keys()


UPLOADS = [path for path in EVENTS if operation(path) == "ingest"]
STREAM = [path for path in EVENTS if operation(path) == "index"]


@pytest.mark.parametrize("path", UPLOADS, ids=[path.stem for path in UPLOADS])
def test_an_upload_is_an_event_of_s3_in_one_of_sqs(path: Path) -> None:
    event = read(path)
    SqsModel.model_validate(event)
    (message,) = event["Records"]
    assert hashlib.md5(message["body"].encode()).hexdigest() == message["md5OfBody"]  # noqa: S324 - as SQS has it
    if "Records" in json.loads(message["body"]):
        S3SqsEventNotificationModel.model_validate(event)


def test_uploads_are_read_as_they_are_meant() -> None:
    (put,) = messages(read(ROOT / "events/ingest-put.json"))[0].items
    assert isinstance(put, ObjectEvent)
    assert put.command.key == "uploads/10001/similar/red shoes/été.png"
    assert isinstance(put.command, ObjectCreated)
    assert put.command.sequencer == "0055AED6DCD90281E5"
    assert [message.items for message in messages(read(ROOT / "events/ingest-test.json"))] == [()]


@pytest.mark.parametrize("path", STREAM, ids=[path.stem for path in STREAM])
def test_a_change_of_the_table_is_an_event_of_its_stream(path: Path, template: Template) -> None:
    event = read(path)
    DynamoDBStreamModel.model_validate(event)
    (table,) = template.of_type("AWS::DynamoDB::Table").values()
    for record in event["Records"]:
        stream = record["dynamodb"]
        assert stream["StreamViewType"] == table["Properties"]["StreamSpecification"]["StreamViewType"]
        for image in (stream.get("NewImage"), stream.get("OldImage")):
            assert image is None or _without_text(picture_item(_row(image))) == _without_text(image)


def _row(image: Mapping[str, Any]) -> Picture:
    row = picture_of(image)
    assert row is not None
    return row


def _without_text(image: Mapping[str, Any]) -> dict[str, Any]:
    """The image with binary values as bytes, not as the base64 that Lambda hands over."""
    return {
        name: {"B": base64.b64decode(value["B"])} if isinstance(value.get("B"), str) else value
        for name, value in image.items()
    }


@pytest.mark.parametrize(("name", "revisions", "removed"), [("insert", 1, 0), ("modify", 2, 0), ("remove", 1, 1)])
def test_changes_are_read_as_they_are_meant(name: str, revisions: int, removed: int) -> None:
    found = changes(read(ROOT / f"events/index-{name}.json"), picture_of)
    rows = [change.row for change in found if isinstance(change.row, Picture)]
    assert len(found) == len(rows) == revisions
    assert sum(change.removed for change in found) == removed
    assert [row.revision for row in rows] == sorted(row.revision for row in rows)


@pytest.mark.parametrize("path", [*UPLOADS, *STREAM], ids=[path.stem for path in [*UPLOADS, *STREAM]])
def test_handlers_take_them(path: Path, memory: Ports) -> None:
    answered = template_of_one_machine.load(operation(path))(read(path), Plenty())
    assert answered == {"batchItemFailures": []}
    assert isinstance(memory.dead_letters, MemoryDeadLetters)
    assert memory.dead_letters.letters == []


def test_the_documented_permission_is_for_keys_that_are_read() -> None:
    (statement,) = json.loads(block("json", "UPLOAD-BUCKET"))["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "s3:PutObject")
    key = statement["Resource"].removeprefix("arn:aws:s3:::UPLOAD-BUCKET/").replace("*", "red.jpg")
    place = LAYOUT.fullmatch(key)
    assert place is not None
    assert place.groups() == ("287990385", "similar", "red.jpg")


class Plenty:
    """A context with time left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000
