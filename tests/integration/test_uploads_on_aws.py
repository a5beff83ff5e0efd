"""Objects put into a bucket: the emulated S3's own events, through SQS, to the handler; and dead letters."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.application import Application
from lookalike.handlers.process_ports import serving
from lookalike.handlers.uploads import upload_handler
from lookalike.ports import Ports
from lookalike.settings import Settings
from lookalike.stores.aws.s3_objects import CONFIG, S3Uploads
from lookalike.stores.aws.sqs_dead_letters import SqsDeadLetters
from tests.support.emulated import aws
from tests.support.fakes import MemoryCatalog, memory_ports

ALICE = Application("access", "secret", "10000001", "tenant", "alice")
BUCKET = "uploads-here"
DEAD_OBJECTS = [("10000001", "b.png"), ("20000001", "a.png")]


class AmpleTime:
    """A Lambda context with a minute left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@dataclass(frozen=True, slots=True)
class Account:
    """A bucket whose events go to a queue, and a queue of dead letters."""

    s3: Any
    sqs: Any
    queue: str
    dead: str
    catalog: MemoryCatalog
    ports: Ports

    def put(self, key: str, data: bytes, **words: str) -> None:
        metadata = {name: quote(word) for name, word in words.items()}
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=data, Metadata=metadata)

    def deliver(self) -> None:
        """Pass the queue's messages to the handler, as Lambda polls them, and delete those that succeeded."""
        while found := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            records = [{"messageId": message["MessageId"], "body": message["Body"]} for message in found]
            assert upload_handler()({"Records": records}, AmpleTime()) == {"batchItemFailures": []}
            for message in found:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    def briefs(self) -> list[str]:
        return sorted(row.metadata.brief for row in self.catalog.rows.values() if row.live)


@pytest.fixture(params=[True, False], ids=["uploads are kept", "uploads go"])
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    with aws() as make:
        s3, sqs = make("s3", config=CONFIG), make("sqs")
        queue, dead = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("uploads", "dead"))
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        s3.create_bucket(Bucket=BUCKET)
        events = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]}
        s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=events)
        catalog = MemoryCatalog()
        ports = memory_ports(
            ALICE,
            catalog=catalog,
            objects=S3Uploads(s3),
            dead_letters=SqsDeadLetters(sqs, dead),
            settings=Settings(keep_uploads=request.param),
        )
        with serving(ports):
            yield Account(s3, sqs, queue, dead, catalog, ports)


def file(number: int) -> bytes:
    """A different picture for each number."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["a.png", "in/g 1/é+.png", "%00%2F.png", "猫 & ?#.png"])
def test_a_picture_put_into_the_bucket_is_added(account: Account, name: str) -> None:
    account.put(f"uploads/10000001/similar/{name}", file(1), brief="书 1")
    account.deliver()
    assert account.briefs() == ["书 1"]
    assert account.s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == account.ports.settings.keep_uploads


def test_an_object_put_twice_is_its_last_picture(account: Account) -> None:
    for number in range(3):
        account.put("uploads/10000001/similar/a.png", file(number), brief=str(number))
    account.deliver()
    assert account.briefs() == ["2"]
    account.put("uploads/10000001/similar/a.png", file(7), brief="7")
    account.deliver()
    assert account.briefs() == ["7"]


@pytest.mark.parametrize("account", [True], indirect=True, ids=["uploads are kept"])
@pytest.mark.parametrize("late", [False, True], ids=["as it happens", "once it has happened"])
def test_objects_that_are_moved_stay_with_their_present_names(account: Account, *, late: bool) -> None:
    """As ``aws s3 mv`` does it: a copy, and a deletion."""
    place = "uploads/10000001/similar"
    for number in range(3):
        account.put(f"{place}/{number}.png", file(number))
    account.deliver()
    for name, to in (("0", "old/0"), ("1", "0"), ("2", "1")):
        source = {"Bucket": BUCKET, "Key": f"{place}/{name}.png"}
        account.s3.copy_object(Bucket=BUCKET, Key=f"{place}/{to}.png", CopySource=source)
        if not late:
            account.deliver()
        account.s3.delete_object(**source)
    account.deliver()
    assert account.briefs() == ["0.png", "1.png", "old/0.png"]
    assert len(account.catalog.rows) == 3


def test_what_is_no_picture_is_in_the_dead_letters_with_its_reason_and_can_be_sent_again(account: Account) -> None:
    account.put("uploads/20000001/similar/a.png", file(1), brief="late")
    account.put("uploads/10000001/similar/b.png", b"no picture")
    account.deliver()
    found = account.sqs.receive_message(QueueUrl=account.dead, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    letters = {
        json.loads(message["Body"])["Records"][0]["s3"]["object"]["key"]: (
            message["MessageAttributes"]["reason"]["StringValue"],
            message["Body"],
        )
        for message in found["Messages"]
    }
    files = sorted(message["MessageAttributes"]["file"]["StringValue"] for message in found["Messages"])
    assert files == [f"s3://{BUCKET}/uploads/{name}/similar/{end}" for name, end in DEAD_OBJECTS]
    reasons = sorted(reason for reason, _ in letters.values())
    assert reasons[0] == "ApplicationNotFound: application: no application has the app id 20000001"
    assert reasons[1].startswith("NotAPicture: ")
    account.ports.applications.save_application(Application("other", "secret", "20000001", "tenant-2", "later"))
    for _, body in letters.values():
        account.sqs.send_message(QueueUrl=account.queue, MessageBody=body)
    account.deliver()
    assert account.briefs() == ["late"]
