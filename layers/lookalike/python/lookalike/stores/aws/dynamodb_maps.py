"""Local maps in the DynamoDB table, an item each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lookalike.domain.inventory import StoredMap
from lookalike.ports import MapStore
from lookalike.stores.aws.dynamodb_keys import Item, key_of, map_key, object_key_of
from lookalike.stores.aws.dynamodb_table import Table


class DynamoMaps(MapStore):
    """Local maps by object key. A key's map is never replaced by another."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def put_map(self, key: str, data: bytes) -> None:
        self._table.put({**map_key(key).values, "map": {"B": data}})

    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """Return the maps that exist, by key.

        All are read with eventual consistency, which costs half; missing ones are read again with strong consistency.
        """
        found = self._read(keys, consistent=False)
        missing = [key for key in keys if key not in found]
        return found | self._read(missing, consistent=True)

    def remove_maps(self, keys: Sequence[str]) -> None:
        self._table.delete_all([map_key(key) for key in keys])

    def stored_maps(self) -> Iterator[Sequence[StoredMap]]:
        """Yield the keys of all maps, read with eventual consistency. Reads the whole table, but transfers no map."""
        for items in self._table.scan_all("M#", only_keys=True):
            if items:
                yield [StoredMap(object_key_of(key_of(item))) for item in items]

    def _read(self, keys: Sequence[str], *, consistent: bool) -> dict[str, bytes]:
        items = self._table.get_all([map_key(key) for key in keys], consistent=consistent)
        return {object_key_of(key_of(item)): _map_of(item) for item in items}


def _map_of(item: Item) -> bytes:
    """Return the map of an item; an empty one, which is no map, if the item is damaged."""
    data = item.get("map", {}).get("B", b"")
    return bytes(data)
