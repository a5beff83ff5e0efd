"""The service's one DynamoDB table: its definition, and calls that retry what DynamoDB leaves unprocessed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from lookalike.errors import Unavailable
from lookalike.stores.aws.dynamodb_conditions import Condition, ConditionError, attributes_equal, with_write_id
from lookalike.stores.aws.dynamodb_keys import Item, ItemKey

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: Configuration of the client. DynamoDB answers in milliseconds, with a page of 1 MB in some tens of them. One second
#: without a connection or three without a byte are therefore a fault, and a retry is better than waiting (AWS database
#: blog, "Tuning AWS Java SDK HTTP request settings for latency-aware Amazon DynamoDB applications"). Three attempts
#: with jitter are the SDKs' standard (AWS SDKs and tools reference guide, "Retry behavior"); together they stay below
#: API Gateway's timeout of 30 s. A purge uses 16 threads, a server 40.
CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=48,
)

#: The index of items to be purged, which alone have the attribute ``purge``: its partition key. The sort key is
#: ``deleted_at``, Unix milliseconds.
PURGE_INDEX = "waiting"

#: Arguments of CreateTable except the name. template.yaml defines the same table.
TABLE_DEFINITION: Mapping[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
        {"AttributeName": "purge", "AttributeType": "S"},
        {"AttributeName": "deleted_at", "AttributeType": "N"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": PURGE_INDEX,
            "KeySchema": [
                {"AttributeName": "purge", "KeyType": "HASH"},
                {"AttributeName": "deleted_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}

#: The attribute of the table's time to live, in Unix seconds: DynamoDB deletes the item some time after it.
EXPIRY_ATTRIBUTE = "expires"

#: Keys of a BatchGetItem (Amazon DynamoDB API reference).
_MAX_BATCH_GET = 100

#: Writes of a BatchWriteItem (ibid.).
_MAX_BATCH_WRITE = 25

#: Attempts at a batch or transaction that DynamoDB does not complete at once.
_MAX_ATTEMPTS = 6

#: Seconds: bound of the first random pause between attempts. It doubles with each attempt (AWS architecture blog,
#: "Exponential Backoff And Jitter"); all pauses together take 1.55 s at most.
_FIRST_PAUSE = 0.05

#: Error codes that a retry would meet again: failed conditions and invalid requests.
_PERMANENT_CODES = frozenset(
    {
        "ConditionalCheckFailedException",
        "TransactionCanceledException",
        "IdempotentParameterMismatchException",
        "SerializationException",
        "ValidationException",
    }
)


def create_table(client: DynamoDBClient, name: str) -> None:
    """Create the table outside a stack, as ``make run-aws`` and tests do, and wait until it is active."""
    client.create_table(TableName=name, **TABLE_DEFINITION)
    client.get_waiter("table_exists").wait(TableName=name)
    client.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRY_ATTRIBUTE}
    )


def batched(keys: Iterable[ItemKey]) -> Iterator[Sequence[ItemKey]]:
    """Split keys into batches that one BatchGetItem takes."""
    remaining = iter(keys)
    while batch := tuple(islice(remaining, _MAX_BATCH_GET)):
        yield batch


class Table:
    """Reads and writes of the table, in DynamoDB's notation of items.

    Every method may raise Unavailable. Requests that DynamoDB rejects as invalid raise ClientError: they are bugs.

    Parameters
    ----------
    client : made with :data:`CONFIG`; safe to use from several threads.
    name : of the table.
    """

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, key: ItemKey) -> Item | None:
        """Read an item with strong consistency; None if there is none, or the key is not valid."""
        if not key.is_valid:
            return None
        with _errors_as_unavailable():
            response = self._client.get_item(TableName=self._name, Key=key.values, ConsistentRead=True)
        return response.get("Item")

    def get_all(
        self, keys: Sequence[ItemKey], *, consistent: bool = True, attributes: Sequence[str] = ()
    ) -> list[Item]:
        """Read items; those that exist, in no particular order.

        Parameters
        ----------
        keys : those that are not valid are skipped.
        consistent : read with strong consistency, which costs twice as many read units.
        attributes : read only these; all if empty.
        """
        found: list[Item] = []
        names = {f"#{name}": name for name in attributes}
        shown = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names} if names else {}
        for batch in batched(key for key in dict.fromkeys(keys) if key.is_valid):
            wanted = [key.values for key in batch]
            request: Any = {self._name: {"Keys": wanted, "ConsistentRead": consistent, **shown}}
            for _ in _attempts(f"{self._name}: keys"):
                with _errors_as_unavailable():
                    response = self._client.batch_get_item(RequestItems=request)
                found += response["Responses"].get(self._name, [])
                request = response.get("UnprocessedKeys")
                if not request:
                    break
        return found

    def put(self, item: Item, condition: Condition | None = None) -> None:
        """Write an item. Raises ConditionError if the stored item does not meet ``condition``.

        The SDK repeats a write whose response was lost. The repetition fails its condition, and is recognised by the
        stored write id as a success.
        """
        if condition is None:
            with _errors_as_unavailable():
                self._client.put_item(TableName=self._name, Item=item)
            return
        item = with_write_id(item)
        try:
            with _errors_as_unavailable():
                self._client.put_item(
                    TableName=self._name, Item=item, ReturnValuesOnConditionCheckFailure="ALL_OLD", **condition
                )
        except self._client.exceptions.ConditionalCheckFailedException as refusal:
            stored: Item = refusal.response.get("Item", {})  # type: ignore[assignment]  # the stubs know no such key
            if stored.get("written") != item["written"]:
                raise ConditionError from None

    def increment(
        self, key: ItemKey, numbers: Sequence[str], amount: int, limit: int | None, others: Item
    ) -> int | None:
        """Add ``amount`` to the numbers of an item, created if absent, and set the attributes ``others``.

        Returns None on success. If the first of them would exceed ``limit``, nothing changes, and it is returned as it is.
        The SDK repeats a call whose response was lost, which then counts twice.
        """
        names = {f"#count{place}": name for place, name in enumerate(numbers)} | {f"#{one}": one for one in others}
        values = {":amount": {"N": str(amount)}, ":none": {"N": "0"}} | {f":{other}": others[other] for other in others}
        added = [f"#count{place} = if_not_exists(#count{place}, :none) + :amount" for place in range(len(numbers))]
        sets = [*added, *(f"#{other} = :{other}" for other in others)]
        condition: Condition = {}
        if limit is not None:
            values[":room"] = {"N": str(limit - amount)}
            condition = {"ConditionExpression": "attribute_not_exists(#count0) OR #count0 <= :room"}
        try:
            with _errors_as_unavailable():
                self._client.update_item(
                    TableName=self._name,
                    Key=key.values,
                    UpdateExpression=f"SET {', '.join(sets)}",
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **condition,
                )
        except self._client.exceptions.ConditionalCheckFailedException as refusal:
            stored: Item = refusal.response.get("Item", {})  # type: ignore[assignment]  # the stubs know no such key
            return int(stored[numbers[0]]["N"])
        return None

    def delete(self, key: ItemKey, condition: Condition | None = None) -> None:
        """Delete an item. Raises ConditionError if the stored item does not meet ``condition``.

        The SDK repeats a call whose response was lost. The repetition finds no item, and raises ConditionError if there
        is a condition.
        """
        try:
            with _errors_as_unavailable():
                self._client.delete_item(TableName=self._name, Key=key.values, **(condition or {}))
        except self._client.exceptions.ConditionalCheckFailedException:
            raise ConditionError from None

    def put_all(self, items: Sequence[Item]) -> None:
        """Write items, whatever is there. Some may be written if it fails. No two may have the same key."""
        for begin in range(0, len(items), _MAX_BATCH_WRITE):
            puts = [{"PutRequest": {"Item": item}} for item in items[begin : begin + _MAX_BATCH_WRITE]]
            self._write_batch({self._name: puts}, "writes")

    def delete_all(self, keys: Sequence[ItemKey]) -> None:
        """Delete items; keys without an item are ignored."""
        unwanted = [{"DeleteRequest": {"Key": key.values}} for key in dict.fromkeys(keys) if key.is_valid]
        for begin in range(0, len(unwanted), _MAX_BATCH_WRITE):
            self._write_batch({self._name: unwanted[begin : begin + _MAX_BATCH_WRITE]}, "deletions")

    def _write_batch(self, request: Any, what: str) -> None:
        """Send a batch until DynamoDB has processed all of it."""
        for _ in _attempts(f"{self._name}: {what}"):
            with _errors_as_unavailable():
                request = self._client.batch_write_item(RequestItems=request).get("UnprocessedItems")
            if not request:
                break

    def transact(self, *actions: Mapping[str, Any]) -> None:
        """Apply all of these actions or none. See :meth:`put_action`, :meth:`delete_action`, :meth:`check_action`.

        Raises ConditionError with the positions of the actions whose conditions failed. Conflicts with another
        transaction are retried.
        """
        for _ in _attempts(f"{self._name}: a transaction"):
            try:
                with _errors_as_unavailable():
                    self._client.transact_write_items(TransactItems=cast("Sequence[TransactWriteItemTypeDef]", actions))
            except self._client.exceptions.TransactionCanceledException as refusal:
                reasons = refusal.response.get("CancellationReasons", [])
                codes = [reason.get("Code") for reason in reasons]
                failed = frozenset(position for position, code in enumerate(codes) if code == "ConditionalCheckFailed")
                if failed:
                    raise ConditionError(failed) from None
                if "ValidationError" in codes:
                    raise
            else:
                return

    def put_action(self, item: Item, condition: Condition) -> Mapping[str, Any]:
        """Action of a transaction: write an item."""
        return {"Put": {"TableName": self._name, "Item": item, **condition}}

    def delete_action(self, key: ItemKey, condition: Condition) -> Mapping[str, Any]:
        """Action of a transaction: delete an item."""
        return {"Delete": {"TableName": self._name, "Key": key.values, **condition}}

    def check_action(self, key: ItemKey, condition: Condition) -> Mapping[str, Any]:
        """Part of a transaction that changes nothing: the item must meet the condition."""
        return {"ConditionCheck": {"TableName": self._name, "Key": key.values, **condition}}

    def query(self, pk: str, *, after: str | None = None, prefix: str = "", limit: int | None = None) -> Iterator[Item]:
        """Items of a partition by sort key, read lazily, page by page, with strong consistency.

        Parameters
        ----------
        after : only items with a greater sort key.
        prefix : only items whose sort key begins with it. Ignored with ``after``.
        limit : items of a page: as many as the caller will take, if known.
        """
        values, condition = {":pk": {"S": pk}}, "pk = :pk"
        if after is not None:
            condition, values[":sk"] = "pk = :pk AND sk > :sk", {"S": after}
        elif prefix:  # an empty string is not a valid key
            condition, values[":sk"] = "pk = :pk AND begins_with(sk, :sk)", {"S": prefix}
        request = {"KeyConditionExpression": condition, "ExpressionAttributeValues": values, "ConsistentRead": True}
        return chain.from_iterable(
            self._pages(self._client.query, request | ({} if limit is None else {"Limit": limit}))
        )

    def purge_entries(self, partition: str, before: int, limit: int, since: int = 0) -> Iterator[Item]:
        """Entries of the purge index in a partition, oldest first, read lazily, page by page.

        An index follows its table with a delay: an entry may name an item that is no longer to be purged, and a recent
        item may have no entry yet.

        Parameters
        ----------
        before, since : bounds of ``deleted_at`` in Unix milliseconds, ``since`` included, ``before`` excluded.
        limit : items of a page.
        """
        if before <= since:  # DynamoDB rejects an empty range
            return iter(())
        request = {
            "IndexName": PURGE_INDEX,
            "KeyConditionExpression": "purge = :purge AND deleted_at BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":purge": {"S": partition},
                ":first": {"N": str(since)},
                ":last": {"N": str(before - 1)},
            },
            "Limit": limit,
        }
        return chain.from_iterable(self._pages(self._client.query, request))

    def scan(self, prefix: str, attributes: Mapping[str, Any]) -> Iterator[Sequence[Item]]:
        """Pages of all items whose partition key has this prefix and whose attributes have these values."""
        condition = attributes_equal(attributes)
        return self._pages(
            self._client.scan,
            {
                "FilterExpression": f"begins_with(pk, :pk) AND {condition['ConditionExpression']}",
                "ExpressionAttributeNames": condition["ExpressionAttributeNames"],
                "ExpressionAttributeValues": {":pk": {"S": prefix}, **condition["ExpressionAttributeValues"]},
                "ConsistentRead": True,
            },
        )

    def scan_all(self, prefix: str, *, only_keys: bool = False) -> Iterator[Sequence[Item]]:
        """Yield pages of all items whose partition key has this prefix, read with eventual consistency, at half the cost.

        ``only_keys``: of each, the primary key alone.
        """
        request: dict[str, Any] = {
            "FilterExpression": "begins_with(pk, :pk)",
            "ExpressionAttributeValues": {":pk": {"S": prefix}},
        }
        return self._pages(self._client.scan, request | ({"ProjectionExpression": "pk, sk"} if only_keys else {}))

    def _pages(self, operation: Callable[..., Any], request: Mapping[str, Any]) -> Iterator[Sequence[Item]]:
        """Pages of a query or scan until the last one."""
        begin: Mapping[str, Any] = {}
        while True:
            with _errors_as_unavailable():
                response = operation(TableName=self._name, **request, **begin)
            yield response["Items"]
            if "LastEvaluatedKey" not in response:
                return
            begin = {"ExclusiveStartKey": response["LastEvaluatedKey"]}


def _attempts(what: str) -> Iterator[None]:
    """Yield once an attempt, after pauses with full jitter. Raises Unavailable after the last attempt."""
    for number in range(_MAX_ATTEMPTS):
        if number:
            time.sleep(random.uniform(0, _FIRST_PAUSE * 2 ** (number - 1)))  # noqa: S311  # no secret
        yield
    raise Unavailable(f"DynamoDB, {what}: not done after {_MAX_ATTEMPTS} rounds")


@contextmanager
def _errors_as_unavailable() -> Iterator[None]:
    """Raise errors that may pass as Unavailable; failed conditions and invalid requests are left as they are."""
    try:
        yield
    except ParamValidationError:
        raise
    except ClientError as error:
        if error.response["Error"]["Code"] in _PERMANENT_CODES:
            raise
        raise Unavailable(f"DynamoDB: {error}") from error
    except BotoCoreError as error:
        raise Unavailable(f"DynamoDB: {error}") from error
