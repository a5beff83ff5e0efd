"""Local maps: what is kept of a picture so that it can be proved to show the same as another."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.picture import Pixels

#: Cells a side, and numbers a cell.
SIDE, DEPTH = 14, 32
CELLS = (SIDE, SIDE, DEPTH)

#: Pixels a side of the thumbnail: four for each side of a cell.
THUMBNAIL = 56

_SHAPE = struct.Struct(">HH")
_NUMBERS = SIDE * SIDE * DEPTH
_LENGTH = _SHAPE.size + _NUMBERS + THUMBNAIL * THUMBNAIL

#: Proportions beyond 4:1 count as 4:1, so that no cell is a mere line.
_MOST_STRETCHED = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class LocalMap:
    """What every part of a picture looks like.

    The picture is squashed into a square of ``SIDE`` × ``SIDE`` cells. ``cells`` is int8 (SIDE, SIDE, DEPTH), what the
    network sees in each; ``thumbnail`` is uint8 (THUMBNAIL, THUMBNAIL), the same square in grey.
    """

    width: int
    height: int
    cells: NDArray[np.int8]
    thumbnail: NDArray[np.uint8]

    @property
    def stretch(self) -> float:
        """By how much the square has to be widened, and its height divided, for the proportions to be right again."""
        proportion = max(self.width, 1) / max(self.height, 1)
        return float(np.sqrt(np.clip(proportion, 1 / _MOST_STRETCHED, _MOST_STRETCHED)))

    def pack(self) -> bytes:
        """The map as it is stored."""
        shape = _SHAPE.pack(min(self.width, 0xFFFF), min(self.height, 0xFFFF))
        return shape + self.cells.tobytes() + self.thumbnail.tobytes()


def unpack(data: bytes) -> LocalMap | None:
    """The map that was stored; None if these bytes are none."""
    if len(data) != _LENGTH:
        return None
    width, height = _SHAPE.unpack_from(data)
    cells = np.frombuffer(data, np.int8, _NUMBERS, _SHAPE.size).reshape(CELLS)
    grey = np.frombuffer(data, np.uint8, offset=_SHAPE.size + _NUMBERS).reshape(THUMBNAIL, THUMBNAIL)
    return LocalMap(width, height, cells, grey)


def thumbnail(squared: Pixels) -> NDArray[np.uint8]:
    """The thumbnail of a picture that was squashed into a square."""
    grey = Image.fromarray(squared).convert("L")
    return np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
