"""What the pieces of a library's index have in common, whether they still grow or are sealed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.domain.search import TagFilter
from lookalike.stores.vectors.inner_products import Halves, Rows

#: A model's name and a kind. Vectors are compared within one space only.
Space = tuple[str, Kind]

Mask = NDArray[np.bool_]

#: The revision of a row that counts for nothing any more: replaced by a newer row, or removed.
GONE = -1


@dataclass(frozen=True, slots=True)
class Depth:
    """How many rows are asked for, so that the ``k`` best are among them.

    ``exact`` is for scans that know each row's cosine: a few more than k show whether ties were cut off.
    ``rough`` is for scans that estimate it. 6 k + 2000 was measured to be enough for nearly every query, among
    15,500 photographs' vectors and among 500,000 blends of them; where it is not, the search sees it and goes deeper.
    """

    exact: int
    rough: int

    @classmethod
    def of(cls, k: int) -> Depth:
        """For the ``k`` best."""
        return cls(exact=k + 16, rough=6 * k + 2000)

    def share(self, rows: int, total: int) -> Depth:
        """For a part with so many of all rows: half as many again as if the best were spread evenly."""
        return Depth(self.exact, min(self.rough, 100 + 3 * self.rough * rows // (2 * max(total, 1))))

    def deeper(self) -> Depth:
        """Three times as deep."""
        return Depth(3 * self.exact, 3 * self.rough)


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """Rows of a part that may be among the nearest.

    ``estimates`` are of their cosines; None: the scan knew them. ``bound`` says that no allowed row left out has
    a cosine, or where they are estimated an estimate, above it; -inf: none was left out.
    """

    rows: Rows
    estimates: NDArray[np.float32] | None = None
    bound: float = -np.inf

    def above(self, least: float) -> Near:
        """Only the rows whose estimate is at least that."""
        if self.estimates is None:
            return self
        kept = self.estimates >= least
        return Near(self.rows[kept], self.estimates[kept], max(self.bound, least))


class Part(Protocol):
    """Rows of one library and one space.

    A row's vector, record and tags never change. Its revision and whether it is live do, under the collection's
    lock: a newer picture is a new row, and the old one is GONE.
    """

    space: Space
    gone: int
    vectors: Halves
    hashes: NDArray[np.int64]
    revisions: NDArray[np.int64]
    live: Mask

    @property
    def count(self) -> int:
        """Rows, those that are gone included. Arrays may be longer."""

    def find(self, id_: str) -> int | None:
        """The row that counts for a picture id."""

    def record(self, row: int) -> bytes:
        """A row's packed picture."""

    def tagged(self) -> tuple[NDArray[np.int64], Rows]:
        """Hash and row of every tag of every row, two arrays of one length."""

    def passing(self, tags: TagFilter, count: int) -> Mask:
        """Which of the first ``count`` rows pass a filter."""

    def near(self, views: NDArray[np.float32], allowed: Mask, depth: Depth) -> Near:
        """Candidates among the allowed rows (a mask over the first of them)."""


def hide(part: Part, row: int, revision: int) -> None:
    """Nobody finds the row any more, and it remembers why."""
    part.live[row] = False
    part.revisions[row] = revision


def retire(part: Part, row: int) -> None:
    """The row counts for nothing any more."""
    hide(part, row, GONE)
    part.gone += 1
