"""The one DynamoDB table: its shape, its keys, and calls that finish what DynamoDB leaves undone."""

from __future__ import annotations

import hashlib
import random
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from lookalike.domain.picture import Key
from lookalike.errors import Unavailable

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
WAITING = "waiting"

#: CreateTable's arguments but the name. The stack's table is the same.
TABLE: Mapping[str, Any] = {
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
            "IndexName": WAITING,
            "KeySchema": [
                {"AttributeName": "purge", "KeyType": "HASH"},
                {"AttributeName": "deleted_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}

Item = dict[str, Any]
"""An item: its attributes' values as DynamoDB writes them, ``{"S": …}``, ``{"N": …}``, ``{"B": …}``."""

Condition = Mapping[str, Any]
"""What the stored item must be like, as arguments of a write: :data:`ABSENT`, or made by :func:`where`."""

#: There is no such item.
ABSENT: Condition = {"ConditionExpression": "attribute_not_exists(pk)"}

#: The attribute that says when an item may be forgotten, in Unix seconds; the table's time to live.
EXPIRES = "expires"

#: Partitions of a library. A partition takes 1,000 writes a second (Amazon DynamoDB developer guide, "Best practices
#: for designing and using partition keys"), and an import into one library may bring more.
SHARDS = "0123456789abcdef"

#: Most keys of a BatchGetItem, most writes of a BatchWriteItem (Amazon DynamoDB API reference).
_MOST_READ, _MOST_WRITTEN = 100, 25

#: Bytes of a partition key and of a sort key (Amazon DynamoDB developer guide, "Quotas").
_LONGEST_PK, _LONGEST_SK = 2048, 1024

#: How often what was left undone is asked for again, and the pauses in between, in seconds: random up to a bound that
#: doubles (AWS architecture blog, "Exponential Backoff And Jitter"); a second and a half in all at most.
_ROUNDS, _PAUSE = 6, 0.05

#: Error codes that no other try would change: conditions that do not hold, and mistakes of ours.
_REFUSALS = frozenset(
    {
        "ConditionalCheckFailedException",
        "TransactionCanceledException",
        "IdempotentParameterMismatchException",
        "SerializationException",
        "ValidationException",
    }
)

_SIGNED = re.compile("[0-9a-f]{16}")


class ItemKey(NamedTuple):
    """An item's partition key and sort key."""

    pk: str
    sk: str

    @property
    def values(self) -> Item:
        """The key as attributes."""
        return {"pk": {"S": self.pk}, "sk": {"S": self.sk}}

    @property
    def possible(self) -> bool:
        """Whether an item may have this key. What callers ask for may be empty, too long, or no text at all."""
        try:
            return 1 <= len(self.pk.encode()) <= _LONGEST_PK and 1 <= len(self.sk.encode()) <= _LONGEST_SK
        except UnicodeEncodeError:
            return False


class ConditionError(Exception):
    """The stored item is not what a write asked for. ``at`` are the positions of such items in a transaction."""

    def __init__(self, at: frozenset[int] = frozenset()) -> None:
        super().__init__(*sorted(at))
        self.at = at


def key_of(item: Mapping[str, Mapping[str, Any]]) -> ItemKey:
    """Where an item is, or an index's entry for it."""
    return ItemKey(str(item["pk"]["S"]), str(item["sk"]["S"]))


def application_key(access_key: str) -> ItemKey:
    """An application's row."""
    return ItemKey(f"APP#{access_key}", "APP")


def app_id_key(app_id: str) -> ItemKey:
    """What says whose an app id is."""
    return ItemKey(f"APPID#{app_id}", "APPID")


def app_name_key(name: str) -> ItemKey:
    """What says which application is called so; all of them share a partition, which so lists the applications."""
    return ItemKey("APPNAME", name)


def library_key(tenant: str, name: str) -> ItemKey:
    """A library's row."""
    return ItemKey(f"T#{tenant}", f"LIB#{name}")


def removed_key(uid: str) -> ItemKey:
    """What a removed library leaves."""
    return ItemKey(f"R#{uid}", "R")


def picture_key(library: str, picture: str) -> ItemKey:
    """A picture's row."""
    return ItemKey(pictures_partition(library, shard_of(picture)), picture)


def pictures_partition(library: str, shard: str) -> str:
    """The partition key of a shard of a library's rows."""
    return f"P#{library}#{shard}"


def map_key(object_key: str) -> ItemKey:
    """A local map. The sort key is what follows the library's uid."""
    library, _, rest = object_key.partition("/")
    return ItemKey(f"M#{library}#{_hashed(rest)}", rest)


def object_key_of(key: ItemKey) -> str:
    """The other way round."""
    return f"{key.pk[2:-2]}/{key.sk}"


def upload_key(source: str) -> ItemKey:
    """What an uploaded object has become."""
    return ItemKey(f"U#{source}", "U")


def holder_key(picture: Key, source: str) -> ItemKey:
    """What says that an upload holds a picture. Its source may be longer than a sort key may be, and is hashed."""
    name = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    return ItemKey(holders_partition(picture), name)


def holders_partition(picture: Key) -> str:
    """The partition key of the uploads that hold a picture."""
    return f"H#{picture.library}#{picture.id}"


def generation_key(kind: str) -> ItemKey:
    """Which indices of a kind are live."""
    return ItemKey(f"GENERATION#{kind}", "GENERATION")


def count_key(name: str) -> ItemKey:
    """A count."""
    return ItemKey(f"N#{name}", "N")


def shard_of(picture: str) -> str:
    """A picture's shard. Of an id that begins with a sign's 16 hex digits they alone tell it."""
    return picture[15] if _SIGNED.match(picture) else _hashed(picture)


def shards_of(prefix: str) -> str:
    """The shards that pictures whose id starts with ``prefix`` may be in."""
    return shard_of(prefix) if _SIGNED.match(prefix) else SHARDS


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[0]


def where(attributes: Mapping[str, Any], *, or_absent: bool = False) -> Condition:
    """The stored item has these values in these attributes; with ``or_absent``, or there is none."""
    expression = " AND ".join(f"#{name} = :{name}" for name in attributes)
    return {
        "ConditionExpression": f"attribute_not_exists(pk) OR ({expression})" if or_absent else expression,
        "ExpressionAttributeNames": {f"#{name}": name for name in attributes},
        "ExpressionAttributeValues": {f":{name}": value for name, value in attributes.items()},
    }


def marked(item: Item) -> Item:
    """The item with a mark that no other write has: eight random bytes in ``written``."""
    return {**item, "written": {"B": secrets.token_bytes(8)}}


def create_table(client: DynamoDBClient, name: str) -> None:
    """Make the table where no stack makes it, and wait until it is there."""
    client.create_table(TableName=name, **TABLE)
    client.get_waiter("table_exists").wait(TableName=name)
    client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES})


def batched(keys: Iterable[ItemKey]) -> Iterator[Sequence[ItemKey]]:
    """The keys, as many together as one read takes."""
    left = iter(keys)
    while batch := tuple(islice(left, _MOST_READ)):
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
        if not key.possible:
            return None
        with _unavailable():
            answer = self._client.get_item(TableName=self._name, Key=key.values, ConsistentRead=True)
        return answer.get("Item")

    def get_all(
        self, keys: Sequence[ItemKey], *, consistent: bool = True, attributes: Sequence[str] = ()
    ) -> list[Item]:
        """Those of the items that are there, in no order; with ``consistent`` as they are now.

        Only these ``attributes`` of them, if some are named.
        """
        found: list[Item] = []
        names = {f"#{name}": name for name in attributes}
        shown = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names} if names else {}
        for batch in batched(key for key in dict.fromkeys(keys) if key.possible):
            wanted = [key.values for key in batch]
            asked: Any = {self._name: {"Keys": wanted, "ConsistentRead": consistent, **shown}}
            for _ in _rounds(f"{self._name}: keys"):
                with _unavailable():
                    answer = self._client.batch_get_item(RequestItems=asked)
                found += answer["Responses"].get(self._name, [])
                asked = answer.get("UnprocessedKeys")
                if not asked:
                    break
        return found

    def put(self, item: Item, condition: Condition | None = None) -> None:
        """Write an item. Raises ConditionError if the stored one is not what ``condition`` says.

        A write whose answer got lost on the way is sent again by the SDK, and then meets itself: by its mark it is
        known to have succeeded.
        """
        if condition is None:
            with _unavailable():
                self._client.put_item(TableName=self._name, Item=item)
            return
        item = marked(item)
        try:
            with _unavailable():
                self._client.put_item(
                    TableName=self._name, Item=item, ReturnValuesOnConditionCheckFailure="ALL_OLD", **condition
                )
        except self._client.exceptions.ConditionalCheckFailedException as refusal:
            stored: Item = refusal.response.get("Item", {})  # type: ignore[assignment]  # the stubs know no such key
            if stored.get("written") != item["written"]:
                raise ConditionError from None

    def add(self, key: ItemKey, name: str, amount: int, most: int | None, others: Item) -> int | None:
        """Raise the number ``name`` of an item, made where there is none, and set its ``others``.

        If that would make more than ``most`` of it, nothing changes, and what it is now comes back; else None. A call
        whose answer got lost on the way is sent again by the SDK, and then counts twice.
        """
        names = {"#count": name} | {f"#{other}": other for other in others}
        values = {":amount": {"N": str(amount)}, ":none": {"N": "0"}} | {f":{other}": others[other] for other in others}
        sets = ["#count = if_not_exists(#count, :none) + :amount", *(f"#{other} = :{other}" for other in others)]
        condition: Condition = {}
        if most is not None:
            values[":room"] = {"N": str(most - amount)}
            condition = {"ConditionExpression": "attribute_not_exists(#count) OR #count <= :room"}
        try:
            with _unavailable():
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
            with _unavailable():
                self._client.delete_item(TableName=self._name, Key=key.values, **(condition or {}))
        except self._client.exceptions.ConditionalCheckFailedException:
            raise ConditionError from None

    def delete_all(self, keys: Sequence[ItemKey]) -> None:
        """Take items away; unknown keys do not matter."""
        unwanted = [{"DeleteRequest": {"Key": key.values}} for key in dict.fromkeys(keys) if key.possible]
        for begin in range(0, len(unwanted), _MOST_WRITTEN):
            asked: Any = {self._name: unwanted[begin : begin + _MOST_WRITTEN]}
            for _ in _rounds(f"{self._name}: deletions"):
                with _unavailable():
                    asked = self._client.batch_write_item(RequestItems=asked).get("UnprocessedItems")
                if not asked:
                    break

    def change(self, *changes: Mapping[str, Any]) -> None:
        """All of the changes, which :meth:`putting` and :meth:`deleting` make, or none.

        Raises ConditionError, which says at which of them the stored item is not what its condition says. Changes
        that meet another transaction are tried again.
        """
        for _ in _rounds(f"{self._name}: a transaction"):
            try:
                with _unavailable():
                    self._client.transact_write_items(TransactItems=cast("Sequence[TransactWriteItemTypeDef]", changes))
            except self._client.exceptions.TransactionCanceledException as refusal:
                reasons = refusal.response.get("CancellationReasons", [])
                codes = [reason.get("Code") for reason in reasons]
                failed = frozenset(at for at, code in enumerate(codes) if code == "ConditionalCheckFailed")
                if failed:
                    raise ConditionError(failed) from None
                if "ValidationError" in codes:
                    raise
            else:
                return

    def putting(self, item: Item, condition: Condition) -> Mapping[str, Any]:
        """A change: write an item."""
        return {"Put": {"TableName": self._name, "Item": item, **condition}}

    def deleting(self, key: ItemKey, condition: Condition) -> Mapping[str, Any]:
        """A change: take an item away."""
        return {"Delete": {"TableName": self._name, "Key": key.values, **condition}}

    def query(self, pk: str, *, behind: str | None = None, prefix: str = "", most: int | None = None) -> Iterator[Item]:
        """Items of a partition by sort key, as they are now: those greater than ``behind``, or with that prefix.

        They are read page by page as they are asked for; ``most`` is how many will be asked for, if known.
        """
        values, condition = {":pk": {"S": pk}}, "pk = :pk"
        if behind is not None:
            condition, values[":sk"] = "pk = :pk AND sk > :sk", {"S": behind}
        elif prefix:  # an empty one is no key
            condition, values[":sk"] = "pk = :pk AND begins_with(sk, :sk)", {"S": prefix}
        asked = {"KeyConditionExpression": condition, "ExpressionAttributeValues": values, "ConsistentRead": True}
        return chain.from_iterable(self._pages(self._client.query, asked | ({} if most is None else {"Limit": most})))

    def waiting(self, partition: str, before: int, most: int, since: int = 0) -> Iterator[Item]:
        """Keys of what waits to be purged from ``since`` on and before ``before``, both Unix milliseconds, oldest first.

        They are read page by page as they are asked for, ``most`` at most. An index follows its table: an entry may
        be there of an item that no longer waits, and one may still be missing.
        """
        if before <= since:  # nothing lies between, and DynamoDB refuses to look there
            return iter(())
        asked = {
            "IndexName": WAITING,
            "KeyConditionExpression": "purge = :purge AND deleted_at BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":purge": {"S": partition},
                ":first": {"N": str(since)},
                ":last": {"N": str(before - 1)},
            },
            "Limit": most,
        }
        return chain.from_iterable(self._pages(self._client.query, asked))

    def scan(self, prefix: str, attributes: Mapping[str, Any]) -> Iterator[Sequence[Item]]:
        """All items whose partition key has that prefix, with these values in these attributes, page by page."""
        condition = where(attributes)
        return self._pages(
            self._client.scan,
            {
                "FilterExpression": f"begins_with(pk, :pk) AND {condition['ConditionExpression']}",
                "ExpressionAttributeNames": condition["ExpressionAttributeNames"],
                "ExpressionAttributeValues": {":pk": {"S": prefix}, **condition["ExpressionAttributeValues"]},
                "ConsistentRead": True,
            },
        )

    def _pages(self, ask: Callable[..., Any], asked: Mapping[str, Any]) -> Iterator[Sequence[Item]]:
        begin: Mapping[str, Any] = {}
        while True:
            with _unavailable():
                answer = ask(TableName=self._name, **asked, **begin)
            yield answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            begin = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _rounds(what: str) -> Iterator[None]:
    """Rounds of a call that may leave something undone, and pauses. Raises Unavailable when all of them are over."""
    for number in range(_ROUNDS):
        if number:
            time.sleep(random.uniform(0, _PAUSE * 2 ** (number - 1)))  # noqa: S311  # no secret
        yield
    raise Unavailable(f"DynamoDB, {what}: not done after {_ROUNDS} rounds")


@contextmanager
def _unavailable() -> Iterator[None]:
    """Unavailable for what may pass; refusals and our mistakes stay what they are."""
    try:
        yield
    except ParamValidationError:
        raise
    except ClientError as error:
        if error.response["Error"]["Code"] in _REFUSALS:
            raise
        raise Unavailable(f"DynamoDB: {error}") from error
    except BotoCoreError as error:
        raise Unavailable(f"DynamoDB: {error}") from error
