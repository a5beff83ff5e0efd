"""Nearly flat pictures, such as flags and pages with a line or two: their few edges, and the fields between them, agree.

They have too little texture to be told by it. A photograph is hardly ever that flat (2 of 5,145 are), and of all pairs of
these photographs none but duplicates reach half of :data:`MIN_EDGE_CORRELATION`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.verification.blocks import Image

#: Smallest number of thumbnail blocks that vary: one dot is like another.
MIN_LAYOUT_BLOCKS = 4

#: Smallest correlation of edges: copies of flags and nearly blank pages have 0.98 at least, other pages 0.963 at most.
MIN_EDGE_CORRELATION = 0.97

#: Largest mean difference of pixels, in grey levels, after the best map of brightness and contrast: copies have 0.6 at
#: most.
MAX_LAYOUT_DIFFERENCE = 2.0

#: Largest ratio of contrasts, either way. Three fields of other greys often are a map of contrast away from each other: of
#: 780 pairs of different flags 23 were taken for one without this bound, and 3 were with it; copies' is 1.12 at most.
MAX_CONTRAST_RATIO = 1.18

#: Smallest absolute Laplacian, in grey levels, of an edge. A gradient over the whole thumbnail has none.
_MIN_EDGE = 8.0

#: Smallest number of pixels with an edge.
_MIN_EDGE_PIXELS = 16

#: Largest share of pixels with an edge: a pattern repeats, and lies on itself at several places.
_MAX_EDGE_SHARE = 0.25

#: Added to the variance of Laplacians, in squared grey levels, so that noise correlates with nothing.
_NOISE_VARIANCE = 0.25


def same_layout(ours: Image, theirs: Image) -> NDArray[np.bool_]:
    """Return which of n pairs of thumbnails, float32 (n, THUMBNAIL_SIDE, THUMBNAIL_SIDE), have the same layout."""
    our_edges, their_edges = _laplacian(ours), _laplacian(theirs)
    pixels = (np.abs(their_edges) > _MIN_EDGE).mean(axis=(1, 2))
    few = (pixels * their_edges[0].size >= _MIN_EDGE_PIXELS) & (pixels <= _MAX_EDGE_SHARE)
    correlations = _mean(our_edges * their_edges) / np.sqrt(
        (_mean(our_edges**2) + _NOISE_VARIANCE) * (_mean(their_edges**2) + _NOISE_VARIANCE)
    )
    return np.asarray(few & (correlations >= MIN_EDGE_CORRELATION) & _same_greys(ours, theirs))


def _same_greys(ours: Image, theirs: Image) -> NDArray[np.bool_]:
    """Return which pairs differ little once ours have theirs' brightness and, by least squares, contrast."""
    ours, theirs = (pixels - _mean(pixels)[:, None, None] for pixels in (ours, theirs))
    contrast = _mean(ours * theirs) / np.maximum(_mean(ours * ours), _NOISE_VARIANCE)
    difference = _mean(np.abs(theirs - contrast[:, None, None] * ours))
    near = (contrast <= MAX_CONTRAST_RATIO) & (contrast * MAX_CONTRAST_RATIO >= 1)
    return np.asarray(near & (difference <= MAX_LAYOUT_DIFFERENCE))


def _laplacian(pixels: Image) -> Image:
    """Return the Laplacian of n thumbnails, without their outermost pixels."""
    inner = pixels[:, 1:-1, 1:-1]
    beside = pixels[:, :-2, 1:-1] + pixels[:, 2:, 1:-1] + pixels[:, 1:-1, :-2] + pixels[:, 1:-1, 2:]
    return 4 * inner - beside


def _mean(pixels: Image) -> Image:
    means: Image = pixels.mean(axis=(1, 2))
    return means
