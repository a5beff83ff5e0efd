"""The catalog of an AWS account: libraries and picture rows in the DynamoDB table."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from lookalike.domain.library import Kind, Library, RemovedLibrary
from lookalike.domain.picture import Key, Picture, State
from lookalike.errors import LibraryExists, LibraryNotFound, RevisionConflict
from lookalike.ports import Catalog
from lookalike.stores.aws.dynamodb_attributes import number, text
from lookalike.stores.aws.dynamodb_conditions import (
    ABSENT,
    Condition,
    ConditionError,
    any_of,
    attribute_differs,
    attributes_equal,
)
from lookalike.stores.aws.dynamodb_items import (
    REMOVED_LIBRARIES_PARTITION,
    alias_item,
    library_item,
    library_of,
    picture_item,
    picture_of,
    purge_partition,
    readable_picture_of,
    removed_item,
    removed_of,
)
from lookalike.stores.aws.dynamodb_keys import (
    SHARDS,
    Item,
    ItemKey,
    alias_key,
    key_of,
    library_key,
    picture_key,
    pictures_partition,
    removed_key,
    shard_of,
    shards_of,
)
from lookalike.stores.aws.dynamodb_table import Table, batched

#: Attributes that tell a row's revision.
_REVISION_ATTRIBUTES = ("pk", "sk", "revision")

#: Batches of one call that are read in parallel.
_MAX_PARALLEL_READS = 8


class DynamoCatalog(Catalog):
    """Libraries and picture rows. Every read is strongly consistent.

    The rows of a library are spread over 16 partitions, so that writes to one library may exceed a partition's rate.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def library(self, tenant: str, name: str) -> Library | None:
        item = self._table.get(library_key(tenant, name))
        return None if item is None else library_of(item)

    def libraries(self, tenant: str) -> Sequence[Library]:
        return [library_of(item) for item in self._table.query(library_key(tenant, "").pk)]

    def create_library(self, library: Library) -> None:
        try:
            self._table.put(library_item(library), ABSENT)
        except ConditionError:
            raise LibraryExists(library.name) from None

    def change_library(self, library: Library) -> None:
        stored = self.library(library.tenant, library.name)
        if stored is None or stored.uid != library.uid:
            raise LibraryNotFound(library.name)
        changed = library_item(replace(stored, capacity=library.capacity))
        try:
            self._table.put(changed, attributes_equal({"uid": text(library.uid)}))
        except ConditionError:
            raise LibraryNotFound(library.name) from None

    def remove_library(self, library: Library, now: int) -> None:
        removed = RemovedLibrary(library.uid, library.kind, now)
        try:
            self._table.transact(
                self._table.delete_action(
                    library_key(library.tenant, library.name), attributes_equal({"uid": text(library.uid)})
                ),
                self._table.put_action(removed_item(removed), ABSENT),
            )
        except ConditionError:
            raise LibraryNotFound(library.name) from None

    def removed_libraries(self, before: int, limit: int) -> Sequence[RemovedLibrary]:
        found: list[RemovedLibrary] = []
        entries = self._table.purge_entries(REMOVED_LIBRARIES_PARTITION, before, limit)
        while keys := [key_of(entry) for entry in islice(entries, limit - len(found))]:
            removed = [removed_of(item) for item in self._table.get_all(keys)]
            found += sorted(removed, key=lambda one: one.removed)
        return found

    def alias(self, library: str, name: str) -> str | None:
        item = self._table.get(alias_key(library, name))
        return None if item is None else str(item["id"]["S"])

    def aliases(self, library: str, after: str, limit: int) -> Sequence[tuple[str, str]]:
        found = self._table.query(alias_key(library, "").pk, after=after or None, limit=limit)
        return [(str(item["sk"]["S"]), str(item["id"]["S"])) for item in islice(found, limit)]

    def save_aliases(self, library: str, aliases: Mapping[str, str]) -> None:
        self._table.put_all([alias_item(library, name, id_) for name, id_ in aliases.items()])

    def claim_alias(self, library: str, name: str, id_: str, instead: str | None) -> bool:
        item, owner = alias_item(library, name, id_), None if instead is None else picture_key(library, instead)
        try:
            if instead is None or owner is None or not owner.is_valid:  # no row has such a key
                self._table.put(item, ABSENT if instead is None else attributes_equal({"id": text(instead)}))
            else:
                self._table.transact(
                    self._table.put_action(item, attributes_equal({"id": text(instead)})),
                    self._table.check_action(owner, any_of(ABSENT, attribute_differs("state", text(State.LIVE)))),
                )
        except ConditionError:
            return False
        return True

    def remove_alias(self, library: str, name: str, id_: str) -> None:
        with suppress(ConditionError):
            self._table.delete(alias_key(library, name), attributes_equal({"id": text(id_)}))

    def forget_library(self, uid: str) -> None:
        self._table.delete_all([key_of(item) for item in self._table.query(alias_key(uid, "").pk)])
        self._table.delete(removed_key(uid))

    def missing_libraries(self, uids: Set[str]) -> Set[str]:
        """Return those of these uids that no library has, not even a removed one. Reads the whole table if there are any.

        Libraries are read first: one that is removed meanwhile is then a removed one.
        """
        if not uids:
            return set()
        missing = set(uids)
        for items in self._table.scan_all("T#"):
            missing -= {item["uid"]["S"] for item in items}
        removed = self._table.get_all([removed_key(uid) for uid in missing])
        return missing - {removed_of(item).uid for item in removed}

    def picture(self, key: Key) -> Picture | None:
        item = self._table.get(picture_key(key.library, key.id))
        return None if item is None else picture_of(item)

    def changed(self, revisions: Mapping[Key, int]) -> Mapping[Key, Picture | None]:
        stored = self._revisions(list(revisions))
        others = [key for key, revision in revisions.items() if stored.get(key) != revision]
        rows = {row.key: row for row in _rows_of(self._table.get_all([_item_key(key) for key in others]))}
        return {key: rows.get(key) for key in others}

    def _revisions(self, keys: Sequence[Key]) -> dict[Key, int]:
        """Stored revisions of those rows that exist.

        Reading a whole row costs as many read units, but takes longer to transfer and to parse.
        """
        keys_by_item = {_item_key(key): key for key in keys}
        batches = [list(batch) for batch in batched(keys_by_item)]
        if len(batches) <= 1:
            found = [self._table.get_all(batch, attributes=_REVISION_ATTRIBUTES) for batch in batches]
        else:
            with ThreadPoolExecutor(min(len(batches), _MAX_PARALLEL_READS)) as pool:
                found = list(
                    pool.map(lambda batch: self._table.get_all(batch, attributes=_REVISION_ATTRIBUTES), batches)
                )
        return {keys_by_item[key_of(item)]: int(item["revision"]["N"]) for items in found for item in items}

    def pictures(self, library: str, after: str | None, limit: int) -> Sequence[Picture]:
        """Rows of a library (uid) in any state, by shard and then by id, at most ``limit``.

        ``after`` is the id of the last row of the previous page, None for the first page. That row may have been
        removed.
        """
        found: list[Picture] = []
        first = SHARDS[0] if after is None else shard_of(after)
        for shard in SHARDS[SHARDS.index(first) :]:
            missing = limit - len(found)
            if not missing:
                break
            start = after if shard == first else None
            items = self._table.query(pictures_partition(library, shard), after=start, limit=missing)
            found += _rows_of(islice(items, missing))
        return found

    def pictures_by_prefix(self, library: str, prefix: str, limit: int) -> Sequence[Picture]:
        """Rows of a library (uid) whose id starts with ``prefix``, in any state, by id, at most ``limit``.

        The 16 hexadecimal digits of a sign determine the shard; a shorter prefix is looked up in all shards.
        """
        partitions = [pictures_partition(library, shard) for shard in shards_of(prefix)]
        items = [self._table.query(partition, prefix=prefix, limit=limit) for partition in partitions]
        return _rows_of(islice(heapq.merge(*items, key=lambda item: str(item["sk"]["S"])), limit))

    def put(self, picture: Picture, previous: int | None) -> None:
        try:
            self._table.put(picture_item(picture), ABSENT if previous is None else _at_revision(previous))
        except ConditionError:
            raise RevisionConflict(f"{picture.key.library}/{picture.key.id}") from None

    def put_called(self, picture: Picture, previous: int | None, name: str) -> None:
        key = picture.key
        try:
            self._table.transact(
                self._table.put_action(picture_item(picture), ABSENT if previous is None else _at_revision(previous)),
                self._table.check_action(alias_key(key.library, name), attributes_equal({"id": text(key.id)})),
            )
        except ConditionError:
            raise RevisionConflict(f"{key.library}/{key.id}") from None

    def remove(self, key: Key, revision: int) -> None:
        try:
            self._table.delete(picture_key(key.library, key.id), _at_revision(revision))
        except ConditionError:
            raise RevisionConflict(f"{key.library}/{key.id}") from None

    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        """Rows that are not live with ``since`` <= ``deleted_at`` < ``before``, oldest first, at most ``limit``.

        Bounds are Unix milliseconds. The purge index only names candidates: each row is read from the table with strong
        consistency, so no live row is returned. A row deleted a moment ago may be missing.
        """
        found: dict[Key, Picture] = {}
        entries = heapq.merge(
            *(self._table.purge_entries(purge_partition(shard), before, limit, since) for shard in SHARDS),
            key=_deleted_at,
        )
        while keys := [key_of(entry) for entry in islice(entries, limit - len(found))]:
            rows = [(row.deleted_at, row) for row in _rows_of(self._table.get_all(keys)) if not row.live]
            waiting = [(at, row) for at, row in rows if at is not None and since <= at < before]
            found |= {row.key: row for _, row in sorted(waiting, key=lambda one: one[0])}
        return list(found.values())

    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        """All rows of a kind in any state, in batches. Reads the whole table.

        A row written during the scan is returned in its old or new revision; one created meanwhile may be missing.
        """
        for items in self._table.scan("P#", {"kind": text(kind)}):
            if items:
                yield _rows_of(items)

    def every_row(self) -> Iterator[Sequence[Picture]]:
        """Yield all rows in batches, read with eventual consistency. Reads the whole table."""
        for items in self._table.scan_all("P#"):
            if items:
                yield [row for item in items if (row := readable_picture_of(item)) is not None]


def _item_key(key: Key) -> ItemKey:
    return picture_key(key.library, key.id)


def _at_revision(revision: int) -> Condition:
    return attributes_equal({"revision": number(revision)})


def _deleted_at(entry: Item) -> int:
    return int(entry["deleted_at"]["N"])


def _rows_of(items: Iterable[Item]) -> list[Picture]:
    return [row for item in items if (row := picture_of(item)) is not None]
