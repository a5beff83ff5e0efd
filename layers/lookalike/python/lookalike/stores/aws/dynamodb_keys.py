"""Partition and sort keys of the one DynamoDB table, by kind of item."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lookalike.domain.picture import Key

Item = dict[str, Any]
"""An item: its attributes' values as DynamoDB writes them, ``{"S": …}``, ``{"N": …}``, ``{"B": …}``."""

#: Partitions of a library. A partition takes 1,000 writes a second (Amazon DynamoDB developer guide, "Best practices
#: for designing and using partition keys"), and an import into one library may bring more.
SHARDS = "0123456789abcdef"

#: Bytes of a partition key and of a sort key (Amazon DynamoDB developer guide, "Quotas").
_MAX_PK_BYTES, _MAX_SK_BYTES = 2048, 1024

_SIGN_PREFIX = re.compile("[0-9a-f]{16}")


class ItemKey(NamedTuple):
    """An item's partition key and sort key."""

    pk: str
    sk: str

    @property
    def values(self) -> Item:
        """The key as attributes."""
        return {"pk": {"S": self.pk}, "sk": {"S": self.sk}}

    @property
    def is_valid(self) -> bool:
        """Whether an item may have this key. What callers ask for may be empty, too long, or no text at all."""
        try:
            return 1 <= len(self.pk.encode()) <= _MAX_PK_BYTES and 1 <= len(self.sk.encode()) <= _MAX_SK_BYTES
        except UnicodeEncodeError:
            return False


def key_of(item: Mapping[str, Mapping[str, Any]]) -> ItemKey:
    """Where an item is, or an index's entry for it."""
    return ItemKey(str(item["pk"]["S"]), str(item["sk"]["S"]))


def application_key(access_key: str) -> ItemKey:
    """An application's row."""
    return ItemKey(f"APP#{access_key}", "APP")


def app_id_key(app_id: str) -> ItemKey:
    """What says whose an app id is."""
    return ItemKey(f"APPID#{app_id}", "APPID")


def app_name_key(name: str) -> ItemKey:
    """What says which application is called so; all of them share a partition, which so lists the applications."""
    return ItemKey("APPNAME", name)


def library_key(tenant: str, name: str) -> ItemKey:
    """A library's row."""
    return ItemKey(f"T#{tenant}", f"LIB#{name}")


def removed_key(uid: str) -> ItemKey:
    """What a removed library leaves."""
    return ItemKey(f"R#{uid}", "R")


def picture_key(library: str, picture: str) -> ItemKey:
    """A picture's row."""
    return ItemKey(pictures_partition(library, shard_of(picture)), picture)


def pictures_partition(library: str, shard: str) -> str:
    """The partition key of a shard of a library's rows."""
    return f"P#{library}#{shard}"


def map_key(object_key: str) -> ItemKey:
    """A local map. The sort key is what follows the library's uid."""
    library, _, rest = object_key.partition("/")
    return ItemKey(f"M#{library}#{_shard_by_hash(rest)}", rest)


def object_key_of(key: ItemKey) -> str:
    """The other way round."""
    return f"{key.pk[2:-2]}/{key.sk}"


def upload_key(source: str) -> ItemKey:
    """What an uploaded object has become."""
    return ItemKey(f"U#{source}", "U")


def holder_key(picture: Key, source: str) -> ItemKey:
    """What says that an upload holds a picture. Its source may be longer than a sort key may be, and is hashed."""
    name = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    return ItemKey(holders_partition(picture), name)


def holders_partition(picture: Key) -> str:
    """The partition key of the uploads that hold a picture."""
    return f"H#{picture.library}#{picture.id}"


def generation_key(kind: str) -> ItemKey:
    """Which indices of a kind are live."""
    return ItemKey(f"GENERATION#{kind}", "GENERATION")


def count_key(name: str) -> ItemKey:
    """A count."""
    return ItemKey(f"N#{name}", "N")


def shard_of(picture: str) -> str:
    """A picture's shard. Of an id that begins with a sign's 16 hex digits they alone tell it."""
    return picture[15] if _SIGN_PREFIX.match(picture) else _shard_by_hash(picture)


def shards_of(prefix: str) -> str:
    """The shards that pictures whose id starts with ``prefix`` may be in."""
    return shard_of(prefix) if _SIGN_PREFIX.match(prefix) else SHARDS


def _shard_by_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[0]
