"""Values as attributes of an item."""

from __future__ import annotations

from lookalike.stores.aws.dynamodb_keys import Item


def text(value: str) -> Item:
    """A string attribute."""
    return {"S": value}


def number(value: int) -> Item:
    """A number attribute."""
    return {"N": str(value)}
