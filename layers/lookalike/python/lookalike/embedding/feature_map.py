"""Feature maps: the stored features of a picture's parts, by which a match is verified."""

from __future__ import annotations

import math
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

#: Factor by which the numbers of a cell, a unit vector, are multiplied before they are rounded to int8.
MAP_SCALE = 127.0

#: Pixels a side of the grey thumbnail: four for each side of a cell.
THUMBNAIL_SIDE = 56

_HEADER = struct.Struct(">HH")
_CELLS_BYTES = CELLS_PER_SIDE * CELLS_PER_SIDE * CELL_CHANNELS
_BYTES = _HEADER.size + _CELLS_BYTES + THUMBNAIL_SIDE * THUMBNAIL_SIDE

#: Largest ratio of the sides that is undone: beyond it a cell would be a line of pixels.
_MAX_ASPECT_RATIO = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMap:
    """The features of a picture's parts.

    The picture is squashed into a square of CELLS_PER_SIDE × CELLS_PER_SIDE cells. ``cells``, int8 (CELLS_PER_SIDE,
    CELLS_PER_SIDE, CELL_CHANNELS), are the network's features of each; ``thumbnail``, uint8 (THUMBNAIL_SIDE,
    THUMBNAIL_SIDE), is the same square in grey. ``width`` and ``height`` are the picture's, in pixels.
    """

    width: int
    height: int
    cells: NDArray[np.int8]
    thumbnail: NDArray[np.uint8]

    @property
    def sqrt_aspect_ratio(self) -> float:
        """Factor that widens the square, and divides its height, to restore the aspect ratio; 1/2 to 2."""
        aspect_ratio = max(self.width, 1) / max(self.height, 1)
        return math.sqrt(min(max(aspect_ratio, 1 / _MAX_ASPECT_RATIO), _MAX_ASPECT_RATIO))

    def pack(self) -> bytes:
        """Return the map as it is stored: width and height, uint16 big-endian, then cells, then thumbnail."""
        header = _HEADER.pack(min(self.width, 0xFFFF), min(self.height, 0xFFFF))
        return header + self.cells.tobytes() + self.thumbnail.tobytes()


def unpack(data: bytes) -> FeatureMap | None:
    """Return the stored map; None if the bytes are not one."""
    if len(data) != _BYTES:
        return None
    width, height = _HEADER.unpack_from(data)
    cells = np.frombuffer(data, np.int8, _CELLS_BYTES, _HEADER.size).reshape(CELLS_SHAPE)
    grey = np.frombuffer(data, np.uint8, offset=_HEADER.size + _CELLS_BYTES).reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return FeatureMap(width, height, cells, grey)


def thumbnail(squared: Pixels) -> NDArray[np.uint8]:
    """Return the grey thumbnail of a picture that was squashed into a square, uint8 RGB."""
    grey = Image.fromarray(squared).convert("L")
    return np.asarray(grey.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX))
