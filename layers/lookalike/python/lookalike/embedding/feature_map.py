"""Local maps: what is kept of a picture so that it can be proved to show the same as another."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.picture import Pixels

#: Cells a side of the feature map.
CELLS_PER_SIDE = 14

#: Numbers a cell.
CELL_CHANNELS = 32

#: Shape of a feature map: rows, columns, channels.
CELLS_SHAPE = (CELLS_PER_SIDE, CELLS_PER_SIDE, CELL_CHANNELS)

#: Pixels a side of the grey thumbnail: four for each side of a cell.
THUMBNAIL_SIDE = 56

_HEADER = struct.Struct(">HH")
_CELLS_BYTES = CELLS_PER_SIDE * CELLS_PER_SIDE * CELL_CHANNELS
_BYTES = _HEADER.size + _CELLS_BYTES + THUMBNAIL_SIDE * THUMBNAIL_SIDE

#: Largest ratio of the sides that is undone: beyond it a cell would be a line of pixels.
_MAX_ASPECT_RATIO = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMap:
    """What every part of a picture looks like.

    The picture is squashed into a square of ``CELLS_PER_SIDE`` × ``CELLS_PER_SIDE`` cells. ``cells`` is int8 (CELLS_PER_SIDE, CELLS_PER_SIDE, CELL_CHANNELS), what the
    network sees in each; ``thumbnail`` is uint8 (THUMBNAIL_SIDE, THUMBNAIL_SIDE), the same square in grey.
    """

    width: int
    height: int
    cells: NDArray[np.int8]
    thumbnail: NDArray[np.uint8]

    @property
    def sqrt_aspect_ratio(self) -> float:
        """By how much the square has to be widened, and its height divided, for the proportions to be right again."""
        aspect_ratio = max(self.width, 1) / max(self.height, 1)
        return float(np.sqrt(np.clip(aspect_ratio, 1 / _MAX_ASPECT_RATIO, _MAX_ASPECT_RATIO)))

    def pack(self) -> bytes:
        """The map as it is stored."""
        header = _HEADER.pack(min(self.width, 0xFFFF), min(self.height, 0xFFFF))
        return header + self.cells.tobytes() + self.thumbnail.tobytes()


def unpack(data: bytes) -> FeatureMap | None:
    """The map that was stored; None if these bytes are none."""
    if len(data) != _BYTES:
        return None
    width, height = _HEADER.unpack_from(data)
    cells = np.frombuffer(data, np.int8, _CELLS_BYTES, _HEADER.size).reshape(CELLS_SHAPE)
    grey = np.frombuffer(data, np.uint8, offset=_HEADER.size + _CELLS_BYTES).reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return FeatureMap(width, height, cells, grey)


def thumbnail(squared: Pixels) -> NDArray[np.uint8]:
    """The thumbnail of a picture that was squashed into a square."""
    grey = Image.fromarray(squared).convert("L")
    return np.asarray(grey.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX))
