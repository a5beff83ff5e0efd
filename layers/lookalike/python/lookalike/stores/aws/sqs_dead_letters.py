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

#: Configuration of the client. SQS accepts a message in some tens of milliseconds.
CONFIG = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})

#: Characters that a message may not contain: those that XML cannot express (Amazon SQS API reference, SendMessage).
_INVALID_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: Characters of a reason: enough to read, and far below the size limit of a message.
_MAX_REASON = 1000


class SqsDeadLetters(DeadLetters):
    """Sends the message body unchanged, with the attributes ``operation``, ``reason`` and ``file``.

    A redrive of the queue therefore returns the message to its source as it was.

    Parameters
    ----------
    client : made with :data:`CONFIG`; safe to use from several threads.
    url : of the queue.
    """

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, letter: DeadLetter) -> None:
        attributes = {"operation": letter.operation, "reason": letter.reason[:_MAX_REASON], "file": letter.file}
        try:
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=_valid_text(letter.body),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": _valid_text(value)}
                    for name, value in attributes.items()
                    if value or name != "file"
                },
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"SQS: {error}") from error


def _valid_text(text: str) -> str:
    """The text with characters that SQS rejects replaced; ``-`` for an empty text, which SQS rejects too."""
    return _INVALID_CHARACTERS.sub("\ufffd", text) or "-"
