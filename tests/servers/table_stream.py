"""Lambda's part in the deployed stack: delivers the records of the table's stream to the function that fills the index.

    python -m tests.servers.table_stream

plays it for the stores that the environment names, until its standard input is closed.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

Handler = Callable[[Mapping[str, Any], Any], Mapping[str, Any]]

#: Records of one event, as the template has it.
_BATCH = 100

#: Records of a shard, already taken, that can be delivered again.
_KEPT = 1_000

#: Seconds between two reads of the stream, and before records that the function did not take are delivered again. Lambda
#: reads several times a second, and waits up to a minute after failures.
_PAUSE = 0.1

#: Beginning of the partition keys that the template lets through.
_PREFIX = "P#"


class TableStream:
    """The mapping of a table's stream to a function. Begins with the oldest record that the stream has.

    A batch of which the function names a record that failed is delivered again from that record on, one that it raises for
    is delivered again as a whole, for ever. Nothing behind it is delivered before.
    """

    def __init__(self, client: DynamoDBStreamsClient, arn: str, handler: Handler) -> None:
        self._client = client
        self._arn = arn
        self._handler = handler
        self._iterators: dict[str, str | None] = {}  #: where each shard is read on; None: it has ended
        self._waiting: dict[str, deque[dict[str, Any]]] = {}  #: records that are to be delivered, by shard
        self._taken: dict[str, deque[dict[str, Any]]] = {}  #: records that the function has taken, by shard
        self.failures = 0  #: deliveries after which some records came again

    def deliver(self, limit: int = _BATCH) -> bool:
        """Read on, and deliver each shard's next ``limit`` records once; return whether nothing waits for delivery."""
        self._read_all()
        for shard in self._waiting:
            self._deliver(shard, limit)
        return not any(self._waiting.values())

    def rewind(self, count: int) -> None:
        """Have the last so many records delivered again, as after a function that has ended before it could answer."""
        for shard, taken in self._taken.items():
            for _ in range(min(count, len(taken))):
                self._waiting[shard].appendleft(taken.pop())

    def expire(self) -> None:
        """Forget all records until now, delivered or not, as the stream does a day later."""
        self._read_all()
        for records in (*self._waiting.values(), *self._taken.values()):
            records.clear()

    def _read_all(self) -> None:
        for shard in self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]:
            try:
                self._read(shard["ShardId"])
            except ClientError:  # a server that was started anew does not know where this one was
                self._iterators.pop(shard["ShardId"], None)
                self._waiting.pop(shard["ShardId"], None)

    def _read(self, shard: str) -> None:
        if shard not in self._iterators:
            asked: Any = {"StreamArn": self._arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
            self._iterators[shard] = self._client.get_shard_iterator(**asked)["ShardIterator"]
        waiting, iterator = self._waiting.setdefault(shard, deque()), self._iterators[shard]
        if iterator is None:
            return
        found = self._client.get_records(ShardIterator=iterator)
        waiting.extend(json.loads(json.dumps(record, default=_as_lambda)) for record in found["Records"])
        self._iterators[shard] = found.get("NextShardIterator")

    def _deliver(self, shard: str, limit: int) -> None:
        waiting, taken = self._waiting[shard], self._taken.setdefault(shard, deque(maxlen=_KEPT))
        batch = list(islice(waiting, limit))
        done = self._handled(batch)
        self.failures += done < len(batch)
        for _ in range(done):
            taken.append(waiting.popleft())

    def _handled(self, batch: Sequence[dict[str, Any]]) -> int:
        """Deliver a batch; return the number of records before the first that comes again."""
        passed = [record for record in batch if _passes(record)]
        if not passed:
            return len(batch)
        try:
            failed = self._handler({"Records": passed}, None)["batchItemFailures"]
        except Exception:  # whatever it is, Lambda delivers the batch again
            return 0
        again = {failure["itemIdentifier"] for failure in failed}
        if "" in again:
            return 0
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        return min((numbers.index(number) for number in again), default=len(batch))

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Deliver whatever comes, in a thread, until the block ends."""
        ended = threading.Event()

        def play() -> None:
            while not ended.wait(_PAUSE):
                with suppress(BotoCoreError, ClientError):  # the table is away
                    self.deliver()

        thread = threading.Thread(target=play, name="stream")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def stream_of(client: DynamoDBClient, table: str) -> str:
    """ARN of a table's stream."""
    return client.describe_table(TableName=table)["Table"]["LatestStreamArn"]


def _passes(record: Mapping[str, Any]) -> bool:
    return bool(record["dynamodb"]["Keys"]["pk"]["S"].startswith(_PREFIX))


def _as_lambda(value: object) -> object:
    """What Lambda's JSON has for a value of the SDK: binary in base64, times as text."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def main() -> int:
    """Play the stream until standard input is closed."""
    import boto3  # noqa: PLC0415 - slow to import, and tests have clients

    from functions.index.app import handler  # noqa: PLC0415 - likewise
    from lookalike.settings import Settings  # noqa: PLC0415 - likewise

    table = Settings.from_environment().table
    if table is None:
        print("LOOKALIKE_TABLE is not set", file=sys.stderr)
        return 1
    stream = TableStream(boto3.client("dynamodbstreams"), stream_of(boto3.client("dynamodb"), table), handler)
    with stream.playing(), suppress(KeyboardInterrupt):  # which ends whoever started this, too
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
