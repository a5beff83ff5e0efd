"""Whether the details of a query fit where its thumbnail does, by template matching.

Smooth greys of any two pictures correlate somewhere. Of a query that is a piece of the picture, edges and texture lie on each
other, too, and comparing all that agrees costs ten times as much as looking at them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import Affine, GeometricMatch

#: Smallest correlation of details at a place that is compared: of pieces that agreement proves it is 0.6, of one of 100
#: pixels 0.42; of 28 places that it does not prove 26 have at most 0.34.
MIN_DETAIL_CORRELATION = 0.35

#: Pixels: side of the square that has as many pixels as the query's details.
_SIDE = 40

#: Pixels: smallest side of these.
_MIN_SIDE = 8

#: Factors that a place's sides may be wrong by: half of the steps of the scales that thumbnails are tried at, and their pixels.
_FACTORS = (1.0, 0.97, 1.03, 0.94, 1.06, 0.91, 1.09)

#: Share of a candidate's sides that a place may lie off: a pixel of a small thumbnail, and half of what its sides are wrong by.
_REACH = 1 / 28
_GROWTH = 0.06

#: Largest ratio of the query's sides that is kept.
_MAX_ASPECT_RATIO = 8.0

#: Factor by which a picture is reduced to tell its details from shades.
_SMOOTHING = 4

#: Added to the variance of details, in squared grey levels, so that noise correlates with nothing.
_NOISE_VARIANCE = 4.0

_Details = NDArray[np.float32]


def details_fit(place: GeometricMatch, query: Image.Image, original: Image.Image) -> bool:
    """Whether details of the query, grey, correlate with those of the original, grey, at its upright place or near it."""
    piece = _details(query.resize(_piece_size(query.size), Image.Resampling.BOX))
    area = place.transform[0] * original.width * place.transform[4] * original.height
    density = math.sqrt(piece.size / max(area, 1.0))
    return any(
        _largest_correlation(place.transform, density / factor, piece, original) >= MIN_DETAIL_CORRELATION
        for factor in _FACTORS
    )


def _piece_size(query: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height, in pixels, that a query of that size is reduced to: in its own proportions.

    Those of its place are wrong by up to an eighth: small thumbnails have few pixels a side.
    """
    proportion = math.sqrt(min(max(query[0] / query[1], 1 / _MAX_ASPECT_RATIO), _MAX_ASPECT_RATIO))
    return max(_MIN_SIDE, round(_SIDE * proportion)), max(_MIN_SIDE, round(_SIDE / proportion))


def _largest_correlation(place: Affine, density: float, piece: _Details, original: Image.Image) -> float:
    """Return the largest correlation of the piece near a place, the original at ``density`` of its pixels a side.

    -1 if the piece has no room.
    """
    height, width = piece.shape
    left, right = _span(place[2], place[0])
    top, bottom = _span(place[5], place[4])
    columns, rows = (
        round(side * density) for side in ((right - left) * original.width, (bottom - top) * original.height)
    )
    if columns < width or rows < height:
        return -1.0
    box = left * original.width, top * original.height, right * original.width, bottom * original.height
    near = _details(original.resize((columns, rows), Image.Resampling.BOX, box))
    windows = sliding_window_view(near, piece.shape).reshape(-1, piece.size)
    noise = _NOISE_VARIANCE * piece.size
    centred = (piece - piece.mean()).ravel()
    sums = windows.sum(axis=1)
    variances = np.maximum(np.einsum("ij,ij->i", windows, windows) - sums * sums / piece.size, 0) + noise
    return float((windows @ centred / np.sqrt(variances * (float(centred @ centred) + noise))).max())


def _span(begin: float, side: float) -> tuple[float, float]:
    """Return the interval, in fractions, where a side may lie."""
    margin = _REACH + _GROWTH * side
    return max(0.0, begin - margin), min(1.0, begin + side + margin)


def _details(grey: Image.Image) -> _Details:
    """Return a picture less its shades, float32 (height, width)."""
    small = max(1, grey.width // _SMOOTHING), max(1, grey.height // _SMOOTHING)
    shades = grey.resize(small, Image.Resampling.BOX).resize(grey.size, Image.Resampling.BICUBIC)
    return np.asarray(grey, np.float32) - np.asarray(shades, np.float32)
