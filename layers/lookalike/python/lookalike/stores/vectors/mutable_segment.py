"""The part of a library's index that grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import Picture
from lookalike.domain.search import TagFilter
from lookalike.stores.vectors import inner_products
from lookalike.stores.vectors.inner_products import Halves, Rows
from lookalike.stores.vectors.packed_candidate import pack
from lookalike.stores.vectors.segment_protocol import GONE, Depth, Mask, Near, Space

G = TypeVar("G", bound=np.generic)

_FIRST_ROOM = 16


class Tail:
    """The latest rows of one library and space, in the order they came. Searched exactly, row by row.

    Appending never touches a row that is there, so searches of the first ``count`` rows go on beside it.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.gone = 0
        self.vectors: Halves = inner_products.empty(_FIRST_ROOM)
        self.hashes: NDArray[np.int64] = np.zeros(_FIRST_ROOM, np.int64)
        self.revisions: NDArray[np.int64] = np.zeros(_FIRST_ROOM, np.int64)
        self.live: Mask = np.zeros(_FIRST_ROOM, np.bool_)
        self._records: list[bytes] = []
        self._tags: list[tuple[str, ...]] = []
        self._rows: dict[str, int] = {}

    @property
    def count(self) -> int:
        """Rows, those that are gone included. Arrays may be longer."""
        return len(self._records)

    def extend(self, pictures: Sequence[Picture]) -> None:
        """More rows, in one go: their ids differ, and no row that counts has one of them."""
        first, end = self.count, self.count + len(pictures)
        while end > len(self.vectors):
            self._make_room()
        ids = [picture.key.id for picture in pictures]
        np.concatenate([picture.vector for picture in pictures], out=self.vectors[first:end].reshape(-1))
        self.hashes[first:end] = [hash(id_) for id_ in ids]
        self.revisions[first:end] = [picture.revision for picture in pictures]
        self.live[first:end] = [picture.live for picture in pictures]
        self._rows.update(zip(ids, range(first, end), strict=True))
        self._tags.extend(picture.metadata.tags for picture in pictures)
        self._records.extend(map(pack, pictures))

    def holding(self, ids: Sequence[str]) -> Mask:
        """Which of these ids are, or were, some row's."""
        return np.fromiter(map(self._rows.__contains__, ids), np.bool_, len(ids))

    def find(self, id_: str) -> int | None:
        """The row that counts for a picture id."""
        row = self._rows.get(id_)
        return None if row is None or self.revisions[row] == GONE else row

    def record(self, row: int) -> bytes:
        """A row's packed picture."""
        return self._records[row]

    def tagged(self) -> tuple[NDArray[np.int64], Rows]:
        """Hash and row of every tag of every row, two arrays of one length."""
        pairs = [(hash(tag), row) for row, tags in enumerate(self._tags) for tag in dict.fromkeys(tags)]
        columns = np.array(pairs, np.int64).reshape(-1, 2)
        return columns[:, 0], columns[:, 1]

    def passing(self, tags: TagFilter, count: int) -> Mask:
        """Which of the first ``count`` rows pass a filter."""
        return np.fromiter((tags.keeps(have) for have in self._tags[:count]), np.bool_, count)

    def near(self, views: NDArray[np.float32], allowed: Mask, depth: Depth) -> Near:
        """All that is allowed: a tail is short."""
        return Near(np.flatnonzero(allowed))

    def _make_room(self) -> None:
        self.vectors = _doubled(self.vectors)
        self.hashes = _doubled(self.hashes)
        self.revisions = _doubled(self.revisions)
        self.live = _doubled(self.live)


def _doubled(old: NDArray[G]) -> NDArray[G]:
    new = np.zeros((2 * len(old), *old.shape[1:]), old.dtype)
    new[: len(old)] = old
    return new
