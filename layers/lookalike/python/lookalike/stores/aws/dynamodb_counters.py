"""Counters in the DynamoDB table, an item each."""

from __future__ import annotations

from lookalike.ports import Counters
from lookalike.stores.aws.dynamodb_attributes import number
from lookalike.stores.aws.dynamodb_keys import count_key
from lookalike.stores.aws.dynamodb_table import EXPIRY_ATTRIBUTE, Table


class DynamoCounters(Counters):
    """Counters. DynamoDB deletes expired ones by the table's time to live."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None) -> int:
        others = {} if expires is None else {EXPIRY_ATTRIBUTE: number(-(-expires // 1000))}
        wanted = wanted if limit is None else min(wanted, limit)
        while wanted > 0:
            count = self._table.increment(count_key(name), "count", wanted, limit, others)
            if count is None:
                return wanted
            wanted = 0 if limit is None else min(wanted, limit - count)
        return 0

    def counted(self, name: str) -> int:
        item = self._table.get(count_key(name))
        return 0 if item is None else int(item["count"]["N"])

    def forget_counts(self, now: int) -> None:
        """Does nothing: the table's time to live deletes expired counters."""
