"""Regions: boxes around connected cells of a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Box

#: Regions returned at most, the largest ones.
MAX_REGIONS = 8


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of ``side`` pixels, ``stride`` apart, that begin ``rim`` pixels from the edges of a picture's part.

    ``frame`` is the part, ``width`` and ``height`` its size in pixels.
    """

    frame: Box

    width: int
    height: int
    stride: int
    side: int
    rim: int = 0

    def box(self, group: list[tuple[int, int]]) -> Box:
        """Return the box, in fractions of the picture, around cells given by row and column."""
        rows, columns = [row for row, _ in group], [column for _, column in group]
        left, right = min(columns) * self.stride + self.rim, max(columns) * self.stride + self.rim + self.side
        top, bottom = min(rows) * self.stride + self.rim, max(rows) * self.stride + self.rim + self.side
        frame = self.frame
        across, down = (frame.right - frame.left) / self.width, (frame.bottom - frame.top) / self.height
        return Box(
            frame.left + left * across,
            frame.top + top * down,
            frame.left + right * across,
            frame.top + bottom * down,
        )


def boxes_of(cells: NDArray[np.bool_], grid: Grid) -> tuple[Box, ...]:
    """Return boxes, as fractions, around the largest groups of set cells that touch, the largest group first.

    ``cells`` is bool (rows, columns), ``grid`` where they lie.
    """
    left = {(row, column) for row, column in np.argwhere(cells).tolist()}
    groups = []
    while left:
        groups.append(_take_group(left))
    groups.sort(key=lambda group: (-len(group), group[0]))
    return tuple(grid.box(group) for group in groups[:MAX_REGIONS])


def _take_group(left: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Remove one connected group from ``left`` and return its cells, in order."""
    group, edge = [], [min(left)]
    left.remove(edge[0])
    while edge:
        row, column = edge.pop()
        group.append((row, column))
        neighbours = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
        left -= neighbours
        edge.extend(neighbours)
    return sorted(group)
