"""Libraries: named sets of pictures, their kinds and identities."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How likeness is judged."""

    SAME = "same"  #: identical or partly identical, proved
    SIMILAR = "similar"  #: content, colour, layout
    PRODUCT = "product"  #: the same thing, photographed elsewhere


class Identity(StrEnum):
    """What makes a picture in a library itself."""

    PICTURE = "picture"  #: its own digest, so a duplicate is refused
    OWN = "own"  #: the caller's id


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
class Shelf:
    """How a caller names a library, and what it becomes if an add has to make it."""

    tenant: str
    name: str
    kind: Kind
    identity: Identity = Identity.PICTURE
