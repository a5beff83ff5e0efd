"""Turned: in which orientations a query may be a piece of a candidate, by template matching of small thumbnails.

Keypoints are detected anew for every orientation of a query, which costs a search that finds nothing as much as those of
the query as it is. Where the candidate is far, a thumbnail that is moved over the candidate's in the same orientations
tells for little where that is worthwhile: of 67 crops to 30 %, mirrored or turned by quarters, whose keypoints match, all
correlate as much, of 1,000 orientations of 200 strangers one in eleven. Of copies turned by other angles few do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from lookalike.embedding.feature_map import FeatureMap
from lookalike.verification.keypoints import ORIENTATIONS, TURNED
from lookalike.verification.matching import ViewFeatures

#: Smallest correlation of a query, turned or mirrored, with a place of a candidate. Of crops whose keypoints match it is 0.75.
MIN_TURNED_CORRELATION = 0.65

#: Shares of the candidate's sides that a query is tried at, geometric means of both sides.
_SCALES = tuple(float(scale) for scale in np.geomspace(0.97, 0.4, 10))

#: Pixels: side of the square that has as many pixels as a candidate's small thumbnail.
_SIDE = 28

#: Pixels: smallest side of a piece.
_MIN_SIDE = 7

#: Added to the variance of a piece, in squared grey levels, so that noise correlates with nothing.
_NOISE_VARIANCE = 4.0

_Grey = NDArray[np.float32]


def promising_orientations(views: Sequence[ViewFeatures], candidates: Sequence[FeatureMap]) -> list[int]:
    """Return the numbers of keypoint views, 1 to 5, in whose orientation the query may be a piece of a candidate.

    Only views that show a picture from edge to edge are compared; all orientations are promising if there is none.
    """
    full = [view for view in views if view.full]
    if not full:
        return list(TURNED)
    pictures = [_small(one.thumbnail, one.sqrt_aspect_ratio, 1.0) for one in candidates]
    best = np.full(len(ORIENTATIONS), -1.0)
    for view in full:
        for scale in _SCALES:
            piece = _small(view.thumbnail, view.sqrt_aspect_ratio, scale)
            if min(piece.shape) >= _MIN_SIDE:
                best = np.maximum(best, np.max([_correlations(piece, one) for one in pictures], axis=0, initial=-1.0))
    return [number for number, one in zip(TURNED, best.tolist(), strict=True) if one >= MIN_TURNED_CORRELATION]


def _correlations(piece: _Grey, picture: _Grey) -> NDArray[np.float64]:
    """Return a piece's correlation with its best place in a picture, by orientation; -1 where it has no room."""
    turned = [np.rot90(piece[:, ::-1] if mirrored else piece, quarters) for mirrored, quarters in ORIENTATIONS]
    best = np.full(len(turned), -1.0)
    for shape in {one.shape for one in turned}:
        if shape[0] <= picture.shape[0] and shape[1] <= picture.shape[1]:
            numbers = [number for number, one in enumerate(turned) if one.shape == shape]
            best[numbers] = _best_of_shape(np.stack([turned[number].ravel() for number in numbers]), picture, shape)
    return best


def _best_of_shape(pieces: _Grey, picture: _Grey, shape: tuple[int, ...]) -> _Grey:
    """Return the best correlation of each piece, float32 (n, pixels), which have that shape, with places in a picture."""
    noise = _NOISE_VARIANCE * pieces.shape[1]
    centred = pieces - pieces.mean(axis=1, keepdims=True)
    places = sliding_window_view(picture, shape).reshape(-1, pieces.shape[1])
    sums = places.sum(axis=1)
    variances = np.maximum(np.einsum("ij,ij->i", places, places) - sums * sums / pieces.shape[1], 0) + noise
    products = (places @ centred.T) / np.sqrt(variances)[:, None]
    best: _Grey = products.max(axis=0) / np.sqrt(np.square(centred).sum(axis=1) + noise)
    return best


def _small(thumbnail: NDArray[np.uint8], sqrt_aspect_ratio: float, scale: float) -> _Grey:
    """Return a thumbnail in its own proportions and less its mean, float32 (height, width)."""
    size = max(1, round(_SIDE * scale * sqrt_aspect_ratio)), max(1, round(_SIDE * scale / sqrt_aspect_ratio))
    small = np.asarray(Image.fromarray(thumbnail).resize(size, Image.Resampling.BOX), np.float32)
    return small - small.mean()
