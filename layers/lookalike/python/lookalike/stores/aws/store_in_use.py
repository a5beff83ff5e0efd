"""Which vector store was filled last: another one lacks what was written since."""

from __future__ import annotations

from lookalike.settings import OPENSEARCH
from lookalike.stores.aws.dynamodb_attributes import text
from lookalike.stores.aws.dynamodb_keys import generation_key
from lookalike.stores.aws.dynamodb_table import Table

_KEY = generation_key("store")


class StoreInUse:
    """An item of the table. Every method may raise Unavailable."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def name(self) -> str:
        """Return the store that is kept up to date; OpenSearch in a table of the time when there was no other."""
        item = self._table.get(_KEY)
        return OPENSEARCH if item is None else str(item["name"]["S"])

    def note(self, name: str) -> None:
        """Note a store that has been filled."""
        self._table.put(_KEY.values | {"name": text(name)})
