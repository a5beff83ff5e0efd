"""Blocks of thumbnails: squares that are compared one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding.feature_map import THUMBNAIL_SIDE

#: Thumbnail pixels a side of a block.
BLOCK_SIDE = 8

BLOCKS_PER_SIDE = THUMBNAIL_SIDE // BLOCK_SIDE

#: Smallest standard deviation, in grey levels, of a block that is compared.
MIN_DEVIATION = 4.0

#: Added to the variance of a block, in squared grey levels, so that noise in flat blocks correlates with nothing.
NOISE_VARIANCE = 4.0

Image = NDArray[np.float32]
"""Pixels or values of blocks, float32 (…, rows, columns)."""

#: Averages every ``BLOCK_SIDE`` pixels of a column: float32 (BLOCKS_PER_SIDE, THUMBNAIL_SIDE).
BLOCK_AVERAGE = np.kron(np.eye(BLOCKS_PER_SIDE), np.full((1, BLOCK_SIDE), 1 / BLOCK_SIDE)).astype(np.float32)

#: Averages sums of ``BLOCK_SIDE`` rows, float32 (THUMBNAIL_SIDE, BLOCKS_PER_SIDE).
_COLUMN_AVERAGE = np.asarray(BLOCK_AVERAGE.T / BLOCK_SIDE, np.float32)


def block_means(pixels: Image) -> Image:
    """Return the mean of each block: (…, THUMBNAIL_SIDE, THUMBNAIL_SIDE) to (…, BLOCKS_PER_SIDE, BLOCKS_PER_SIDE)."""
    rows = pixels.reshape(*pixels.shape[:-2], BLOCKS_PER_SIDE, BLOCK_SIDE, THUMBNAIL_SIDE).sum(axis=-2)
    means: Image = rows @ _COLUMN_AVERAGE
    return means


def block_moments(pixels: Image) -> tuple[Image, Image]:
    """Return mean and variance of each block."""
    mean = block_means(pixels)
    return mean, np.maximum(block_means(pixels * pixels) - mean * mean, 0)
