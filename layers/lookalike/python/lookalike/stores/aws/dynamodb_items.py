"""What the words of this service look like as items of the table.

Binary values are bytes as boto3 has them. A stream's record, as Lambda hands it over, has the same items with base64
text in place of bytes; :func:`picture_of` reads both.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import numpy as np

from lookalike.domain.application import Application
from lookalike.domain.library import Identity, Kind, Library, RemovedLibrary
from lookalike.domain.picture import DIMENSION, SIGN_VERSION, Key, Picture, State, Vector
from lookalike.domain.search import Generation
from lookalike.domain.upload import Holding, Upload, UploadState
from lookalike.stores import metadata_codec
from lookalike.stores.aws.dynamodb_table import (
    Item,
    application_key,
    generation_key,
    holder_key,
    library_key,
    picture_key,
    removed_key,
    shard_of,
    upload_key,
)
from lookalike.stores.holding_text import holding_of, holding_text
from lookalike.stores.policy_json import policy_of, policy_text

#: Partitions of the index of what waits to be purged: one per shard for pictures, one for removed libraries.
REMOVED_LIBRARIES = "R"

#: Vectors in an item: IEEE 754 half precision, little-endian, whatever the machine.
_FLOAT16 = np.dtype("<f2")


def text(value: str) -> Item:
    """A string attribute."""
    return {"S": value}


def number(value: int) -> Item:
    """A number attribute."""
    return {"N": str(value)}


def waiting_partition(shard: str) -> str:
    """The partition of that index for the pictures of a shard."""
    return f"P#{shard}"


def picture_item(picture: Picture) -> Item:
    """A picture's row. Empty fields are left out; only a row that is not live has what the index of waiting reads."""
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
    if picture.sign_version != SIGN_VERSION:
        item["sign_version"] = number(picture.sign_version)
    if picture.deleted_at is not None:
        item["deleted_at"] = number(picture.deleted_at)
        if not picture.live:
            item["purge"] = text(waiting_partition(shard_of(picture.key.id)))
    return item


def picture_of(image: Mapping[str, Mapping[str, object]]) -> Picture | None:
    """The picture that an item, or a stream record's new or old image, is the row of; None for items of other kinds.

    Raises ValueError for one that says it is a picture and cannot be read.
    """
    try:
        pk = str(image["pk"]["S"])
        return _picture(pk, image) if pk.startswith("P#") else None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"an item that cannot be read: {error!r}") from error


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
    )


def _vector(value: Mapping[str, Any]) -> Vector:
    vector = np.frombuffer(_bytes(value), _FLOAT16)
    if vector.shape != (DIMENSION,):
        raise ValueError(f"a vector of {len(vector)} numbers")
    return vector


def _text(image: Mapping[str, Mapping[str, Any]], name: str) -> str:
    return str(image[name]["S"]) if name in image else ""


def _bytes(value: Mapping[str, Any]) -> bytes:
    data = value["B"]
    return b64decode(data, validate=True) if isinstance(data, str) else bytes(data)


def library_item(library: Library) -> Item:
    """A library's row."""
    return library_key(library.tenant, library.name).values | {
        "uid": text(library.uid),
        "kind": text(library.kind),
        "identity": text(library.identity),
        "created": number(library.created),
    }


def library_of(item: Mapping[str, Mapping[str, Any]]) -> Library:
    """The library of a row."""
    return Library(
        tenant=item["pk"]["S"].removeprefix("T#"),
        name=item["sk"]["S"].removeprefix("LIB#"),
        uid=item["uid"]["S"],
        kind=Kind(item["kind"]["S"]),
        identity=Identity(item["identity"]["S"]),
        created=int(item["created"]["N"]),
    )


def removed_item(removed: RemovedLibrary) -> Item:
    """What a removed library leaves."""
    return removed_key(removed.uid).values | {
        "kind": text(removed.kind),
        "purge": text(REMOVED_LIBRARIES),
        "deleted_at": number(removed.removed),
    }


def removed_of(item: Mapping[str, Mapping[str, Any]]) -> RemovedLibrary:
    """The removed library of an item."""
    return RemovedLibrary(item["pk"]["S"].removeprefix("R#"), Kind(item["kind"]["S"]), int(item["deleted_at"]["N"]))


def upload_item(upload: Upload) -> Item:
    """What an uploaded object has become."""
    item = upload_key(upload.source).values | upload_stamp(upload)
    if (holds := upload.holds) is not None:
        item |= {"library": text(holds.picture.library), "id": text(holds.picture.id)}
        item["words"] = text(holds.words)
    if upload.leaves is not None:
        item["leaves"] = text(holding_text(upload.leaves))
    if upload.cleared:
        item["cleared"] = {"BOOL": True}
    return item


def upload_stamp(upload: Upload) -> Item:
    """What tells whether such an item is still the one that was read."""
    stamp = {"sequencer": text(upload.sequencer), "state": text(upload.state)}
    if upload.holds is not None and upload.holds.added is not None:
        stamp["added"] = number(upload.holds.added)
    return stamp


def upload_of(item: Mapping[str, Mapping[str, Any]]) -> Upload:
    """The upload of an item. One of the version before has no ``state``, and says ``foretold`` of an intent."""
    holds = None
    if "library" in item:
        added = int(item["added"]["N"]) if "added" in item else None
        holds = Holding(Key(item["library"]["S"], item["id"]["S"]), added, _text(item, "words"))
    return Upload(
        source=item["pk"]["S"].removeprefix("U#"),
        sequencer=item["sequencer"]["S"],
        holds=holds,
        state=UploadState(item["state"]["S"]) if "state" in item else _former_state(item),
        leaves=holding_of(item["leaves"]["S"]) if "leaves" in item else None,
        cleared="cleared" in item,
    )


def _former_state(item: Mapping[str, Mapping[str, Any]]) -> UploadState:
    if "foretold" in item:
        return UploadState.ADDING
    return UploadState.SETTLED if "library" in item else UploadState.UNSURE


def holder_item(picture: Key, source: str) -> Item:
    """What says that an upload holds a picture."""
    return holder_key(picture, source).values | {"source": text(source)}


def generation_item(kind: Kind, generation: Generation) -> Item:
    """Which indices of a kind are live."""
    return generation_key(kind).values | generation_attributes(generation)


def generation_attributes(generation: Generation) -> Item:
    """What of such an item is the generation's."""
    return {"read": text(generation.read), "write": {"L": [text(name) for name in generation.write]}}


def generation_of(item: Mapping[str, Mapping[str, Any]]) -> Generation:
    """The generation of an item."""
    return Generation(item["read"]["S"], tuple(name["S"] for name in item["write"]["L"]))


def application_item(application: Application, sealed: bytes) -> Item:
    """An application's row, with its secret sealed."""
    return application_key(application.access_key).values | {
        "secret": {"B": sealed},
        "app_id": text(application.app_id),
        "tenant": text(application.tenant),
        "name": text(application.name),
        "active": {"BOOL": application.active},
        "created": number(application.created),
        "policy": text(policy_text(application.policy)),
    }


def application_of(item: Mapping[str, Mapping[str, Any]], secret: str) -> Application:
    """The application of a row, whose secret has been opened."""
    return Application(
        access_key=access_key_of(item),
        secret_key=secret,
        app_id=item["app_id"]["S"],
        tenant=item["tenant"]["S"],
        name=item["name"]["S"],
        active=item["active"]["BOOL"],
        created=int(item["created"]["N"]),
        policy=policy_of(item["policy"]["S"]),
    )


def access_key_of(item: Mapping[str, Mapping[str, Any]]) -> str:
    """The access key of an application's row."""
    return str(item["pk"]["S"].removeprefix("APP#"))
