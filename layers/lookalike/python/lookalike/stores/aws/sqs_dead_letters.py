"""Dead letters in an SQS queue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lookalike.domain.upload import DeadLetter
from lookalike.errors import Unavailable
from lookalike.ports import DeadLetters

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: How the client should be made: a message is kept in some tens of milliseconds.
CONFIG = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})

#: What a message may not hold (Amazon SQS API reference, SendMessage).
_UNSAYABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: Characters of a reason: enough to read, and far from the size a message may have.
_LONGEST_REASON = 1000


class SqsDeadLetters(DeadLetters):
    """The message as it came, with the attributes ``operation``, ``reason`` and ``file``.

    So a queue's redrive hands it back to where it came from.

    Parameters
    ----------
    client : safe to use from several threads.
    url : the queue's.
    """

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, letter: DeadLetter) -> None:
        said = {"operation": letter.operation, "reason": letter.reason[:_LONGEST_REASON], "file": letter.file}
        try:
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=_sayable(letter.body),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": _sayable(word)}
                    for name, word in said.items()
                    if word or name != "file"
                },
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"SQS: {error}") from error


def _sayable(text: str) -> str:
    """SQS takes neither an empty text nor what XML cannot say."""
    return _UNSAYABLE.sub("\ufffd", text) or "-"
