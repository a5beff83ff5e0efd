"""Primary keys of the service's one DynamoDB table: a function for each kind of item.

A picture's and a local map's partition key ends in a shard, one hexadecimal digit.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lookalike.domain.picture import Key

Item = dict[str, Any]
"""An item: attributes in DynamoDB's notation, ``{"S": …}``, ``{"N": …}``, ``{"B": …}``."""

#: Shards of a library, a partition each. A partition takes 1,000 writes a second (Amazon DynamoDB developer guide,
#: "Best practices for designing and using partition keys"); an import into one library may exceed that.
SHARDS = "0123456789abcdef"

#: Bytes of a partition key (Amazon DynamoDB developer guide, "Quotas").
_MAX_PK_BYTES = 2048

#: Bytes of a sort key (ibid.).
_MAX_SK_BYTES = 1024

#: A sign at the beginning of a picture's id.
_SIGN_PREFIX = re.compile("[0-9a-f]{16}")


class ItemKey(NamedTuple):
    """Primary key of an item: partition key and sort key."""

    pk: str
    sk: str

    @property
    def values(self) -> Item:
        """The key as attributes of an item."""
        return {"pk": {"S": self.pk}, "sk": {"S": self.sk}}

    @property
    def is_valid(self) -> bool:
        """Whether DynamoDB accepts the key. Callers' ids may be empty, too long, or not encodable as UTF-8."""
        try:
            return 1 <= len(self.pk.encode()) <= _MAX_PK_BYTES and 1 <= len(self.sk.encode()) <= _MAX_SK_BYTES
        except UnicodeEncodeError:
            return False


def key_of(item: Mapping[str, Mapping[str, Any]]) -> ItemKey:
    """Primary key of an item, or of an index's entry for one."""
    return ItemKey(str(item["pk"]["S"]), str(item["sk"]["S"]))


def application_key(access_key: str) -> ItemKey:
    """Key of an application's row."""
    return ItemKey(f"APP#{access_key}", "APP")


def app_id_key(app_id: str) -> ItemKey:
    """Key of the item that maps an app id to its access key."""
    return ItemKey(f"APPID#{app_id}", "APPID")


def app_name_key(name: str) -> ItemKey:
    """Key of the item that maps an application's name to its access key.

    All of these items share a partition, so that one query lists the applications.
    """
    return ItemKey("APPNAME", name)


def library_key(tenant: str, name: str) -> ItemKey:
    """Key of a library's row."""
    return ItemKey(f"T#{tenant}", f"LIB#{name}")


def removed_key(uid: str) -> ItemKey:
    """Key of the record that a removed library leaves until its pictures are purged."""
    return ItemKey(f"R#{uid}", "R")


def alias_key(library: str, name: str) -> ItemKey:
    """Key of the item that says which picture of a library another service knew by that name."""
    return ItemKey(f"A#{library}", name)


def picture_key(library: str, picture: str) -> ItemKey:
    """Key of a picture's row."""
    return ItemKey(pictures_partition(library, shard_of(picture)), picture)


def pictures_partition(library: str, shard: str) -> str:
    """Partition key of one shard of a library's pictures."""
    return f"P#{library}#{shard}"


def map_key(object_key: str) -> ItemKey:
    """Key of a local map. The sort key is the object key without the library's uid."""
    library, _, rest = object_key.partition("/")
    return ItemKey(f"M#{library}#{_shard_by_hash(rest)}", rest)


def object_key_of(key: ItemKey) -> str:
    """Object key of a local map: the inverse of :func:`map_key`."""
    return f"{key.pk[2:-2]}/{key.sk}"


def embedding_key(model: str, object_key: str) -> ItemKey:
    """Key of what another model than the row's makes of an original. A part of an object key has no ``@``."""
    library, _, rest = object_key.partition("/")
    return ItemKey(f"V#{library}#{_shard_by_hash(rest)}", f"{rest}@{model}")


def embedded_key(key: ItemKey) -> tuple[str, str]:
    """Model and object key: the inverse of :func:`embedding_key`."""
    rest, _, model = key.sk.partition("@")
    return model, f"{key.pk[2:-2]}/{rest}"


def upload_key(source: str) -> ItemKey:
    """Key of the record of an uploaded object."""
    return ItemKey(f"U#{source}", "U")


def holder_key(picture: Key, source: str) -> ItemKey:
    """Key of the item that records that an upload holds a picture.

    The sort key is a hash of the upload's source, which may be longer than a sort key.
    """
    name = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    return ItemKey(holders_partition(picture), name)


def holders_partition(picture: Key) -> str:
    """Partition key of the uploads that hold a picture."""
    return f"H#{picture.library}#{picture.id}"


def generation_key(kind: str) -> ItemKey:
    """Key of a kind's index generation."""
    return ItemKey(f"GENERATION#{kind}", "GENERATION")


def count_key(name: str) -> ItemKey:
    """Key of a counter."""
    return ItemKey(f"N#{name}", "N")


def record_key(partition: str, key: str) -> ItemKey:
    """Key of a record."""
    return ItemKey(f"D#{partition}", key)


def log_partition(library: str, space: str = "") -> str:
    """Partition key of a library's log of index writes: of the log of a further model, if its name is given."""
    return f"L#{library}@{space}" if space else f"L#{library}"


def shard_of(picture: str) -> str:
    """Shard of a picture: the last of its sign's 16 hexadecimal digits if its id begins with a sign, else a hash."""
    return picture[15] if _SIGN_PREFIX.match(picture) else _shard_by_hash(picture)


def shards_of(prefix: str) -> str:
    """Shards that may hold pictures whose id starts with ``prefix``."""
    return shard_of(prefix) if _SIGN_PREFIX.match(prefix) else SHARDS


def _shard_by_hash(text: str) -> str:
    """First hexadecimal digit of the text's SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[0]
