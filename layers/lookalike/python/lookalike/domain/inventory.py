"""What stores hold, as they list it to be compared with the catalog."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What the vector index holds of a picture. ``model`` is empty where an entry that is not live does not tell it."""

    key: Key
    kind: Kind
    revision: int
    live: bool
    model: str = ""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the store of originals, by the store's own name for its key.

    ``written`` is Unix milliseconds, ``size`` bytes.
    """

    name: str
    written: int
    size: int


@dataclass(frozen=True, slots=True)
class StoredMap:
    """A local map, by its key. ``size`` is bytes; None where a store would have to read the map to tell."""

    key: str
    size: int | None = None
