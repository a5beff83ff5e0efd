"""Conditions of DynamoDB writes, and write ids that make conditional writes repeatable."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.stores.aws.dynamodb_keys import Item

Condition = Mapping[str, Any]
"""A condition on the stored item, as arguments of a write: :data:`ABSENT`, or made by a function below."""

#: Condition: there is no item with this key.
ABSENT: Condition = {"ConditionExpression": "attribute_not_exists(pk)"}


class ConditionError(Exception):
    """The stored item does not meet the condition of a write.

    ``positions``: the actions of a transaction whose conditions failed.
    """

    def __init__(self, positions: frozenset[int] = frozenset()) -> None:
        super().__init__(*sorted(positions))
        self.positions = positions


def attributes_equal(attributes: Mapping[str, Any]) -> Condition:
    """Condition: the stored item has these attributes with these values."""
    return {
        "ConditionExpression": " AND ".join(f"#{name} = :{name}" for name in attributes),
        "ExpressionAttributeNames": {f"#{name}": name for name in attributes},
        "ExpressionAttributeValues": {f":{name}": value for name, value in attributes.items()},
    }


def attribute_absent(name: str) -> Condition:
    """Condition: the stored item has no such attribute."""
    return {
        "ConditionExpression": f"attribute_not_exists(#{name})",
        "ExpressionAttributeNames": {f"#{name}": name},
    }


def attribute_differs(name: str, value: Mapping[str, Any]) -> Condition:
    """Condition: the stored item has the attribute, with another value."""
    return {
        "ConditionExpression": f"#{name} <> :{name}",
        "ExpressionAttributeNames": {f"#{name}": name},
        "ExpressionAttributeValues": {f":{name}": value},
    }


def all_of(*conditions: Condition) -> Condition:
    """Condition: all of these hold. A name or value that several of them use must be the same in all."""
    return _joined(" AND ", conditions)


def any_of(*conditions: Condition) -> Condition:
    """Condition: one of these holds. A name or value that several of them use must be the same in all."""
    return _joined(" OR ", conditions)


def _joined(operator: str, conditions: Sequence[Condition]) -> Condition:
    joined: dict[str, Any] = {
        "ConditionExpression": operator.join(f"({one['ConditionExpression']})" for one in conditions)
    }
    for argument in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        merged = {name: value for one in conditions for name, value in one.get(argument, {}).items()}
        if merged:  # DynamoDB rejects an empty one
            joined[argument] = merged
    return joined


def with_write_id(item: Item) -> Item:
    """The item with a random write id of eight bytes in ``written``, by which a writer recognises its own write."""
    return {**item, "written": {"B": secrets.token_bytes(8)}}
