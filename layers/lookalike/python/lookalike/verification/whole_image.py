"""Correlates two whole pictures in eight orientations: upright, rotated by quarter turns, and mirrored.

The most frequent copies (saved again, scaled, recoloured, rotated, mirrored) cover their originals exactly. One matrix
product finds them, even where the features of a rotated picture's cells no longer match.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Affine
from lookalike.embedding.feature_map import THUMBNAIL_SIDE
from lookalike.verification.correlation import (
    BLOCK_SIDE,
    MIN_DEVIATION,
    NOISE_VARIANCE,
    BlockCorrelation,
    texture_statistics,
)

_BLOCKS_PER_SIDE = THUMBNAIL_SIDE // BLOCK_SIDE
_GRID = (_BLOCKS_PER_SIDE, _BLOCKS_PER_SIDE)

_Thumbnail = NDArray[np.uint8]

#: The symmetries of the square: each one's effect on an image, and on points as fractions of its sides.
_ORIENTATIONS: tuple[tuple[Callable[[_Thumbnail], _Thumbnail], Affine], ...] = (
    (lambda image: image, (1, 0, 0, 0, 1, 0)),
    (lambda image: image[:, ::-1], (-1, 0, 1, 0, 1, 0)),
    (lambda image: image[::-1], (1, 0, 0, 0, -1, 1)),
    (lambda image: image[::-1, ::-1], (-1, 0, 1, 0, -1, 1)),
    (lambda image: image.T, (0, 1, 0, 1, 0, 0)),
    (lambda image: image.T[:, ::-1], (0, -1, 1, 1, 0, 0)),
    (lambda image: image.T[::-1], (0, 1, 0, -1, 0, 1)),
    (lambda image: image.T[::-1, ::-1], (0, -1, 1, -1, 0, 1)),
)


@dataclass(frozen=True, slots=True)
class WholeImageMatch:
    """The best orientation: ``transform`` moves the query's points to the candidate's."""

    correlation: BlockCorrelation
    transform: Affine


class EightOrientations:
    """A query's thumbnail in all eight orientations, ready to be correlated.

    Parameters
    ----------
    thumbnail : uint8 (THUMBNAIL_SIDE, THUMBNAIL_SIDE).
    """

    def __init__(self, thumbnail: _Thumbnail) -> None:
        oriented = np.stack([turn(thumbnail) for turn, _ in _ORIENTATIONS]).astype(np.float32)
        blocks = [_normalised_blocks(pixels) for pixels in oriented]
        self._normalised = np.stack([rows.ravel() for rows, _ in blocks])
        self._textured = [textured for _, textured in blocks]
        self._oriented = oriented

    def best_match(self, thumbnail: NDArray[np.float32]) -> WholeImageMatch:
        """Return the orientation with the largest correlation over the candidate's textured blocks.

        ``thumbnail`` is float32 (THUMBNAIL_SIDE, THUMBNAIL_SIDE).
        """
        blocks, compared = _normalised_blocks(thumbnail)
        count = int(np.count_nonzero(compared))
        if not count:
            return WholeImageMatch(BlockCorrelation(0, 0.0, 0.0), _ORIENTATIONS[0][1])
        correlations = self._normalised @ (blocks * compared[:, None]).ravel()
        best = int(np.argmax(correlations))
        oriented = self._oriented[best]
        by_block = (self._normalised[best].reshape(blocks.shape) * blocks).sum(axis=1).reshape(_GRID)
        either = compared | self._textured[best]
        statistics = texture_statistics(oriented, thumbnail, compared.reshape(_GRID), either.reshape(_GRID), by_block)
        return WholeImageMatch(
            BlockCorrelation(count, float(correlations[best]) / count, *statistics), _ORIENTATIONS[best][1]
        )


def _normalised_blocks(thumbnail: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the blocks as zero-mean rows of norm ≤ 1, float32 (blocks, pixels), and which have enough deviation."""
    blocks = thumbnail.reshape(_BLOCKS_PER_SIDE, BLOCK_SIDE, _BLOCKS_PER_SIDE, BLOCK_SIDE).swapaxes(1, 2)
    rows = blocks.reshape(_BLOCKS_PER_SIDE * _BLOCKS_PER_SIDE, BLOCK_SIDE * BLOCK_SIDE)
    rows = rows - rows.mean(axis=1, keepdims=True)
    variances = np.mean(rows * rows, axis=1)
    unit = rows / np.sqrt((variances + NOISE_VARIANCE) * rows.shape[1])[:, None]
    return np.asarray(unit, np.float32), variances > MIN_DEVIATION**2
