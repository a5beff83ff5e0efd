"""The words of this service, as frozen data: applications, libraries, pictures, queries, matches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

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


class Kind(StrEnum):
    """How likeness is judged."""

    SAME = "same"  #: identical or partly identical, proved
    SIMILAR = "similar"  #: content, colour, layout
    PRODUCT = "product"  #: the same thing, photographed elsewhere


class Identity(StrEnum):
    """What makes a picture in a library itself."""

    PICTURE = "picture"  #: its own digest, so a duplicate is refused
    OWN = "own"  #: the caller's id


class State(StrEnum):
    """Where a picture stands in its life."""

    LIVE = "live"
    DELETED = "deleted"  #: hidden, may be added again, waits for purge
    PURGING = "purging"  #: claimed by a purge; a new add still wins over it
    DAMAGED = "damaged"  #: a store's row whose contents are lost: it may be deleted, or added again, and no more


@dataclass(frozen=True, slots=True)
class Policy:
    """How an operator wants an application treated. None and an empty tuple set no limit.

    ``kind`` is that of the libraries it makes where nothing else says one. ``per_second``, ``per_day`` (UTC) and ``in_total`` are calls. ``networks`` are where it may call from, in CIDR
    notation.
    """

    kind: Kind = Kind.SIMILAR
    per_second: int | None = None
    per_day: int | None = None
    in_total: int | None = None
    networks: tuple[str, ...] = ()


#: As every application is treated at first.
NO_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Application:
    """A caller. ``app_id`` is decimal digits; ``created`` is Unix milliseconds."""

    access_key: str
    secret_key: str = field(repr=False)
    app_id: str
    tenant: str
    name: str
    active: bool = True
    created: int = 0
    policy: Policy = NO_POLICY


@dataclass(frozen=True, slots=True)
class Library:
    """A named set of pictures. ``uid`` is new each time a library is made; ``created`` is Unix milliseconds."""

    tenant: str
    name: str
    uid: str
    kind: Kind
    identity: Identity
    created: int


@dataclass(frozen=True, slots=True)
class RemovedLibrary:
    """What a removed library leaves to be swept: rows under ``uid``. ``removed`` is Unix milliseconds."""

    uid: str
    kind: Kind
    removed: int


@dataclass(frozen=True, slots=True)
class Key:
    """Where a picture's row lives: library uid and picture id."""

    library: str
    id: str


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One catalog row: everything known of a picture but its bytes.

    ``revision`` only ever grows (:func:`next_revision`); ``added`` is the revision of the add that made the
    row's original and local map. ``tags`` are opaque here; a dialect gives them their meaning. ``desc`` is
    JSON text or empty. ``deleted_at`` is Unix milliseconds, set while the state is not live.
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
    brief: str = ""
    label: str = ""
    desc: str = ""
    tags: tuple[str, ...] = ()
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


@dataclass(frozen=True, slots=True)
class Holding:
    """A picture that lies in an upload.

    ``added`` is the revision of the add that made its row, if uploads did that; None if it is somebody else's, and so no
    upload's to take away. ``words`` is the digest of what the upload says of it; empty if that is not known.
    """

    picture: Key
    added: int | None
    words: str = ""


class UploadState(StrEnum):
    """How far an upload has come. What is not ``SETTLED`` is an intent, written ahead of what it intends."""

    SETTLED = "settled"  #: its last event is done
    ADDING = "adding"  #: it is about to add the picture that it holds
    JOINING = "joining"  #: it is about to hold a picture that the library has
    GONE = "gone"  #: its object was gone and its picture is held by another; an event of it begins afresh
    UNSURE = "unsure"  #: an earlier version settled it without saying which picture it holds


@dataclass(frozen=True, slots=True)
class Upload:
    """What an uploaded object has become.

    ``source`` names the object, ``bucket/key``. ``sequencer`` orders its events: hexadecimal digits, compared as text
    after padding with zeros on the right (Amazon S3, "Event message structure"). ``holds`` is its picture; None if it
    has none. ``leaves`` is the picture it held before, until that has been released. ``cleared``: the object is removed
    once it is settled, and still counts as holding its picture.
    """

    source: str
    sequencer: str
    holds: Holding | None = None
    state: UploadState = UploadState.SETTLED
    leaves: Holding | None = None
    cleared: bool = False


@dataclass(frozen=True, slots=True)
class UploadedObject:
    """An object in the upload bucket, as it is now.

    ``etag`` is another one each time its bytes change. ``size`` is in bytes. ``words`` are what its uploader says of
    it: brief, tags, label, desc, as text.
    """

    etag: str
    size: int
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will never succeed. ``body`` can be sent again as it is, once ``reason`` holds no more.

    ``file`` is where an operator finds the upload that it is about; empty if it is about none.
    """

    operation: str
    reason: str
    body: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Generation:
    """The names of a kind's indices: searches go to ``read``, writes to all of ``write``, which ``read`` is one of."""

    read: str
    write: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """How a caller names a library, and what it becomes if an add has to make it."""

    tenant: str
    name: str
    kind: Kind
    identity: Identity = Identity.PICTURE


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


@dataclass(frozen=True, slots=True)
class TagFilter:
    """Keeps pictures that carry all of ``tags``, or, with ``any_of``, at least one of them."""

    tags: frozenset[str]
    any_of: bool = False

    def keeps(self, tags: tuple[str, ...]) -> bool:
        """Whether a picture with these tags passes."""
        return bool(self.tags & set(tags)) if self.any_of else self.tags <= set(tags)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What the vector index is asked.

    ``vectors`` is float32 of shape (V, DIMENSION), one L2-normalised row per view of the query. A picture's
    cosine is its largest over the views. Only live pictures of ``libraries`` (uids), of that ``model`` and
    passing ``tags`` are answered, the ``k`` best.
    """

    kind: Kind
    libraries: tuple[str, ...]
    model: str
    vectors: NDArray[np.float32]
    k: int
    tags: TagFilter | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One picture the vector index answers with: all that an answer shows of it, and its best cosine.

    ``object_key`` is the picture's: where its original and local map are kept.
    """

    key: Key
    revision: int
    added: int
    digest: str
    object_key: str
    cosine: float
    brief: str = ""
    label: str = ""
    desc: str = ""
    tags: tuple[str, ...] = ()


class Reason(StrEnum):
    """Why a picture is in an answer."""

    EXACT = "exact"  #: it is the same picture
    PROVED = "proved"  #: parts of both lie on each other and look the same
    VECTOR = "vector"  #: its vector is near


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, as fractions of its width and height from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


#: All of a picture.
WHOLE = Box(0.0, 0.0, 1.0, 1.0)


Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): (x, y), as fractions of width and height, is moved to (a·x + b·y + c, d·x + e·y + f)."""


#: Moves nothing.
IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class View:
    """A look at a query: ``into`` moves the query's points to where the view shows them, and ``local_map`` is the
    view's. ``full``: it shows a picture from edge to edge, not a piece of one."""

    into: Affine
    local_map: bytes
    full: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """Where the query lies in a picture, and how sure that is.

    ``probability`` is that both show the same. ``inliers`` counts the cells of the picture's local map, or
    its corners, that lie where the transform says; ``agreement`` is the correlation of what both show there, 1 at
    most. ``transform`` moves the query's points to the picture's. ``region`` is the part of the picture that was
    found in the query.
    """

    probability: float
    inliers: int
    agreement: float
    transform: Affine
    region: Box


@dataclass(frozen=True, slots=True)
class Match:
    """A picture found. ``score`` is in (0, 1], and 1 only for the identical picture. A proved one has its proof."""

    candidate: Candidate
    score: float
    reason: Reason
    proof: Proof | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What one pass makes of one picture: a vector per kind and the local map (bytes, empty if the model has none)."""

    vectors: Mapping[Kind, Vector]
    local_map: bytes = b""
