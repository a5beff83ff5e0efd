"""The protocol of an index's segments, mutable or sealed, and of their search."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.domain.search import TagFilter
from lookalike.stores.segments.inner_products import Float16Vectors, Rows
from lookalike.stores.segments.packed_candidate import Buffer

#: A model's name and a kind of library: vectors are comparable within one space only.
Space = tuple[str, Kind]

#: One boolean per row.
Mask = NDArray[np.bool_]

#: The revision of a dead row, replaced by a newer one or removed. Compaction drops dead rows.
TOMBSTONE = -1

#: Rows of a segment for each that is fetched beyond its share of the best: the more rows there are, the more of them lie
#: within the error of an estimate.
_ROWS_FOR_ONE = 100


@dataclass(frozen=True, slots=True)
class Depth:
    """Number of rows to fetch so that the ``k`` best are among them.

    Attributes
    ----------
    exact : for scans that compute exact cosines. The 16 rows beyond k reveal whether ties were cut off.
    estimated : for scans that estimate cosines: 6 k + 4000, and for each segment one of ``_ROWS_FOR_ONE`` of its rows.
        Where too few rows were fetched, the search detects it and repeats with a greater depth.
    rounds : how many times more is fetched than at first.
    """

    exact: int
    estimated: int
    rounds: int = 1

    @classmethod
    def for_best(cls, k: int) -> Depth:
        """Return the depth of a first attempt at the ``k`` best."""
        return cls(exact=k + 16, estimated=6 * k + 4000)

    def share(self, rows: int, total: int) -> Depth:
        """Return the depth for a segment with ``rows`` of ``total`` rows: 1.5 times its even share, and a few more."""
        shared = min(self.estimated, 100 + 3 * self.estimated * rows // (2 * max(total, 1)))
        return replace(self, estimated=shared + self.rounds * rows // _ROWS_FOR_ONE)

    def deeper(self) -> Depth:
        """Return three times this depth."""
        return Depth(3 * self.exact, 3 * self.estimated, 3 * self.rounds)


@dataclass(frozen=True, slots=True, eq=False)
class CandidateRows:
    """Rows of one segment that may be among the nearest.

    Attributes
    ----------
    rows : their numbers, shape (n,).
    estimates : their estimated cosines, shape (n,); None if the scan was exact.
    bound : upper bound on the omitted allowed rows' cosines, or on their estimates if ``estimates`` is given; -inf if
        no allowed row was omitted.
    """

    rows: Rows
    estimates: NDArray[np.float32] | None = None
    bound: float = -np.inf


class Segment(Protocol):
    """Rows of one library and one space.

    A row's vector, record and tags are immutable. Its revision and live flag change under the library's lock: a new
    revision of a picture is a new row, and the old row becomes a tombstone.

    Attributes
    ----------
    tombstones : number of rows whose revision is ``TOMBSTONE``.
    logged : whether each row that is in no file has a change in the catalog's log, so that the next start reads it.
    vectors : shape (≥ count, DIMENSION). Ask :meth:`require_vectors` before reading any.
    revisions, live : shape (≥ count,).
    """

    space: Space
    tombstones: int
    logged: bool
    vectors: Float16Vectors
    revisions: NDArray[np.int64]
    live: Mask

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of rows, tombstones included."""

    @abstractmethod
    def find(self, id_: str) -> int | None:
        """Return the current row of a picture id; None if the segment has none."""

    @abstractmethod
    def hashes(self) -> NDArray[np.int64]:
        """Return the hash of every row's id, shape (count,)."""

    @abstractmethod
    def record(self, row: int) -> Buffer:
        """Return a row's packed candidate. Raises DamagedSegmentError."""

    @abstractmethod
    def require_vectors(self, rows: Rows | None = None) -> None:
        """Raise DamagedSegmentError unless the vectors of these rows, of all without any, are as they were sealed."""

    @abstractmethod
    def require_records(self) -> None:
        """Raise DamagedSegmentError unless all records are as they were sealed."""

    @abstractmethod
    def tag_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int32] | Rows]:
        """Return the hash and the row of every tag of every row, both of shape (n,)."""

    @abstractmethod
    def tag_mask(self, tags: TagFilter, count: int) -> Mask:
        """Return the mask of those among the first ``count`` rows that pass the filter."""

    @abstractmethod
    def first_look(self, views: NDArray[np.float32], allowed: Mask, depth: int) -> CandidateRows | None:
        """Return some rows among ``allowed`` that are near to any of the views; None if there is no quick way."""

    @abstractmethod
    def candidates(
        self, views: NDArray[np.float32], allowed: Mask, depth: Depth, least: float = -np.inf
    ) -> CandidateRows:
        """Return the rows among ``allowed`` that may be nearest to any of the views. Raises DamagedSegmentError.

        Parameters
        ----------
        views : shape (V, DIMENSION).
        allowed : mask of the rows that may be answered, shape (≤ count,); rows behind its end are not searched.
        least : rows of a smaller cosine need not be found.
        """


def mark_hidden(segment: Segment, row: int, revision: int) -> None:
    """Exclude a row from search and note the revision that did so."""
    segment.live[row] = False
    segment.revisions[row] = revision


def mark_superseded(segment: Segment, row: int) -> None:
    """Turn a row into a tombstone: its picture has a newer row, or was removed."""
    mark_hidden(segment, row, TOMBSTONE)
    segment.tombstones += 1
