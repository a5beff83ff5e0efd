"""What an index keeps of a picture beside its vector: everything a candidate shows, packed."""

from __future__ import annotations

import marshal

from lookalike.model import Candidate, Key, Picture


def pack(picture: Picture) -> bytes:
    """A picture's id, revisions, digest, texts and tags.

    Records live in memory only, so the interpreter's own format may serve: it is the smallest and fastest there is.
    """
    digest = None if picture.digest == picture.key.id else picture.digest
    tags = picture.tags or None
    return marshal.dumps(
        (picture.key.id, picture.revision, picture.added, digest, picture.brief, picture.label, picture.desc, tags)
    )


def id_of(record: bytes) -> str:
    """The id alone."""
    return marshal.loads(record)[0]  # type: ignore[no-any-return]  # noqa: S302  # packed above


def unpack(record: bytes, library: str, cosine: float) -> Candidate:
    """The candidate a packed picture of that library makes."""
    id_, revision, added, digest, brief, label, desc, tags = marshal.loads(record)  # noqa: S302  # packed above
    return Candidate(
        key=Key(library, id_),
        revision=revision,
        added=added,
        digest=id_ if digest is None else digest,
        cosine=cosine,
        brief=brief,
        label=label,
        desc=desc,
        tags=tags or (),
    )
