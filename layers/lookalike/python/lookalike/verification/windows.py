"""Windows: the pictures on a page, in a collage or a screenshot, and within a plain border.

A recursive XY-cut (Nagy and Seth, "Hierarchical representation of optically scanned documents", 1984) divides the picture
along plain rows and columns, and along seams: straight edges from one side of a block to the other, where pictures of a
collage touch. The blocks that cannot be divided and look like pictures, or like things cut out on plain ground, not like
text, are the windows. Most photographs are not divided at all.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lookalike.domain.geometry import Box
from lookalike.domain.picture import Pixels

#: Windows returned at most, the largest: as many as a collage of three by three has. Each costs one pass of the model.
MAX_WINDOWS = 9

#: Pixels: longer side of the picture that is divided.
_LONGER_SIDE = 480

#: Largest range of grey levels in a plain row or column: JPEG leaves some noise beside edges.
_MAX_PLAIN_RANGE = 20

#: Smallest step across a seam, in grey levels over two pixels.
_MIN_STEP = 14

#: Smallest share of a seam's length that is a step.
_MIN_SEAM = 0.8

#: Pixels: smallest length of a seam. Shorter edges divide the small pictures of a page; cells of a collage of four by four
#: have 120.
_MIN_SEAM_LENGTH = 100

#: Pixels: smallest distance of a seam from the next one, and from a side of its block.
_MIN_SEAM_DISTANCE = 4

#: Pixels: smallest side of a window. A picture at a tenth of a page's width has 48, and half as much across if it is wide;
#: a line of text has 6 to 14.
_MIN_SIDE = 20

#: Largest ratio of a window's sides: beyond it are bars and lines of text.
_MAX_ASPECT_RATIO = 4.0

#: Largest area of a window, as a share of the picture's: beyond it, the window is the picture.
_MAX_AREA = 0.88

#: Levels of blocks within blocks at most.
_MAX_DEPTH = 8

#: Largest share of a window's pixels in one of 32 bins of grey, its background. Text has more, but so does what is cut out
#: on plain ground.
_MAX_BACKGROUND = 0.6

#: Grey levels between the background and what is cut out.
_MIN_CONTRAST = 20

#: Pixels: side of the square that strokes of letters have no room for.
_STROKE = 5

#: Smallest share of a window in which such squares show no background.
_MIN_SOLID = 0.08

#: Smallest standard deviation of a window, in grey levels.
_MIN_DEVIATION = 10.0

_Grey = NDArray[np.uint8]
_Block = tuple[int, int, int, int]  # top, left, bottom, right


def detect_windows(pixels: Pixels) -> list[Box]:
    """Return the windows in a picture, uint8 RGB, the largest first, at most MAX_WINDOWS; none if the picture is one whole."""
    grey = _small_grey(pixels)
    height, width = grey.shape
    windows = [block for block in _indivisible_blocks(grey) if _shows_picture(grey, block)]
    windows.sort(key=lambda block: (-_area(block), block))
    return [
        Box(left / width, top / height, right / width, bottom / height)
        for top, left, bottom, right in windows[:MAX_WINDOWS]
    ]


def _small_grey(pixels: Pixels) -> _Grey:
    picture = Image.fromarray(pixels)
    scale = _LONGER_SIDE / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    return np.asarray(picture.convert("L").resize(size, method))


def _indivisible_blocks(grey: _Grey) -> Iterator[_Block]:
    """Yield the blocks, without plain margins, that no plain row or column and no seam divides."""
    rows, columns = _Lines(grey), _Lines(np.ascontiguousarray(grey.T))
    waiting: list[tuple[_Block, int]] = [((0, 0, *grey.shape), 0)]
    while waiting:
        block, depth = waiting.pop()
        top, left, bottom, right = block
        if min(bottom - top, right - left) < _MIN_SIDE:
            continue
        across, plain_rows = rows.divide(top, bottom, left, right)
        down, plain_columns = columns.divide(left, right, top, bottom)
        if depth == _MAX_DEPTH or (across == [(top, bottom)] and down == [(left, right)]):
            yield block
        elif len(across) == len(down) == 1:  # plain margins
            waiting.append(((across[0][0], down[0][0], across[0][1], down[0][1]), depth + 1))
        elif len(down) == 1 or (len(across) > 1 and (plain_rows, len(across)) >= (plain_columns, len(down))):
            waiting += [((begin, left, end, right), depth + 1) for begin, end in across]
        else:
            waiting += [((top, begin, bottom, end), depth + 1) for begin, end in down]


class _Lines:
    """The rows of a picture, uint8 (height, width), and where they divide its blocks."""

    def __init__(self, grey: _Grey) -> None:
        self._grey = grey
        height, width = grey.shape
        # Running counts of steps, so that those of any block's row are a difference.
        self._steps = np.zeros((height, width + 1), np.int16)
        if height > 2:
            steps = np.maximum(grey[2:], grey[:-2]) - np.minimum(grey[2:], grey[:-2]) > _MIN_STEP
            np.cumsum(steps, axis=1, dtype=np.int16, out=self._steps[1:-1, 1:])

    def divide(self, top: int, bottom: int, left: int, right: int) -> tuple[list[tuple[int, int]], float]:
        """Return the parts, begin and end, that plain rows and seams leave of a block, and the share of plain rows."""
        block = self._grey[top:bottom, left:right]
        plain = block.max(axis=1) - block.min(axis=1) <= _MAX_PLAIN_RANGE
        steps = (self._steps[top:bottom, right] - self._steps[top:bottom, left]) / (right - left)
        seams = np.zeros(len(steps), np.bool_)
        if right - left >= _MIN_SEAM_LENGTH:
            seams[1:-1] = (steps[1:-1] >= _MIN_SEAM) & (steps[1:-1] >= steps[2:]) & (steps[1:-1] > steps[:-2])
        bounds = np.flatnonzero(np.diff(np.r_[True, plain, True]))
        parts = [
            (top + int(begin), top + int(end))
            for first, last in zip(bounds[::2], bounds[1::2], strict=True)
            for begin, end in _between(first, last, first + np.flatnonzero(seams[first:last]))
        ]
        return parts, float(plain.mean())


def _between(first: int, last: int, seams: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Yield the parts of ``first`` to ``last`` between seams."""
    begin = first
    for seam in seams:
        if seam - begin >= _MIN_SEAM_DISTANCE and last - seam >= _MIN_SEAM_DISTANCE:
            yield begin, seam
            begin = seam
    yield begin, last


def _shows_picture(grey: _Grey, block: _Block) -> bool:
    """Whether a block looks like a picture, and is not all of ``grey``."""
    top, left, bottom, right = block
    height, width = bottom - top, right - left
    if min(height, width) < _MIN_SIDE or max(height, width) > _MAX_ASPECT_RATIO * min(height, width):
        return False
    if height * width > _MAX_AREA * grey.size:
        return False
    shown = grey[top:bottom, left:right]
    if float(shown.std()) < _MIN_DEVIATION:
        return False
    bins = np.bincount((shown >> 3).ravel())
    commonest = int(np.argmax(bins))
    return int(bins[commonest]) <= _MAX_BACKGROUND * shown.size or _shows_cutout(shown, 8 * commonest + 4)


def _shows_cutout(shown: _Grey, background: int) -> bool:
    """Whether something that is not the background has room for more than strokes, and is not of one grey."""
    foreground = np.abs(shown.astype(np.int16) - background) > _MIN_CONTRAST
    eroded = Image.fromarray(foreground.astype(np.uint8)).filter(ImageFilter.MinFilter(_STROKE))
    inside = shown[np.asarray(eroded, np.bool_)]
    return inside.size >= _MIN_SOLID * shown.size and float(inside.std()) >= _MIN_DEVIATION


def _area(block: _Block) -> int:
    top, left, bottom, right = block
    return (bottom - top) * (right - left)
