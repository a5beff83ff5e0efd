"""Pictures: catalog rows, their keys, revisions and signs; pixels, vectors and embeddings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from lookalike.domain.library import Kind

if TYPE_CHECKING:  # NumPy is slow to import, and some functions see no picture
    import numpy as np
    from numpy.typing import NDArray

#: Numbers in every vector, whatever the model.
DIMENSION = 256


#: Version of :func:`sign_of`. A row keeps the version that its sign was made with.
SIGN_VERSION = 1


#: Picture ids that are part of an object key as they are; :func:`object_key` hashes all others.
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,128}")


Pixels: TypeAlias = "NDArray[np.uint8]"
"""One decoded picture, shape (height, width, 3), RGB, upright."""


Grey: TypeAlias = "NDArray[np.uint8]"
"""A picture's grey values, shape (height, width), upright."""


Vector: TypeAlias = "NDArray[np.float16]"
"""One picture's vector, shape (DIMENSION,), L2-normalised before it was rounded to half precision."""


class State(StrEnum):
    """State of a picture's row."""

    LIVE = "live"
    DELETED = "deleted"  #: hidden, waits for purge, may be added again
    PURGING = "purging"  #: claimed by a purge; a new add still wins over the claim
    DAMAGED = "damaged"  #: contents lost in the store: the picture can only be deleted or added again


@dataclass(frozen=True, slots=True)
class Key:
    """Key of a picture's row: the library's uid and the picture's id."""

    library: str
    id: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """A caller's description of a picture, stored and returned as it came.

    ``desc`` is JSON text or empty. ``tags`` are opaque here; a dialect gives them their meaning. ``old_sign`` is the sign
    that the picture had at the vendor it came from, if it did. Every field is text or a tuple of texts, with an empty
    default: the stores read and write them all by :mod:`lookalike.stores.metadata_codec`.
    """

    brief: str = ""
    label: str = ""
    desc: str = ""
    tags: tuple[str, ...] = ()
    old_sign: str = ""

    def over(self, replaced: Metadata) -> Metadata:
        """Return this in the place of other metadata, whose old sign stays unless this has one."""
        return replace(self, old_sign=self.old_sign or replaced.old_sign)


class MetadataChange(TypedDict, total=False):
    """The fields of :class:`Metadata` to be changed, and their new values."""

    brief: str
    label: str
    desc: str
    tags: tuple[str, ...]
    old_sign: str


NO_METADATA = Metadata()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A catalog row: everything stored of a picture except its file and its local map.

    ``revision`` only grows (:func:`next_revision`). ``added`` is the revision of the add that stored the original and
    the local map. ``deleted_at`` is Unix milliseconds, set while the state is not live. ``model`` names the model that
    made ``vector``; vectors of different models are never compared. ``stored`` is the model and the vector that the row has in
    its store, where the row is shown with another model's. ``file_size`` is the original's in bytes; None in rows of the time
    before it was kept.
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
    stored: tuple[str, Vector] | None = None
    file_size: int | None = None

    @property
    def live(self) -> bool:
        """Whether searches, lists and duplicate checks see the picture."""
        return self.state is State.LIVE

    @property
    def deletable(self) -> bool:
        """Whether a deletion finds the picture; a damaged one too, although nothing else does."""
        return self.state in (State.LIVE, State.DAMAGED)

    @property
    def object_key(self) -> str:
        """Key of the original and the local map that this row's add stored.

        Two adds of one picture may race within one millisecond; the file's digest keeps their objects apart.
        """
        return object_key(self.key, self.added, self.file_digest)

    def vector_of(self, model: str) -> Vector | None:
        """Return the row's vector of a model; None if it has none of it."""
        if self.model == model:
            return self.vector
        return self.stored[1] if self.stored is not None and self.stored[0] == model else None

    def shown_with(self, model: str, vector: Vector) -> Picture:
        """Return the row with another model's vector in place of the stored one."""
        return self.but(model=model, vector=vector, stored=self.stored or (self.model, self.vector))

    def as_stored(self) -> Picture:
        """Return the row with the vector that it has in its store."""
        if self.stored is None:
            return self
        model, vector = self.stored
        return self.but(model=model, vector=vector, stored=None)

    def but(self, **changes: object) -> Picture:
        """Copy of the row with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # dataclasses.replace checks the names itself


def object_key(key: Key, added: int, file_digest: str) -> str:
    """Build :attr:`Picture.object_key` from its parts; only the first 16 digits of ``file_digest`` count.

    The key is ASCII, has three parts, and is short enough for every store: a caller's id that is not plain is hashed.
    """
    name = key.id if _PLAIN.fullmatch(key.id) else f"~{hashlib.sha256(key.id.encode()).hexdigest()}"
    return f"{key.library}/{name}/{added}-{file_digest[:16]}"


def thumbnail_key(object_key: str) -> str:
    """Return the key under which an original's thumbnail is kept beside it."""
    return f"{object_key}.thumb"


def source_key(object_key: str) -> str:
    """Return the key under which the file that an original was made of is kept beside it, if it was too large."""
    return f"{object_key}.source"


def companion_keys(object_key: str) -> tuple[str, ...]:
    """Return the keys of the files that may be kept beside an original."""
    return thumbnail_key(object_key), source_key(object_key)


def next_revision(previous: int | None, now: int) -> int:
    """Return the revision after ``previous`` (None: no row) at Unix milliseconds ``now``.

    Revisions of a picture never restart, neither when the picture is added again nor after a purge, as long as the
    clock does not run backwards by more than the row's lifetime.
    """
    return now if previous is None else max(previous + 1, now)


def sign_of(digest: str) -> str:
    """Return the cont_sign of a digest: its first 64 bits as two unsigned 32-bit decimals, ``a,b``."""
    return f"{int(digest[:8], 16)},{int(digest[8:16], 16)}"


def vendor_sign(digest: str, metadata: Metadata) -> str:
    """Return the sign that a vendor's callers know a picture by: the one that it had at its vendor, else its own."""
    return metadata.old_sign or sign_of(digest)


def digest_prefix(sign: str) -> str | None:
    """Return the first 16 hexadecimal digits of the digests that have this sign; None if the text is no sign."""
    parts = sign.strip().split(",")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) <= 10 for part in parts):
        return None
    first, second = (int(part) for part in parts)
    return f"{first:08x}{second:08x}" if max(first, second) < 2**32 else None


def is_same_sign(one: str, other: str) -> bool:
    """Whether two texts are signs, and the same one: 01,7 is 1,7."""
    return digest_prefix(one) == digest_prefix(other) is not None


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The model's output for one picture: a vector per kind, and the local map (empty if the model has none).

    ``second`` is that of the model that is to take its place, or that it has taken the place of, if there is one.
    """

    vectors: Mapping[Kind, Vector]
    feature_map: bytes = b""
    second: Embedding | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A decoded picture.

    Attributes
    ----------
    pixels : read-only uint8 of shape (height, width, 3), RGB, upright.
    digest : that of the pixels, 64 lower-case hex digits.
    file_digest : SHA-256 of the file, likewise.
    format : the file's format, as Pillow names it.
    hidden : digest of the content that ``pixels`` lack, see :mod:`lookalike.imaging.hidden_content`. None for nearly
        all pictures, which hide nothing.
    """

    pixels: Pixels
    digest: str
    file_digest: str
    format: str
    hidden: str | None = None

    @property
    def full_digest(self) -> str:
        """Digest of visible and hidden content: it differs where two pictures differ on any background."""
        return hashlib.sha256(bytes.fromhex(self.digest + (self.hidden or ""))).hexdigest()
