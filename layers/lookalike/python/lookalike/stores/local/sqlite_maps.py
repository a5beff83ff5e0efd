"""Local maps in SQLite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lookalike.domain.inventory import StoredMap
from lookalike.ports import MapStore
from lookalike.stores.local.sqlite_database import Database

#: Keys read at a time when all are listed.
_LISTED = 4096


class SqliteMaps(MapStore):
    """Local maps in a table of the catalog's file, so that one flush serves the map of one add and the row of another."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_map(self, key: str, data: bytes) -> None:
        self._database.write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO maps (key, data) VALUES (?, ?)", (key, data))
        )

    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        with self._database.reading() as connection:
            for key in keys:
                found |= connection.execute("SELECT key, data FROM maps WHERE key = ?", (key,)).fetchall()
        return found

    def remove_maps(self, keys: Sequence[str]) -> None:
        self._database.write(
            lambda connection: connection.executemany("DELETE FROM maps WHERE key = ?", [(key,) for key in keys])
        )

    def stored_maps(self) -> Iterator[Sequence[StoredMap]]:
        """Yield all maps as they lie in the file, with their sizes: SQLite tells those without reading the maps."""
        last = -1
        while rows := self._after(last):
            yield [StoredMap(key, size) for _, key, size in rows]
            last = rows[-1][0]

    def _after(self, last: int) -> list[tuple[int, str, int]]:
        with self._database.reading() as connection:
            return connection.execute(
                "SELECT rowid, key, length(data) FROM maps WHERE rowid > ? ORDER BY rowid LIMIT ?", (last, _LISTED)
            ).fetchall()
