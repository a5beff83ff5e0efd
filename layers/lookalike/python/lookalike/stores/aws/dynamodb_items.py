"""Domain objects as items of the DynamoDB table, and back.

Binary values are bytes, as in boto3. In a stream record, as Lambda passes it, they are base64 text instead;
:func:`picture_of` reads both.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import numpy as np

from lookalike.domain.library import Identity, Kind, Library, RemovedLibrary
from lookalike.domain.picture import DIMENSION, SIGN_VERSION, Key, Picture, State, Vector
from lookalike.domain.search import Generation
from lookalike.domain.upload import Holding, Upload, UploadState
from lookalike.stores import metadata_codec
from lookalike.stores.aws.dynamodb_attributes import number, text
from lookalike.stores.aws.dynamodb_keys import (
    Item,
    alias_key,
    generation_key,
    holder_key,
    library_key,
    picture_key,
    removed_key,
    shard_of,
    upload_key,
)
from lookalike.stores.holding_json import holding_from_json, holding_to_json

#: Partition of the purge index for removed libraries. Pictures have one for each shard.
REMOVED_LIBRARIES_PARTITION = "R"

#: Vectors in an item: IEEE 754 half precision, little-endian on every machine.
_FLOAT16 = np.dtype("<f2")


#: Stands for the digests of an item that cannot be read.
_NO_DIGEST = "0" * 64


def purge_partition(shard: str) -> str:
    """Partition of the purge index for the pictures of a shard."""
    return f"P#{shard}"


def picture_item(picture: Picture) -> Item:
    """A picture's row. Empty fields are omitted; only a row that is not live is in the purge index."""
    item = picture_key(picture.key.library, picture.key.id).values | {
        "kind": text(picture.kind),
        "revision": number(picture.revision),
        "added": number(picture.added),
        "state": text(picture.state),
        "digest": {"B": bytes.fromhex(picture.digest)},
        "file": {"B": bytes.fromhex(picture.file_digest)},
        "model": text(picture.model),
        "vector": {"B": picture.vector.astype(_FLOAT16, copy=False).tobytes()},
    }
    item |= metadata_codec.attributes_of(picture.metadata)
    if picture.file_size is not None:
        item["size"] = number(picture.file_size)
    if picture.sign_version != SIGN_VERSION:
        item["sign_version"] = number(picture.sign_version)
    if picture.deleted_at is not None:
        item["deleted_at"] = number(picture.deleted_at)
        if not picture.live:
            item["purge"] = text(purge_partition(shard_of(picture.key.id)))
    return item


def picture_of(image: Mapping[str, Mapping[str, object]]) -> Picture | None:
    """Picture of an item, or of a stream record's new or old image; None for items of other kinds.

    Raises ValueError for a picture's item that is damaged.
    """
    try:
        pk = str(image["pk"]["S"])
        return _picture(pk, image) if pk.startswith("P#") else None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"an item that cannot be read: {error!r}") from error


def readable_picture_of(image: Mapping[str, Mapping[str, object]]) -> Picture | None:
    """Picture of an item; for a damaged one, a placeholder in the state DAMAGED. None for items of other kinds."""
    try:
        return picture_of(image)
    except ValueError:
        return _placeholder(image)


def _placeholder(image: Mapping[str, Mapping[str, Any]]) -> Picture:
    """A picture without contents, of the item's key and, if it can be read, revision."""
    try:
        revision = int(image["revision"]["N"])
    except (KeyError, TypeError, ValueError):
        revision = 0
    return Picture(
        key=Key(image["pk"]["S"][2:-2], image["sk"]["S"]),
        kind=Kind.SIMILAR,
        revision=revision,
        added=revision,
        state=State.DAMAGED,
        digest=_NO_DIGEST,
        file_digest=_NO_DIGEST,
        model="",
        vector=np.zeros(DIMENSION, np.float16),
    )


def _picture(pk: str, image: Mapping[str, Mapping[str, Any]]) -> Picture:
    return Picture(
        key=Key(pk[2:-2], image["sk"]["S"]),
        kind=Kind(image["kind"]["S"]),
        revision=int(image["revision"]["N"]),
        added=int(image["added"]["N"]),
        state=State(image["state"]["S"]),
        digest=_bytes(image["digest"]).hex(),
        file_digest=_bytes(image["file"]).hex(),
        model=image["model"]["S"],
        vector=_vector(image["vector"]),
        metadata=metadata_codec.metadata_of_attributes(image),
        sign_version=int(image["sign_version"]["N"]) if "sign_version" in image else SIGN_VERSION,
        deleted_at=int(image["deleted_at"]["N"]) if "deleted_at" in image else None,
        file_size=int(image["size"]["N"]) if "size" in image else None,
    )


def _vector(value: Mapping[str, Any]) -> Vector:
    """Vector of an attribute. Raises ValueError if its length is wrong."""
    vector = np.frombuffer(_bytes(value), _FLOAT16)
    if vector.shape != (DIMENSION,):
        raise ValueError(f"a vector of {len(vector)} numbers")
    return vector


def _text(image: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """Text of an attribute; empty if there is no such attribute."""
    return str(image[name]["S"]) if name in image else ""


def _bytes(value: Mapping[str, Any]) -> bytes:
    """Bytes of an attribute, given as bytes or as base64 text."""
    data = value["B"]
    return b64decode(data, validate=True) if isinstance(data, str) else bytes(data)


def library_item(library: Library) -> Item:
    """A library's row. One without a capacity of its own has no such attribute."""
    item = library_key(library.tenant, library.name).values | {
        "uid": text(library.uid),
        "kind": text(library.kind),
        "identity": text(library.identity),
        "created": number(library.created),
    }
    if library.capacity is not None:
        item["capacity"] = number(library.capacity)
    return item


def alias_item(library: str, name: str, picture: str) -> Item:
    """An item that says the id of the picture that another service knew by that name."""
    return alias_key(library, name).values | {"id": text(picture)}


def library_of(item: Mapping[str, Mapping[str, Any]]) -> Library:
    """Library of a row."""
    return Library(
        tenant=item["pk"]["S"].removeprefix("T#"),
        name=item["sk"]["S"].removeprefix("LIB#"),
        uid=item["uid"]["S"],
        kind=Kind(item["kind"]["S"]),
        identity=Identity(item["identity"]["S"]),
        created=int(item["created"]["N"]),
        capacity=int(item["capacity"]["N"]) if "capacity" in item else None,
    )


def removed_item(removed: RemovedLibrary) -> Item:
    """Record of a removed library, which is in the purge index."""
    return removed_key(removed.uid).values | {
        "kind": text(removed.kind),
        "purge": text(REMOVED_LIBRARIES_PARTITION),
        "deleted_at": number(removed.removed),
    }


def removed_of(item: Mapping[str, Mapping[str, Any]]) -> RemovedLibrary:
    """Removed library of a record."""
    return RemovedLibrary(item["pk"]["S"].removeprefix("R#"), Kind(item["kind"]["S"]), int(item["deleted_at"]["N"]))


def upload_item(upload: Upload) -> Item:
    """Record of an uploaded object."""
    item = upload_key(upload.source).values | upload_stamp(upload)
    if (holds := upload.holds) is not None:
        item |= {"library": text(holds.picture.library), "id": text(holds.picture.id)}
        item["words"] = text(holds.metadata_digest)
    if upload.leaves is not None:
        item["leaves"] = text(holding_to_json(upload.leaves))
    if upload.cleared:
        item["cleared"] = {"BOOL": True}
    return item


def upload_stamp(upload: Upload) -> Item:
    """Attributes that tell whether a stored record is still the one that was read."""
    stamp = {"sequencer": text(upload.sequencer), "state": text(upload.state)}
    if upload.holds is not None and upload.holds.added is not None:
        stamp["added"] = number(upload.holds.added)
    return stamp


def upload_of(item: Mapping[str, Mapping[str, Any]]) -> Upload:
    """Upload of a record. Records of the previous version have no ``state``; ``foretold`` marks their intents."""
    holds = None
    if "library" in item:
        added = int(item["added"]["N"]) if "added" in item else None
        holds = Holding(Key(item["library"]["S"], item["id"]["S"]), added, _text(item, "words"))
    return Upload(
        source=item["pk"]["S"].removeprefix("U#"),
        sequencer=item["sequencer"]["S"],
        holds=holds,
        state=UploadState(item["state"]["S"]) if "state" in item else _legacy_state(item),
        leaves=holding_from_json(item["leaves"]["S"]) if "leaves" in item else None,
        cleared="cleared" in item,
    )


def _legacy_state(item: Mapping[str, Mapping[str, Any]]) -> UploadState:
    """State of a record of the previous version."""
    if "foretold" in item:
        return UploadState.ADDING
    return UploadState.SETTLED if "library" in item else UploadState.UNSURE


def holder_item(picture: Key, source: str) -> Item:
    """Item that records that an upload holds a picture."""
    return holder_key(picture, source).values | {"source": text(source)}


def generation_item(kind: str, generation: Generation) -> Item:
    """Generation of a kind's index, or of a kind's and a model's."""
    return generation_key(kind).values | generation_attributes(generation)


def generation_attributes(generation: Generation) -> Item:
    """Attributes of a generation, without its key."""
    return {"read": text(generation.read), "write": {"L": [text(name) for name in generation.write]}}


def generation_of(item: Mapping[str, Mapping[str, Any]]) -> Generation:
    """Generation of an item."""
    return Generation(item["read"]["S"], tuple(name["S"] for name in item["write"]["L"]))
