"""Counters in the DynamoDB table, an item each."""

from __future__ import annotations

from lookalike.ports import Counters
from lookalike.ports.applications import Tally
from lookalike.stores.aws.dynamodb_attributes import number
from lookalike.stores.aws.dynamodb_keys import count_key
from lookalike.stores.aws.dynamodb_table import EXPIRY_ATTRIBUTE, Table

#: How attributes of parts of a count begin.
_PART = "count_"


class DynamoCounters(Counters):
    """Counters. DynamoDB deletes expired ones by the table's time to live."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None, part: str = "") -> int:
        others = {} if expires is None else {EXPIRY_ATTRIBUTE: number(-(-expires // 1000))}
        wanted = wanted if limit is None else min(wanted, limit)
        while wanted > 0:
            names = ("count", f"{_PART}{part}") if part else ("count",)
            count = self._table.increment(count_key(name), names, wanted, limit, others)
            if count is None:
                return wanted
            wanted = 0 if limit is None else min(wanted, limit - count)
        return 0

    def counted(self, name: str) -> int:
        item = self._table.get(count_key(name))
        return 0 if item is None else int(item["count"]["N"])

    def tally(self, name: str) -> Tally:
        item = self._table.get(count_key(name)) or {}
        parts = {known.removeprefix(_PART): int(value["N"]) for known, value in item.items() if known.startswith(_PART)}
        return Tally(int(item["count"]["N"]) if "count" in item else 0, parts)

    def forget_counts(self, now: int) -> None:
        """Does nothing: the table's time to live deletes expired counters."""
