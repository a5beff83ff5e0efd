"""The catalog, local maps, uploads and index generations of an AWS account, in one DynamoDB table."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from lookalike.domain.library import Kind, Library, RemovedLibrary
from lookalike.domain.picture import Key, Picture
from lookalike.domain.search import Generation
from lookalike.domain.upload import Upload, UploadState
from lookalike.errors import LibraryExists, LibraryNotFound, RevisionConflict
from lookalike.ports import Catalog, Counters, Generations, MapStore, Uploads
from lookalike.stores.aws.dynamodb_items import (
    REMOVED_LIBRARIES,
    generation_attributes,
    generation_item,
    generation_of,
    holder_item,
    library_item,
    library_of,
    number,
    picture_item,
    picture_of,
    removed_item,
    removed_of,
    text,
    upload_item,
    upload_of,
    upload_stamp,
    waiting_partition,
)
from lookalike.stores.aws.dynamodb_table import (
    ABSENT,
    EXPIRES,
    SHARDS,
    Condition,
    ConditionError,
    Item,
    ItemKey,
    Table,
    batched,
    count_key,
    generation_key,
    holder_key,
    holders_partition,
    key_of,
    library_key,
    map_key,
    object_key_of,
    picture_key,
    pictures_partition,
    removed_key,
    shard_of,
    shards_of,
    upload_key,
    where,
)

#: Holders of a picture that are read at a time: of most pictures there is one, and seldom is more than one asked for.
_HOLDERS = 25

#: States that an upload of the version before may have.
_FORMER = frozenset({UploadState.SETTLED, UploadState.ADDING, UploadState.UNSURE})

#: What of a row says which state it is in.
_REVISION = ("pk", "sk", "revision")

#: Batches of one call that are read side by side.
_SIDE_BY_SIDE = 8


class DynamoCatalog(Catalog):
    """Libraries and picture rows. Every read is strongly consistent.

    The rows of a library lie in 16 shards, so that no library is more than any partition takes.
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

    def remove_library(self, library: Library, now: int) -> None:
        removed = RemovedLibrary(library.uid, library.kind, now)
        try:
            self._table.change(
                self._table.deleting(library_key(library.tenant, library.name), where({"uid": text(library.uid)})),
                self._table.putting(removed_item(removed), ABSENT),
            )
        except ConditionError:
            raise LibraryNotFound(library.name) from None

    def removed_libraries(self, before: int, limit: int) -> Sequence[RemovedLibrary]:
        found: list[RemovedLibrary] = []
        entries = self._table.waiting(REMOVED_LIBRARIES, before, limit)
        while keys := [key_of(entry) for entry in islice(entries, limit - len(found))]:
            removed = [removed_of(item) for item in self._table.get_all(keys)]
            found += sorted(removed, key=lambda one: one.removed)
        return found

    def forget_library(self, uid: str) -> None:
        self._table.delete(removed_key(uid))

    def picture(self, key: Key) -> Picture | None:
        item = self._table.get(picture_key(key.library, key.id))
        return None if item is None else picture_of(item)

    def changed(self, revisions: Mapping[Key, int]) -> Mapping[Key, Picture | None]:
        stored = self._revisions(list(revisions))
        others = [key for key, revision in revisions.items() if stored.get(key) != revision]
        rows = {row.key: row for row in _pictures(self._table.get_all([_place(key) for key in others]))}
        return {key: rows.get(key) for key in others}

    def _revisions(self, keys: Sequence[Key]) -> dict[Key, int]:
        """Those of the rows that are there. What else is in them costs the same, but would have to be sent and read."""
        places = {_place(key): key for key in keys}
        batches = [list(batch) for batch in batched(places)]
        if len(batches) <= 1:
            found = [self._table.get_all(batch, attributes=_REVISION) for batch in batches]
        else:
            with ThreadPoolExecutor(min(len(batches), _SIDE_BY_SIDE)) as pool:
                found = list(pool.map(lambda batch: self._table.get_all(batch, attributes=_REVISION), batches))
        return {places[key_of(item)]: int(item["revision"]["N"]) for items in found for item in items}

    def pictures(self, library: str, after: str | None, limit: int) -> Sequence[Picture]:
        """Rows of a library (uid) in whatever state, shard by shard and by id in each, ``limit`` at most.

        ``after`` is the id of the last row of the page before (None: from the start); it need not be there any more.
        """
        found: list[Picture] = []
        first = SHARDS[0] if after is None else shard_of(after)
        for shard in SHARDS[SHARDS.index(first) :]:
            missing = limit - len(found)
            if not missing:
                break
            behind = after if shard == first else None
            items = self._table.query(pictures_partition(library, shard), behind=behind, most=missing)
            found += _pictures(islice(items, missing))
        return found

    def pictures_by_prefix(self, library: str, prefix: str, limit: int) -> Sequence[Picture]:
        """Rows of a library whose id starts with ``prefix``, in whatever state, by id, ``limit`` at most.

        A sign's 16 hex digits name the shard; for other prefixes all of them are read.
        """
        partitions = [pictures_partition(library, shard) for shard in shards_of(prefix)]
        items = [self._table.query(partition, prefix=prefix, most=limit) for partition in partitions]
        return _pictures(islice(heapq.merge(*items, key=lambda item: str(item["sk"]["S"])), limit))

    def put(self, picture: Picture, previous: int | None) -> None:
        try:
            self._table.put(picture_item(picture), ABSENT if previous is None else _at(previous))
        except ConditionError:
            raise RevisionConflict(f"{picture.key.library}/{picture.key.id}") from None

    def remove(self, key: Key, revision: int) -> None:
        try:
            self._table.delete(picture_key(key.library, key.id), _at(revision))
        except ConditionError:
            raise RevisionConflict(f"{key.library}/{key.id}") from None

    def waiting_for_purge(self, before: int, limit: int, since: int = 0) -> Sequence[Picture]:
        """Rows not live whose ``deleted_at`` is from ``since`` on and before ``before``, oldest first, ``limit`` at most.

        Both are Unix milliseconds.
        The index says where such rows may be; each is read from the table, so that none is live. One deleted a moment
        ago may still be missing.
        """
        found: dict[Key, Picture] = {}
        entries = heapq.merge(
            *(self._table.waiting(waiting_partition(shard), before, limit, since) for shard in SHARDS), key=_since
        )
        while keys := [key_of(entry) for entry in islice(entries, limit - len(found))]:
            rows = [(row.deleted_at, row) for row in _pictures(self._table.get_all(keys)) if not row.live]
            waiting = [(at, row) for at, row in rows if at is not None and since <= at < before]
            found |= {row.key: row for _, row in sorted(waiting, key=lambda one: one[0])}
        return list(found.values())

    def scan(self, kind: Kind) -> Iterator[Sequence[Picture]]:
        """Every row of a kind in whatever state, in batches, to fill an index from.

        It reads the whole table. A row written while the scan runs comes with its old or its new revision, or, if it
        is new, perhaps not at all.
        """
        for items in self._table.scan("P#", {"kind": text(kind)}):
            if items:
                yield _pictures(items)


class DynamoMaps(MapStore):
    """Local maps, an item each. A key's map never changes but for the same bytes again."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def put_map(self, key: str, data: bytes) -> None:
        self._table.put({**map_key(key).values, "map": {"B": data}})

    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """Those of the maps that are there.

        A read that may be a moment late costs half; only what it does not find is asked for again, strongly.
        """
        found = self._read(keys, consistent=False)
        missing = [key for key in keys if key not in found]
        return found | self._read(missing, consistent=True)

    def remove_maps(self, keys: Sequence[str]) -> None:
        self._table.delete_all([map_key(key) for key in keys])

    def _read(self, keys: Sequence[str], *, consistent: bool) -> dict[str, bytes]:
        items = self._table.get_all([map_key(key) for key in keys], consistent=consistent)
        return {object_key_of(key_of(item)): bytes(item["map"]["B"]) for item in items}


class DynamoUploads(Uploads):
    """What uploaded objects have become."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def upload(self, source: str) -> Upload | None:
        item = self._table.get(upload_key(source))
        return None if item is None else upload_of(item)

    def save_upload(self, upload: Upload, known: Upload | None) -> None:
        """Remember it if what is stored of its source is still ``known`` (None: nothing).

        Raises RevisionConflict otherwise, and then nothing has changed. An item of a holder is there before the upload
        says that it holds the picture, and goes in one transaction with that; one too many is passed over by who reads.
        """
        before = None if known is None or known.holds is None else known.holds.picture
        after = None if upload.holds is None else upload.holds.picture
        condition = ABSENT if known is None else _unchanged(known)
        if after is not None and after != before:
            self._table.put(holder_item(after, upload.source))
        try:
            if before is None or after == before:
                self._table.put(upload_item(upload), condition)
            else:
                self._table.change(
                    self._table.putting(upload_item(upload), condition),
                    self._table.deleting(holder_key(before, upload.source), {}),
                )
        except ConditionError:
            raise RevisionConflict(upload.source) from None

    def holders(self, picture: Key) -> Iterator[Upload]:
        """The uploads that hold this picture, a few at a time, as they are asked for."""
        found = self._table.query(holders_partition(picture))
        while sources := [item["source"]["S"] for item in islice(found, _HOLDERS)]:
            for item in self._table.get_all([upload_key(source) for source in sources]):
                upload = upload_of(item)
                if upload.holds is not None and upload.holds.picture == picture:
                    yield upload


class DynamoCounters(Counters):
    """Counts, an item each. What has expired, DynamoDB takes away itself."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None) -> int:
        others = {} if expires is None else {EXPIRES: number(-(-expires // 1000))}
        wanted = wanted if limit is None else min(wanted, limit)
        while wanted > 0:
            count = self._table.add(count_key(name), "count", wanted, limit, others)
            if count is None:
                return wanted
            wanted = 0 if limit is None else min(wanted, limit - count)
        return 0

    def counted(self, name: str) -> int:
        item = self._table.get(count_key(name))
        return 0 if item is None else int(item["count"]["N"])

    def forget_counts(self, now: int) -> None:
        """Nothing to do: the table's time to live does it."""


class DynamoGenerations(Generations):
    """Which indices of a kind are live."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def generation(self, kind: Kind) -> Generation | None:
        item = self._table.get(generation_key(kind))
        return None if item is None else generation_of(item)

    def save_generation(self, kind: Kind, generation: Generation, previous: Generation | None) -> None:
        condition = ABSENT if previous is None else where(generation_attributes(previous))
        try:
            self._table.put(generation_item(kind, generation), condition)
        except ConditionError:
            raise RevisionConflict(kind) from None


def _place(key: Key) -> ItemKey:
    return picture_key(key.library, key.id)


def _unchanged(upload: Upload) -> Condition:
    """The stored upload is this one. In an item of the version before, its state is not said but told otherwise."""
    stamp = upload_stamp(upload)
    same = where(stamp)
    if "added" not in stamp:
        same = _and(same, "attribute_not_exists(#added)", {"#added": "added"})
    if upload.state in _FORMER:
        older = same["ConditionExpression"].replace("#state = :state", "attribute_not_exists(#state)")
        same = {**same, "ConditionExpression": f"({same['ConditionExpression']}) OR ({older})"}
    return same


def _and(condition: Condition, term: str, names: Mapping[str, str]) -> Condition:
    return {
        **condition,
        "ConditionExpression": f"{condition['ConditionExpression']} AND {term}",
        "ExpressionAttributeNames": {**condition["ExpressionAttributeNames"], **names},
    }


def _at(revision: int) -> Condition:
    return where({"revision": number(revision)})


def _since(entry: Item) -> int:
    return int(entry["deleted_at"]["N"])


def _pictures(items: Iterable[Item]) -> list[Picture]:
    return [row for item in items if (row := picture_of(item)) is not None]
