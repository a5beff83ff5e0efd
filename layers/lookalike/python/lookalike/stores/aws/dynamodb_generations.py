"""Index generations in the DynamoDB table, an item for each kind."""

from __future__ import annotations

from lookalike.domain.library import Kind
from lookalike.domain.search import Generation
from lookalike.errors import RevisionConflict
from lookalike.ports import Generations
from lookalike.stores.aws.dynamodb_conditions import ABSENT, ConditionError, attributes_equal
from lookalike.stores.aws.dynamodb_items import generation_attributes, generation_item, generation_of
from lookalike.stores.aws.dynamodb_keys import generation_key
from lookalike.stores.aws.dynamodb_table import Table


class DynamoGenerations(Generations):
    """Names of the indices that each kind's pictures are read from and written to."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def generation(self, kind: Kind) -> Generation | None:
        item = self._table.get(generation_key(kind))
        return None if item is None else generation_of(item)

    def save_generation(self, kind: Kind, generation: Generation, previous: Generation | None) -> None:
        condition = ABSENT if previous is None else attributes_equal(generation_attributes(previous))
        try:
            self._table.put(generation_item(kind, generation), condition)
        except ConditionError:
            raise RevisionConflict(kind) from None
