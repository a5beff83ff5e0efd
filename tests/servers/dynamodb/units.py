"""Capacity units that a DynamoDB client consumes, as reported by DynamoDB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_READS = {"GetItem", "BatchGetItem", "Query", "Scan"}


@dataclass(frozen=True, slots=True)
class Units:
    """Calls by operation, and capacity units of reads and writes, those of indices included."""

    calls: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)

    @property
    def read(self) -> float:
        """Read units: one for 4 KiB read with strong consistency, or 8 KiB with eventual consistency."""
        return self.units["read"]

    @property
    def written(self) -> float:
        """Write units: one for each KiB."""
        return self.units["written"]


@contextmanager
def counted(client: DynamoDBClient) -> Iterator[Units]:
    """Count the client's calls, from any thread, until the block ends."""
    units = Units()

    def ask(params: dict[str, Any], model: Any, **_: Any) -> None:
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "TOTAL"

    def count(parsed: dict[str, Any], model: Any, **_: Any) -> None:
        units.calls[model.name] += 1
        consumed = parsed.get("ConsumedCapacity", [])
        for one in consumed if isinstance(consumed, list) else [consumed]:
            units.units["read" if model.name in _READS else "written"] += one["CapacityUnits"]

    events = client.meta.events
    events.register("provide-client-params.dynamodb.*", ask)
    events.register("after-call.dynamodb.*", count)
    try:
        yield units
    finally:
        events.unregister("provide-client-params.dynamodb.*", ask)
        events.unregister("after-call.dynamodb.*", count)
