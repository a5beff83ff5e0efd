"""Everything a candidate shows of a picture, packed into bytes for an index in memory."""

from __future__ import annotations

import marshal

from lookalike.domain.picture import Key, Picture, object_key
from lookalike.domain.search import Candidate
from lookalike.stores import metadata_codec


def pack(picture: Picture) -> bytes:
    """Pack a picture's id, revisions, digests and metadata.

    Records are never stored, so the interpreter's own format may serve: it is the smallest and fastest.
    """
    digest = None if picture.digest == picture.key.id else picture.digest
    file = bytes.fromhex(picture.file_digest[:16])
    metadata = metadata_codec.packed(picture.metadata)
    return marshal.dumps((picture.key.id, picture.revision, picture.added, digest, file, *metadata))


def id_of(record: bytes) -> str:
    """Return a record's picture id."""
    return marshal.loads(record)[0]  # type: ignore[no-any-return]  # noqa: S302  # packed above


def unpack(record: bytes, library: str, cosine: float) -> Candidate:
    """Return the candidate of a record, with its library (uid) and its cosine."""
    id_, revision, added, digest, file, *metadata = marshal.loads(record)  # noqa: S302  # packed above
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
