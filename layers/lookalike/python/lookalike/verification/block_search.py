"""Block matching: how well, and where, blocks of one picture are found near the same place of another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.verification.overlay import Overlay

#: Smallest standard deviation, in grey levels, that a block's correlation is divided by: noise correlates with nothing.
_DEVIATION_FLOOR = 4.0

#: Correlation that a shift of one pixel must bring: of two equal places the nearer one counts.
_SHIFT_PENALTY = 0.002

_Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class BlockMatches:
    """The best places of blocks, each an array of shape (rows, columns); blocks overlap their neighbours by half.

    ``correlation``, in −1..1, is the best one. ``shift`` (rows, columns, 2) is where it was found, in pixels right and down.
    ``deviation`` and ``other_deviation`` are standard deviations, in grey levels, of the block and of the other picture
    at the same place. ``coverage`` is the share of the block that the other picture covers.
    """

    side: int
    correlation: _Image
    shift: _Image
    deviation: _Image
    other_deviation: _Image
    coverage: _Image

    @property
    def centres(self) -> NDArray[np.float32]:
        """The blocks' centres, float32 (rows, columns, 2), in pixels from the left and from the top."""
        rows, columns = self.correlation.shape
        down, right = np.mgrid[1 : rows + 1, 1 : columns + 1].astype(np.float32) * (self.side // 2)
        return np.stack([right, down], axis=2)


def match_blocks(overlay: Overlay, side: int, reach: int) -> BlockMatches:
    """Search blocks of the original in the query, given an overlay in grey.

    Blocks have ``side`` pixels a side, a power of two, and are searched up to ``reach`` pixels around their place.
    """
    height, width = overlay.original.shape
    half, count = side // 2, float(side * side)
    # Around their mean, sums of squares keep their digits in float32.
    picture, other = overlay.original - overlay.original.mean(), overlay.query - overlay.query.mean()
    padded = np.pad(other, reach, mode="edge")
    mean, variance = _moments(block_sums(picture, side), block_sums(picture * picture, side), count)
    window_mean, window_variance = _moments(_window_sums(padded, side), _window_sums(padded * padded, side), count)
    floor = np.float32(_DEVIATION_FLOOR**2)
    deviations, others = np.sqrt(np.maximum(variance, floor)), np.sqrt(np.maximum(window_variance, floor))
    rows, columns = mean.shape
    best = np.full((rows, columns), -np.inf, np.float32)
    shift = np.zeros((rows, columns, 2), np.float32)
    correlation = np.zeros((rows, columns), np.float32)
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            at = np.s_[down : down + (rows - 1) * half + 1 : half, right : right + (columns - 1) * half + 1 : half]
            products = block_sums(picture * padded[down : down + height, right : right + width], side)
            found = (products / count - mean * window_mean[at]) / (deviations * others[at])
            judged = found - np.float32(_SHIFT_PENALTY * np.hypot(right - reach, down - reach))
            better = judged > best
            best = np.where(better, judged, best)
            correlation = np.where(better, found, correlation)
            shift[better] = (right - reach, down - reach)
    here = np.s_[reach : reach + (rows - 1) * half + 1 : half, reach : reach + (columns - 1) * half + 1 : half]
    coverage = block_sums(overlay.covered.astype(np.float32), side) / count
    return BlockMatches(side, correlation, shift, np.sqrt(variance), np.sqrt(window_variance[here]), coverage)


def _moments(sums: _Image, squares: _Image, count: float) -> tuple[_Image, _Image]:
    """Return mean and variance, given sums and sums of squares of ``count`` numbers."""
    mean = sums / np.float32(count)
    return mean, np.maximum(squares / np.float32(count) - mean * mean, 0)


def block_sums(image: _Image, side: int) -> _Image:
    """Return sums over blocks that overlap by half, float32 (rows, columns)."""
    half = side // 2
    rows, columns = image.shape[0] // half, image.shape[1] // half
    strips = image[: rows * half, : columns * half].reshape(rows, half, columns * half).sum(axis=1)
    cells = strips.reshape(rows, columns, half).sum(axis=2)
    pairs = cells[:-1] + cells[1:]
    return np.asarray(pairs[:, :-1] + pairs[:, 1:])


def _window_sums(image: _Image, side: int) -> _Image:
    """Return sums over windows of ``side`` pixels a side, a power of two, at every place."""
    width = 1
    while width < side:
        image = image[:-width] + image[width:]
        image = image[:, :-width] + image[:, width:]
        width *= 2
    return image
