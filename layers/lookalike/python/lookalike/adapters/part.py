"""What the pieces of a library's index have in common, whether they still grow or are sealed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.adapters.exact import Halves, Rows
from lookalike.model import Kind, TagFilter

#: A model's name and a kind. Vectors are compared within one space only.
Space = tuple[str, Kind]

Mask = NDArray[np.bool_]

#: The revision of a row that counts for nothing any more: replaced by a newer row, or removed.
GONE = -1


@dataclass(frozen=True, slots=True)
class Depth:
    """How many rows a part is asked for, so that the ``k`` best are surely among them.

    ``exact`` is for scans that know each row's cosine: a few more than k show whether ties were cut off.
    ``rough`` is for scans that estimate it: 4 k + 1000 was measured on photographs' vectors to hold at least
    99.9 % of the 100 to 1000 nearest.
    """

    exact: int
    rough: int

    @classmethod
    def of(cls, k: int) -> Depth:
        """For the ``k`` best."""
        return cls(exact=k + 16, rough=4 * k + 1000)

    def deeper(self) -> Depth:
        """Four times as deep."""
        return Depth(4 * self.exact, 4 * self.rough)


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """Rows of a part that may be among the nearest, and all that are unless ``cut``.

    ``scores`` estimates their cosines for comparison between parts of one space; None: the scan knew them.
    """

    rows: Rows
    scores: NDArray[np.float32] | None = None
    cut: bool = False

    def above(self, least: np.float32) -> Near:
        """Only the rows whose estimate is at least that."""
        if self.scores is None:
            return self
        kept = self.scores >= least
        return Near(self.rows[kept], self.scores[kept], self.cut or not kept.all())


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
