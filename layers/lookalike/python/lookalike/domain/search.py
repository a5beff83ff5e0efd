"""Queries to the vector index, its candidates, and matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from lookalike.domain.geometry import GeometricMatch
from lookalike.domain.library import Kind
from lookalike.domain.picture import NO_METADATA, Key, Metadata, Picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Generation:
    """Names of a kind's indices: searches go to ``read``, writes to all of ``write``, which includes ``read``."""

    read: str
    write: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TagFilter:
    """A filter for pictures with all tags of ``all_of``, at least one of ``any_of``, and none of ``none_of``.

    An empty set sets no condition.
    """

    all_of: frozenset[str] = frozenset()
    any_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = frozenset()

    def keeps(self, tags: Iterable[str]) -> bool:
        """Whether a picture with these tags passes the filter."""
        have = frozenset(tags)
        return self.all_of <= have and (not self.any_of or bool(self.any_of & have)) and not self.none_of & have


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A query to the vector index: the ``k`` best live pictures of ``libraries`` (uids), ``model`` and ``tags``.

    ``vectors`` is float32 of shape (V, DIMENSION), one L2-normalised row per view of the query. A picture's cosine is
    the largest over the views.
    """

    kind: Kind
    libraries: tuple[str, ...]
    model: str
    vectors: NDArray[np.float32]
    k: int
    tags: TagFilter | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture found by the vector index, with everything that answers show of it and its best cosine.

    ``object_key`` is that of the picture's original and local map.
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
        """Make the candidate of a catalog row."""
        return cls(row.key, row.revision, row.added, row.digest, row.object_key, cosine, row.metadata)


class Reason(StrEnum):
    """Why a picture is in an answer."""

    EXACT = "exact"  #: the identical picture
    VERIFIED = "proved"  #: geometrically verified
    VECTOR = "vector"  #: near by its vector


@dataclass(frozen=True, slots=True)
class Match:
    """A picture found. ``score`` is in (0, 1], and 1 only for the identical picture. A proved one has its proof.

    ``example`` is the number of the example that the picture is identical to, or that the proof lays on it: 0 is the
    query, and only searches with several examples have others.
    """

    candidate: Candidate
    score: float
    reason: Reason
    geometric_match: GeometricMatch | None = None
    example: int = 0


@dataclass(frozen=True, slots=True)
class QueryPicture:
    """The picture that a search was given: its width and height in pixels, upright and uncropped."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class LookTaken:
    """A look at a query: its name, the views that it had embedded, and the milliseconds that its stages took.

    Without views, there was nothing to look at in this way, and nothing after ``embed_ms`` was done. ``embed_ms`` is that
    of the views; rectified views are embedded while candidates are verified.
    """

    name: str
    views: int
    prepare_ms: float
    embed_ms: float
    search_ms: float = 0.0
    verify_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """What was found by the looks taken so far.

    ``candidates`` are near, each with its best cosine; ``exact`` are those that are the query's very picture;
    ``verified`` is None if the model makes no feature maps. ``settled``: no further look is needed.
    """

    candidates: Mapping[Key, Candidate] = field(default_factory=dict)
    exact: frozenset[Key] = frozenset()
    verified: Mapping[Key, GeometricMatch] | None = field(default_factory=dict)
    settled: bool = False
    looks: tuple[LookTaken, ...] = ()
