"""What other models than those in the rows make of pictures, in the DynamoDB table, an item each; and the models in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lookalike.domain.model_change import ModelsInUse
from lookalike.domain.picture import DIMENSION, Vector
from lookalike.errors import RevisionConflict, Unavailable
from lookalike.ports import Embeddings
from lookalike.stores.aws.dynamodb_attributes import number, text
from lookalike.stores.aws.dynamodb_conditions import ABSENT, ConditionError, attributes_equal
from lookalike.stores.aws.dynamodb_keys import Item, embedded_key, embedding_key, generation_key, key_of
from lookalike.stores.aws.dynamodb_table import Table

#: Vectors: IEEE 754 half precision, little-endian on every machine.
_FLOAT16 = np.dtype("<f2")

#: What the item of the models in use is called among those of the generations.
_MODELS = generation_key("models")


class DynamoEmbeddings(Embeddings):
    """Vectors and local maps. What is missing is read again with strong consistency."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def models(self) -> ModelsInUse | None:
        item = self._table.get(_MODELS)
        if item is None:
            return None
        try:
            return ModelsInUse.of_json(item["body"]["S"], int(item["revision"]["N"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable("the item of the models in use is damaged") from error

    def save_models(self, models: ModelsInUse, previous: ModelsInUse | None) -> ModelsInUse:
        revision = 1 if previous is None else previous.revision + 1
        condition = ABSENT if previous is None else attributes_equal({"revision": number(previous.revision)})
        body = models.to_json()
        try:
            self._table.put({**_MODELS.values, "body": text(body), "revision": number(revision)}, condition)
        except ConditionError:
            raise RevisionConflict("the models in use") from None
        return ModelsInUse.of_json(body, revision)

    def forget_models(self) -> None:
        self._table.delete(_MODELS)

    def put(self, model: str, key: str, vector: Vector, feature_map: bytes) -> None:
        made = {"vector": {"B": vector.astype(_FLOAT16, copy=False).tobytes()}, "map": {"B": feature_map}}
        self._table.put({**embedding_key(model, key).values, "model": text(model), **made})

    def vectors(self, model: str, keys: Sequence[str]) -> Mapping[str, Vector]:
        found = {key: np.frombuffer(data, _FLOAT16) for key, data in self._read("vector", model, keys).items()}
        return {key: vector for key, vector in found.items() if vector.shape == (DIMENSION,)}

    def maps(self, model: str, keys: Sequence[str]) -> Mapping[str, bytes]:
        return self._read("map", model, keys)

    def remove(self, models: Sequence[str], keys: Sequence[str]) -> None:
        self._table.delete_all([embedding_key(model, key) for model in models for key in keys])

    def keys(self, model: str) -> Iterator[Sequence[str]]:
        """Yield the object keys of a model, read with eventual consistency. Reads the whole table."""
        for items in self._table.scan_all("V#", only_keys=True):
            found = [embedded_key(key_of(item)) for item in items]
            if keys := [key for of, key in found if of == model]:
                yield keys

    def _read(self, attribute: str, model: str, keys: Sequence[str]) -> dict[str, bytes]:
        found = self._read_items(attribute, model, keys, consistent=False)
        missing = [key for key in keys if key not in found]
        return found | self._read_items(attribute, model, missing, consistent=True) if missing else found

    def _read_items(self, attribute: str, model: str, keys: Sequence[str], *, consistent: bool) -> dict[str, bytes]:
        wanted = [embedding_key(model, key) for key in keys]
        items = self._table.get_all(wanted, consistent=consistent, attributes=("pk", "sk", attribute))
        return {embedded_key(key_of(item))[1]: _bytes(item, attribute) for item in items}


def _bytes(item: Item, attribute: str) -> bytes:
    value: Mapping[str, Any] = item.get(attribute, {"B": b""})
    return bytes(value["B"])
