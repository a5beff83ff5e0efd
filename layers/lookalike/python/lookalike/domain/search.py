"""Queries to the vector index, its candidates, and matches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Proof
from lookalike.domain.library import Kind
from lookalike.domain.picture import NO_METADATA, Key, Metadata, Picture


@dataclass(frozen=True, slots=True)
class Generation:
    """The names of a kind's indices: searches go to ``read``, writes to all of ``write``, which ``read`` is one of."""

    read: str
    write: tuple[str, ...]


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
    metadata: Metadata = NO_METADATA

    @classmethod
    def of(cls, row: Picture, cosine: float) -> Self:
        """The candidate of a catalog row."""
        return cls(row.key, row.revision, row.added, row.digest, row.object_key, cosine, row.metadata)


class Reason(StrEnum):
    """Why a picture is in an answer."""

    EXACT = "exact"  #: it is the same picture
    PROVED = "proved"  #: parts of both lie on each other and look the same
    VECTOR = "vector"  #: its vector is near


@dataclass(frozen=True, slots=True)
class Match:
    """A picture found. ``score`` is in (0, 1], and 1 only for the identical picture. A proved one has its proof."""

    candidate: Candidate
    score: float
    reason: Reason
    proof: Proof | None = None
