"""Everything a candidate shows of a picture, packed into bytes for an index in memory and its files."""

from __future__ import annotations

from typing import Any

import msgspec

from lookalike.domain.picture import Key, Picture, object_key
from lookalike.domain.search import Candidate
from lookalike.stores import metadata_codec

#: The form of records in a file's header: files with records of another form are made again. Added fields of metadata are at
#: the end of the records that have them, and change no form.
RECORD_FORM = "id,revision,added,digest,file," + ",".join(metadata_codec.COLUMNS)

#: Bytes, or a view of some.
Buffer = bytes | memoryview

_decode = msgspec.msgpack.Decoder(list[Any]).decode


def pack(picture: Picture) -> bytes:
    """Pack a picture's id, revisions, digests and metadata as MessagePack."""
    digest = None if picture.digest == picture.key.id else picture.digest
    file = bytes.fromhex(picture.file_digest[:16])
    metadata = metadata_codec.packed(picture.metadata)
    return msgspec.msgpack.encode((picture.key.id, picture.revision, picture.added, digest, file, *metadata))


def pack_id(picture: Picture) -> bytes:
    """Pack a picture's id alone, for a row that no search answers."""
    return msgspec.msgpack.encode((picture.key.id,))


def tags_of(record: Buffer) -> tuple[str, ...]:
    """Return a record's tags."""
    _id, _revision, _added, _digest, _file, *metadata = _decode(record)
    return metadata_codec.unpacked(metadata).tags


def id_of(record: Buffer) -> str:
    """Return a record's picture id."""
    id_: str = _decode(record)[0]
    return id_


def unpack(record: Buffer, library: str, cosine: float) -> Candidate:
    """Return the candidate of a record, with its library (uid) and its cosine."""
    id_, revision, added, digest, file, *metadata = _decode(record)
    key = Key(library, id_)
    return Candidate(
        key=key,
        revision=revision,
        added=added,
        digest=id_ if digest is None else digest,
        object_key=object_key(key, added, file.hex()),
        cosine=cosine,
        metadata=metadata_codec.unpacked(metadata),
    )
