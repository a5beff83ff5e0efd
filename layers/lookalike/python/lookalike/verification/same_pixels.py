"""Pictures that are alike pixel by pixel, such as one that was compressed once more.

A blurred field, or a gradient in two directions, has too little texture to be told by it, and no layout. Compression
hardly changes its pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.verification.blocks import Image

#: Largest mean difference of pixels, in grey levels: recompressed copies of pictures without texture have 0.5 at most. Of
#: 690,000 pairs of different photographs none has a root mean square difference below 4.
MAX_MEAN_DIFFERENCE = 0.75

#: Largest difference of two pixels, in grey levels: a thing that only one of both shows differs by more.
MAX_PIXEL_DIFFERENCE = 4.0

#: Smallest standard deviation, in grey levels, of pixels without the means of their rows and columns: blank pages, lines,
#: bars and plain gradients are alike, and leave nothing.
_MIN_PIXEL_DEVIATION = 3.0


def pixel_correlations(ours: Image, theirs: Image) -> NDArray[np.float32]:
    """Return the correlation of all pixels of n pairs of thumbnails, float32 (n,); 0 unless they are alike pixel by pixel.

    Thumbnails are float32 (n, THUMBNAIL_SIDE, THUMBNAIL_SIDE). They correlate without the means of rows and columns.
    """
    differences = np.abs(ours - theirs)
    alike = (_mean(differences) <= MAX_MEAN_DIFFERENCE) & (differences.max(axis=(1, 2)) <= MAX_PIXEL_DIFFERENCE)
    our_detail, their_detail = _detail(ours), _detail(theirs)
    variances = _mean(our_detail**2), _mean(their_detail**2)
    alike &= np.minimum(*variances) >= _MIN_PIXEL_DEVIATION**2
    products = np.sqrt(np.maximum(variances[0] * variances[1], 1))
    return np.asarray(np.where(alike, _mean(our_detail * their_detail) / products, 0), np.float32)


def _detail(pixels: Image) -> Image:
    """Return thumbnails without the means of their rows and of their columns."""
    rows = pixels - pixels.mean(axis=1, keepdims=True)
    detail: Image = rows - rows.mean(axis=2, keepdims=True)
    return detail


def _mean(pixels: Image) -> Image:
    means: Image = pixels.mean(axis=(1, 2))
    return means
