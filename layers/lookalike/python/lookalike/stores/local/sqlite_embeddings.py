"""What other models than those in the rows make of pictures, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lookalike.domain.model_change import ModelsInUse
from lookalike.domain.picture import DIMENSION, Vector
from lookalike.domain.record import Record
from lookalike.errors import Unavailable
from lookalike.ports import Embeddings
from lookalike.stores.local.sqlite_database import Database
from lookalike.stores.local.sqlite_records import SqliteRecords

#: Vectors: IEEE 754 half precision, little-endian on every machine.
_FLOAT16 = np.dtype("<f2")

#: Partition and key of the record of the models in use.
_PARTITION, _KEY = "service", "models"

#: Keys of one query: SQLite takes 32,766 values.
_ASKED = 4096

#: Keys read at a time when all are listed.
_LISTED = 4096


class SqliteEmbeddings(Embeddings):
    """A table of the catalog's file, so that one flush serves the vector of one picture and the row of another."""

    def __init__(self, database: Database, records: SqliteRecords) -> None:
        self._database = database
        self._records = records

    def models(self) -> ModelsInUse | None:
        record = self._records.record(_PARTITION, _KEY)
        if record is None:
            return None
        try:
            return ModelsInUse.of_json(record.body, record.revision)
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable("the record of the models in use is damaged") from error

    def save_models(self, models: ModelsInUse, previous: ModelsInUse | None) -> ModelsInUse:
        revision = 1 if previous is None else previous.revision + 1
        record = Record(_PARTITION, _KEY, models.to_json(), revision)
        self._records.put_record(record, None if previous is None else previous.revision)
        return ModelsInUse.of_json(record.body, revision)

    def forget_models(self) -> None:
        self._records.remove_records(_PARTITION, [_KEY])

    def put(self, model: str, key: str, vector: Vector, feature_map: bytes) -> None:
        row = (model, key, vector.astype(_FLOAT16, copy=False).tobytes(), feature_map)
        self._database.write(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO embeddings (model, key, vector, map) VALUES (?, ?, ?, ?)", row
            )
        )

    def vectors(self, model: str, keys: Sequence[str]) -> Mapping[str, Vector]:
        found = self._read("vector", model, keys)
        vectors = {key: np.frombuffer(data, _FLOAT16) for key, data in found.items()}
        return {key: vector for key, vector in vectors.items() if vector.shape == (DIMENSION,)}

    def maps(self, model: str, keys: Sequence[str]) -> Mapping[str, bytes]:
        return self._read("map", model, keys)

    def remove(self, models: Sequence[str], keys: Sequence[str]) -> None:
        names = [(model, key) for model in models for key in keys]

        def remove(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM embeddings WHERE model = ? AND key = ?", names)

        if names:
            self._database.write(remove)

    def keys(self, model: str) -> Iterator[Sequence[str]]:
        last = ""
        while keys := self._keys_after(model, last):
            yield keys
            last = keys[-1]

    def _keys_after(self, model: str, last: str) -> list[str]:
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT key FROM embeddings WHERE model = ? AND key > ? ORDER BY key LIMIT ?", (model, last, _LISTED)
            ).fetchall()
        return [key for (key,) in found]

    def _read(self, column: str, model: str, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for begin in range(0, len(keys), _ASKED):
            some = keys[begin : begin + _ASKED]
            places = ", ".join("?" * len(some))
            statement = f"SELECT key, {column} FROM embeddings WHERE model = ? AND key IN ({places})"  # noqa: S608 - of constants
            with self._database.reading() as connection:
                found |= connection.execute(statement, (model, *some)).fetchall()
        return found
