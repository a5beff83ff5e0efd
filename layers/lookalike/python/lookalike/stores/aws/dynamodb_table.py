"""The one DynamoDB table: its shape, its keys, and calls that finish what DynamoDB leaves undone."""

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

#: How the client should be made. DynamoDB answers in milliseconds, a page of 1 MB in some tens of them, so a second
#: without a connection or three without a byte are a fault, and another try beats waiting (AWS database blog, "Tuning
#: AWS Java SDK HTTP request settings for latency-aware Amazon DynamoDB applications"). Three tries with jitter are
#: the SDKs' standard (AWS SDKs and tools reference guide, "Retry behavior"), and all of them together stay below the
#: 30 s that API Gateway waits. A purge works with 16 threads, a server with 40.
CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=48,
)

#: The index of what waits to be purged. Only such items have the attribute ``purge``; it names one of the index's
#: partitions, in which they come by ``deleted_at``, Unix milliseconds.
PURGE_INDEX = "waiting"

#: CreateTable's arguments but the name. The stack's table is the same.
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

#: The attribute that says when an item may be forgotten, in Unix seconds; the table's time to live.
EXPIRY_ATTRIBUTE = "expires"

#: Most keys of a BatchGetItem, most writes of a BatchWriteItem (Amazon DynamoDB API reference).
_MAX_BATCH_GET, _MAX_BATCH_WRITE = 100, 25

#: How often what was left undone is asked for again, and the pauses in between, in seconds: random up to a bound that
#: doubles (AWS architecture blog, "Exponential Backoff And Jitter"); a second and a half in all at most.
_MAX_ATTEMPTS, _FIRST_PAUSE = 6, 0.05

#: Error codes that no other try would change: conditions that do not hold, and mistakes of ours.
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
    """Make the table where no stack makes it, and wait until it is there."""
    client.create_table(TableName=name, **TABLE_DEFINITION)
    client.get_waiter("table_exists").wait(TableName=name)
    client.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRY_ATTRIBUTE}
    )


def batched(keys: Iterable[ItemKey]) -> Iterator[Sequence[ItemKey]]:
    """The keys, as many together as one read takes."""
    remaining = iter(keys)
    while batch := tuple(islice(remaining, _MAX_BATCH_GET)):
        yield batch


class Table:
    """The table, in DynamoDB's own items. Every method may raise Unavailable; our mistakes stay ClientErrors.

    Parameters
    ----------
    client : made with :data:`CONFIG`; safe to use from several threads.
    name : the table's.
    """

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, key: ItemKey) -> Item | None:
        """The item as it is now."""
        if not key.is_valid:
            return None
        with _errors_as_unavailable():
            response = self._client.get_item(TableName=self._name, Key=key.values, ConsistentRead=True)
        return response.get("Item")

    def get_all(
        self, keys: Sequence[ItemKey], *, consistent: bool = True, attributes: Sequence[str] = ()
    ) -> list[Item]:
        """Those of the items that are there, in no order; with ``consistent`` as they are now.

        Only these ``attributes`` of them, if some are named.
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
        """Write an item. Raises ConditionError if the stored one is not what ``condition`` says.

        A write whose answer got lost on the way is sent again by the SDK, and then meets itself: by its mark it is
        known to have succeeded.
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

    def increment(self, key: ItemKey, name: str, amount: int, limit: int | None, others: Item) -> int | None:
        """Raise the number ``name`` of an item, made where there is none, and set its ``others``.

        If that would make more than ``most`` of it, nothing changes, and what it is now comes back; else None. A call
        whose answer got lost on the way is sent again by the SDK, and then counts twice.
        """
        names = {"#count": name} | {f"#{other}": other for other in others}
        values = {":amount": {"N": str(amount)}, ":none": {"N": "0"}} | {f":{other}": others[other] for other in others}
        sets = ["#count = if_not_exists(#count, :none) + :amount", *(f"#{other} = :{other}" for other in others)]
        condition: Condition = {}
        if limit is not None:
            values[":room"] = {"N": str(limit - amount)}
            condition = {"ConditionExpression": "attribute_not_exists(#count) OR #count <= :room"}
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
            return int(stored[name]["N"])
        return None

    def delete(self, key: ItemKey, condition: Condition | None = None) -> None:
        """Take an item away. Raises ConditionError if the stored one is not what ``condition`` says.

        If the answer gets lost on the way, the SDK's next try finds nothing, and that is what it says.
        """
        try:
            with _errors_as_unavailable():
                self._client.delete_item(TableName=self._name, Key=key.values, **(condition or {}))
        except self._client.exceptions.ConditionalCheckFailedException:
            raise ConditionError from None

    def delete_all(self, keys: Sequence[ItemKey]) -> None:
        """Take items away; unknown keys do not matter."""
        unwanted = [{"DeleteRequest": {"Key": key.values}} for key in dict.fromkeys(keys) if key.is_valid]
        for begin in range(0, len(unwanted), _MAX_BATCH_WRITE):
            request: Any = {self._name: unwanted[begin : begin + _MAX_BATCH_WRITE]}
            for _ in _attempts(f"{self._name}: deletions"):
                with _errors_as_unavailable():
                    request = self._client.batch_write_item(RequestItems=request).get("UnprocessedItems")
                if not request:
                    break

    def transact(self, *actions: Mapping[str, Any]) -> None:
        """All of the changes, which :meth:`put_action` and :meth:`delete_action` make, or none.

        Raises ConditionError, which says at which of them the stored item is not what its condition says. Changes
        that meet another transaction are tried again.
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
        """A change: write an item."""
        return {"Put": {"TableName": self._name, "Item": item, **condition}}

    def delete_action(self, key: ItemKey, condition: Condition) -> Mapping[str, Any]:
        """A change: take an item away."""
        return {"Delete": {"TableName": self._name, "Key": key.values, **condition}}

    def query(self, pk: str, *, after: str | None = None, prefix: str = "", limit: int | None = None) -> Iterator[Item]:
        """Items of a partition by sort key, as they are now: those greater than ``behind``, or with that prefix.

        They are read page by page as they are asked for; ``most`` is how many will be asked for, if known.
        """
        values, condition = {":pk": {"S": pk}}, "pk = :pk"
        if after is not None:
            condition, values[":sk"] = "pk = :pk AND sk > :sk", {"S": after}
        elif prefix:  # an empty one is no key
            condition, values[":sk"] = "pk = :pk AND begins_with(sk, :sk)", {"S": prefix}
        request = {"KeyConditionExpression": condition, "ExpressionAttributeValues": values, "ConsistentRead": True}
        return chain.from_iterable(
            self._pages(self._client.query, request | ({} if limit is None else {"Limit": limit}))
        )

    def purge_entries(self, partition: str, before: int, limit: int, since: int = 0) -> Iterator[Item]:
        """Keys of what waits to be purged from ``since`` on and before ``before``, both Unix milliseconds, oldest first.

        They are read page by page as they are asked for, ``most`` at most. An index follows its table: an entry may
        be there of an item that no longer waits, and one may still be missing.
        """
        if before <= since:  # nothing lies between, and DynamoDB refuses to look there
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
        """All items whose partition key has that prefix, with these values in these attributes, page by page."""
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

    def _pages(self, operation: Callable[..., Any], request: Mapping[str, Any]) -> Iterator[Sequence[Item]]:
        begin: Mapping[str, Any] = {}
        while True:
            with _errors_as_unavailable():
                response = operation(TableName=self._name, **request, **begin)
            yield response["Items"]
            if "LastEvaluatedKey" not in response:
                return
            begin = {"ExclusiveStartKey": response["LastEvaluatedKey"]}


def _attempts(what: str) -> Iterator[None]:
    """Rounds of a call that may leave something undone, and pauses. Raises Unavailable when all of them are over."""
    for number in range(_MAX_ATTEMPTS):
        if number:
            time.sleep(random.uniform(0, _FIRST_PAUSE * 2 ** (number - 1)))  # noqa: S311  # no secret
        yield
    raise Unavailable(f"DynamoDB, {what}: not done after {_MAX_ATTEMPTS} rounds")


@contextmanager
def _errors_as_unavailable() -> Iterator[None]:
    """Unavailable for what may pass; refusals and our mistakes stay what they are."""
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
