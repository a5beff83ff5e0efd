"""Libraries: named sets of pictures, their kinds and identities."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a library judges similarity."""

    SAME = "same"  #: identical or partly identical, geometrically verified
    SIMILAR = "similar"  #: similar content, colour and layout
    PRODUCT = "product"  #: the same article in another photograph


class Identity(StrEnum):
    """What identifies a picture within a library."""

    PICTURE = "picture"  #: its digest, so duplicates are refused
    OWN = "own"  #: the caller's id


@dataclass(frozen=True, slots=True)
class Library:
    """A named set of pictures. ``uid`` is new each time a library is created; ``created`` is Unix milliseconds.

    ``capacity`` is the number of live pictures that it may hold; None: as many as the settings allow.
    """

    tenant: str
    name: str
    uid: str
    kind: Kind
    identity: Identity
    created: int
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class RemovedLibrary:
    """A removed library, whose rows under ``uid`` still have to be swept. ``removed`` is Unix milliseconds."""

    uid: str
    kind: Kind
    removed: int


@dataclass(frozen=True, slots=True)
class LibraryRef:
    """A library as a caller names it, and its kind and identity in case that an add has to create it."""

    tenant: str
    name: str
    kind: Kind
    identity: Identity = Identity.PICTURE
