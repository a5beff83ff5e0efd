"""Conditional writes: conditions on the stored item, their failure, and ids that tell a write from its repetition."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from lookalike.stores.aws.dynamodb_keys import Item

Condition = Mapping[str, Any]
"""What the stored item must be like, as arguments of a write: :data:`ABSENT`, or made by :func:`attributes_equal`."""

#: There is no such item.
ABSENT: Condition = {"ConditionExpression": "attribute_not_exists(pk)"}


class ConditionError(Exception):
    """The stored item is not what a write asked for. ``positions`` are those of such items in a transaction."""

    def __init__(self, positions: frozenset[int] = frozenset()) -> None:
        super().__init__(*sorted(positions))
        self.positions = positions


def attributes_equal(attributes: Mapping[str, Any], *, or_absent: bool = False) -> Condition:
    """The stored item has these values in these attributes; with ``or_absent``, or there is none."""
    expression = " AND ".join(f"#{name} = :{name}" for name in attributes)
    return {
        "ConditionExpression": f"attribute_not_exists(pk) OR ({expression})" if or_absent else expression,
        "ExpressionAttributeNames": {f"#{name}": name for name in attributes},
        "ExpressionAttributeValues": {f":{name}": value for name, value in attributes.items()},
    }


def with_write_id(item: Item) -> Item:
    """The item with a mark that no other write has: eight random bytes in ``written``."""
    return {**item, "written": {"B": secrets.token_bytes(8)}}
