"""Records in the DynamoDB table, an item each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from lookalike.domain.record import Record
from lookalike.errors import RevisionConflict
from lookalike.ports import Records
from lookalike.stores.aws.dynamodb_attributes import number, text
from lookalike.stores.aws.dynamodb_conditions import ABSENT, ConditionError, attributes_equal
from lookalike.stores.aws.dynamodb_keys import Item, record_key
from lookalike.stores.aws.dynamodb_table import Table


class DynamoRecords(Records):
    """Records. Every read is strongly consistent."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def record(self, partition: str, key: str) -> Record | None:
        item = self._table.get(record_key(partition, key))
        return None if item is None else _record_of(partition, item)

    def records(self, partition: str, after: str, limit: int) -> Sequence[Record]:
        found = self._table.query(record_key(partition, "").pk, after=after or None, limit=limit)
        return [_record_of(partition, item) for item in islice(found, limit)]

    def put_record(self, record: Record, previous: int | None) -> None:
        condition = ABSENT if previous is None else attributes_equal({"revision": number(previous)})
        try:
            self._table.put(_item_of(record), condition)
        except ConditionError:
            raise RevisionConflict(f"{record.partition}/{record.key}") from None

    def save_records(self, records: Sequence[Record]) -> None:
        self._table.put_all([_item_of(record) for record in records])

    def remove_records(self, partition: str, keys: Sequence[str]) -> None:
        self._table.delete_all([record_key(partition, key) for key in keys])


def _item_of(record: Record) -> Item:
    key = record_key(record.partition, record.key)
    return {**key.values, "revision": number(record.revision), "body": text(record.body)}


def _record_of(partition: str, item: Item) -> Record:
    return Record(partition, item["sk"]["S"], item["body"]["S"], int(item["revision"]["N"]))
