"""Conditions of DynamoDB writes, and write ids that make conditional writes repeatable."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from lookalike.stores.aws.dynamodb_keys import Item

Condition = Mapping[str, Any]
"""A condition on the stored item, as arguments of a write: :data:`ABSENT`, or made by :func:`attributes_equal`."""

#: Condition: there is no item with this key.
ABSENT: Condition = {"ConditionExpression": "attribute_not_exists(pk)"}


class ConditionError(Exception):
    """The stored item does not meet the condition of a write.

    ``positions``: the actions of a transaction whose conditions failed.
    """

    def __init__(self, positions: frozenset[int] = frozenset()) -> None:
        super().__init__(*sorted(positions))
        self.positions = positions


def attributes_equal(attributes: Mapping[str, Any], *, or_absent: bool = False) -> Condition:
    """Condition: the stored item has these attributes with these values; with ``or_absent``, or there is no item."""
    expression = " AND ".join(f"#{name} = :{name}" for name in attributes)
    return {
        "ConditionExpression": f"attribute_not_exists(pk) OR ({expression})" if or_absent else expression,
        "ExpressionAttributeNames": {f"#{name}": name for name in attributes},
        "ExpressionAttributeValues": {f":{name}": value for name, value in attributes.items()},
    }


def with_write_id(item: Item) -> Item:
    """The item with a random write id of eight bytes in ``written``, by which a writer recognises its own write."""
    return {**item, "written": {"B": secrets.token_bytes(8)}}
