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
    """Names of the indices that each kind's pictures are read from and written to.

    Parameters
    ----------
    model : the model whose indices they are, where it has its own; else those that are no model's own.
    """

    def __init__(self, table: Table, model: str = "") -> None:
        self._table = table
        self._model = model

    def generation(self, kind: Kind) -> Generation | None:
        return self.own(kind) or self.shared(kind)

    def save_generation(self, kind: Kind, generation: Generation, previous: Generation | None) -> None:
        condition = ABSENT if previous is None else attributes_equal(generation_attributes(previous))
        try:
            self._table.put(generation_item(kind, generation), condition)
        except ConditionError:
            raise RevisionConflict(kind) from None

    def shared(self, kind: Kind) -> Generation | None:
        """Return the generation that is no model's own; None if there is none."""
        return self._read(kind)

    def own(self, kind: Kind) -> Generation | None:
        """Return the model's own generation; None if it has none."""
        return self._read(self._name(kind)) if self._model else None

    def save_own(self, kind: Kind, generation: Generation) -> None:
        """Write the model's own generation, whatever is there."""
        self._table.put(generation_item(self._name(kind), generation))

    def remove_own(self, kind: Kind) -> None:
        """Remove the model's own generation; from then on it has that which is no model's own."""
        self._table.delete(generation_key(self._name(kind)))

    def _name(self, kind: Kind) -> str:
        return f"{kind}@{self._model}"

    def _read(self, name: str) -> Generation | None:
        item = self._table.get(generation_key(name))
        return None if item is None else generation_of(item)
