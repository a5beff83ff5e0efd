"""Pictures: catalog rows, their keys, revisions and signs; pixels, vectors and embeddings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind

#: Length of every vector, whatever the model.
DIMENSION = 256


#: How :func:`sign_of` derives a sign from a digest. A row keeps the version its sign was made with.
SIGN_VERSION = 1


#: Picture ids that stand in an object's key as they are.
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,128}")


Pixels = NDArray[np.uint8]
"""One decoded picture, shape (height, width, 3), RGB, upright."""


Grey = NDArray[np.uint8]
"""A picture's grey values, shape (height, width), upright."""


Vector = NDArray[np.float16]
"""One picture's vector, shape (DIMENSION,), L2-normalised before it was rounded."""


class State(StrEnum):
    """Where a picture stands in its life."""

    LIVE = "live"
    DELETED = "deleted"  #: hidden, may be added again, waits for purge
    PURGING = "purging"  #: claimed by a purge; a new add still wins over it
    DAMAGED = "damaged"  #: a store's row whose contents are lost: it may be deleted, or added again, and no more


@dataclass(frozen=True, slots=True)
class Key:
    """Where a picture's row lives: library uid and picture id."""

    library: str
    id: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """A caller's description of a picture, stored and returned as it came.

    ``desc`` is JSON text or empty. ``tags`` are opaque here; a dialect gives them their meaning. Every field is text or
    a tuple of texts, with an empty default: the stores read and write them all by :mod:`lookalike.stores.metadata_codec`.
    """

    brief: str = ""
    label: str = ""
    desc: str = ""
    tags: tuple[str, ...] = ()


class MetadataChange(TypedDict, total=False):
    """The fields of :class:`Metadata` to be changed, and their new values."""

    brief: str
    label: str
    desc: str
    tags: tuple[str, ...]


NO_METADATA = Metadata()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One catalog row: everything known of a picture but its bytes.

    ``revision`` only ever grows (:func:`next_revision`); ``added`` is the revision of the add that made the
    row's original and local map. ``deleted_at`` is Unix milliseconds, set while the state is not live.
    ``model`` names the model that made ``vector``; vectors of different models are never compared.
    """

    key: Key
    kind: Kind
    revision: int
    added: int
    state: State
    digest: str
    file_digest: str
    model: str
    vector: Vector
    metadata: Metadata = NO_METADATA
    sign_version: int = SIGN_VERSION
    deleted_at: int | None = None

    @property
    def live(self) -> bool:
        """Whether the picture is seen by searches, lists and duplicate checks."""
        return self.state is State.LIVE

    @property
    def deletable(self) -> bool:
        """Whether a deletion finds the picture: a damaged one too, of which nothing else can be seen."""
        return self.state in (State.LIVE, State.DAMAGED)

    @property
    def object_key(self) -> str:
        """Where this add's original and local map are kept.

        Two adds of one picture may race within one millisecond; the file's digest keeps their bytes apart.
        """
        return object_key(self.key, self.added, self.file_digest)

    def but(self, **changes: object) -> Picture:
        """The same row with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # dataclasses.replace checks the names itself


def object_key(key: Key, added: int, file_digest: str) -> str:
    """:attr:`Picture.object_key` from its parts; of ``file_digest`` the first 16 digits count.

    A caller's id may hold anything, so one that is not plain is hashed: a key is always ASCII, has three parts, and
    is no longer than a store takes. A digest is plain.
    """
    name = key.id if _PLAIN.fullmatch(key.id) else f"~{hashlib.sha256(key.id.encode()).hexdigest()}"
    return f"{key.library}/{name}/{added}-{file_digest[:16]}"


def next_revision(previous: int | None, now: int) -> int:
    """The revision after ``previous`` (None: no row) at Unix milliseconds ``now``.

    It never restarts, neither when a picture is added again nor after a purge, as long as the clock does not
    run backwards by more than a row's whole life.
    """
    return now if previous is None else max(previous + 1, now)


def sign_of(digest: str) -> str:
    """cont_sign of a digest: its first 64 bits as two unsigned 32-bit decimals, ``a,b``."""
    return f"{int(digest[:8], 16)},{int(digest[8:16], 16)}"


def digest_prefix(sign: str) -> str | None:
    """The 16 hex digits a sign stands for; None if the text is no sign (then no picture has it)."""
    parts = sign.strip().split(",")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) <= 10 for part in parts):
        return None
    first, second = (int(part) for part in parts)
    return f"{first:08x}{second:08x}" if max(first, second) < 2**32 else None


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What one pass makes of one picture: a vector per kind and the local map (bytes, empty if the model has none)."""

    vectors: Mapping[Kind, Vector]
    local_map: bytes = b""
