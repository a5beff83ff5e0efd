"""A picture that is drawn by a number, and a changed copy of it."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Sides in pixels, of the picture and of its copy.
_SIDE, _COPY_SIDE = 480, 400

#: Cells a side of the coarse pattern, and of the fine one that lies over it.
_COARSE, _FINE = 6, 40

#: JPEG quality of the copy.
_QUALITY = 70


def draw(number: int) -> bytes:
    """Return a picture in PNG; another number draws another one."""
    cells = np.random.default_rng(number)
    coarse, fine = (_pattern(cells, side) for side in (_COARSE, _FINE))
    mixed = np.clip(coarse * 0.7 + fine * 0.3, 0, 255).astype(np.uint8)
    return _file(Image.fromarray(mixed), "PNG")


def changed_copy(data: bytes) -> bytes:
    """Return a smaller copy of a drawn picture, in JPEG."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        return _file(image.resize((_COPY_SIDE, _COPY_SIDE)), "JPEG")


def _pattern(cells: np.random.Generator, side: int) -> NDArray[np.float32]:
    drawn = Image.fromarray(cells.integers(0, 256, (side, side, 3), dtype=np.uint8))
    return np.asarray(drawn.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), np.float32)


def _file(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form, quality=_QUALITY)
    return file.getvalue()
