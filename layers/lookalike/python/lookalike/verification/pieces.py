"""Pieces: which picture a query is a small upright piece of, and where, by template matching of small thumbnails.

A tenth of a picture is to the network like many others: its picture is among the nearest, but seldom the nearest, and too
small a part of it to match cells. Moved over small thumbnails of these, it correlates best with the right one, and much
better than with the next: of 85 crops to a tenth and a fifth whose pictures are among the 25 nearest it does so for 82,
in 74 with a margin that one in 50 strangers has. It proves nothing: the originals must agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import WHOLE, Affine, GeometricMatch
from lookalike.embedding.feature_map import FeatureMap
from lookalike.verification.affine import compose
from lookalike.verification.matching import ViewFeatures
from lookalike.verification.placement import running_totals, window_sums

#: Shares of the candidate's sides that a query is tried at, geometric means of both sides: larger ones have cells to match.
_SCALES = tuple(float(scale) for scale in np.geomspace(0.56, 0.26, 7))

#: Pixels: side of the square that has as many pixels as a candidate's small thumbnail. At 24 and 32 as many are found.
_SIDE = 28

#: Pixels: longest side of a small thumbnail.
_MAX_SIDE = 40

#: Pixels: smallest side of a piece.
_MIN_SIDE = 5

#: Smallest correlation of a piece: crops have 0.64 and more.
MIN_PIECE_CORRELATION = 0.5

#: Smallest difference of the best candidate's correlation and the next one's, as Fisher's z: of 104 strangers 2
#: have more, of 85 crops 74. Comparing an original costs the time of several passes.
MIN_PIECE_MARGIN = 0.2

#: Largest correlation, so that its z is finite.
_MAX_CORRELATION = 0.9999

#: Added to the variance of a piece, in squared grey levels, so that noise correlates with nothing.
_NOISE_VARIANCE = 4.0

_Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """The best place of a view on each of n candidates: ``correlations``, float64 (n,), and ``transforms`` from fractions of
    the view to fractions of the candidate."""

    correlations: NDArray[np.float64]
    transforms: Sequence[Affine]


def find_piece(views: Sequence[ViewFeatures], candidates: Sequence[FeatureMap]) -> dict[int, GeometricMatch]:
    """Return where the query, as a whole and upright, is a small piece of one of the candidates, by its number.

    Nothing if none stands out from the others. The probability is 0: a place proves nothing.
    """
    if not candidates:
        return {}
    pictures = _Pictures([_small(one) for one in candidates])
    for view in (one for one in views if one.full):
        places = _best_places(view, pictures)
        best, *others = np.argsort(-places.correlations, kind="stable").tolist()
        correlation = float(places.correlations[best])
        following = float(places.correlations[others[0]]) if others else 0.0
        if correlation >= MIN_PIECE_CORRELATION and _z(correlation) - _z(following) >= MIN_PIECE_MARGIN:
            transform = compose(view.to_view, places.transforms[best])
            return {best: GeometricMatch(0.0, 0, correlation, transform, WHOLE)}
    return {}


def _best_places(view: ViewFeatures, pictures: _Pictures) -> _Places:
    count = len(pictures.sizes)
    best, transforms = np.full(count, -1.0), [(1.0, 0.0, 0.0, 0.0, 1.0, 0.0)] * count
    for scale in _SCALES:
        width, height = _size(_SIDE * scale, view.sqrt_aspect_ratio)
        if min(width, height) < _MIN_SIDE or max(width, height) > _MAX_SIDE:
            continue
        piece = Image.fromarray(view.thumbnail).resize((width, height), Image.Resampling.BOX)
        correlations = pictures.correlate(np.asarray(piece, np.float32))
        flat = correlations.reshape(count, -1)
        at = flat.argmax(axis=1)
        largest = flat[np.arange(count), at]
        for number in np.flatnonzero(largest > best).tolist():
            top, left = divmod(int(at[number]), correlations.shape[2])
            down, across = pictures.sizes[number].tolist()
            transforms[number] = (width / across, 0.0, left / across, 0.0, height / down, top / down)
        best = np.maximum(best, largest)
    return _Places(best, transforms)


def _small(candidate: FeatureMap) -> NDArray[np.float32]:
    """Return a candidate's thumbnail in its own proportions, less its mean, float32 (height, width)."""
    size = _size(_SIDE, candidate.sqrt_aspect_ratio)
    resized = Image.fromarray(candidate.thumbnail).resize(size, Image.Resampling.BOX)
    small = np.asarray(resized, np.float32)
    return small - small.mean()


def _size(side: float, sqrt_aspect_ratio: float) -> tuple[int, int]:
    """Return width and height, in pixels, of a picture as large as a square of that side; wide ones are cut to _MAX_SIDE."""
    return min(_MAX_SIDE, round(side * sqrt_aspect_ratio)), min(_MAX_SIDE, round(side / sqrt_aspect_ratio))


def _z(correlation: float) -> float:
    """Return Fisher's z of a correlation."""
    return math.atanh(min(max(correlation, 0.0), _MAX_CORRELATION))


class _Pictures:
    """Small thumbnails, float32 (height, width) each, that pieces are correlated with; ``sizes``, intp (n, 2)."""

    def __init__(self, pictures: Sequence[NDArray[np.float32]]) -> None:
        self.sizes = np.array([one.shape for one in pictures])
        padded = np.zeros((len(pictures), _MAX_SIDE, _MAX_SIDE), np.float32)
        for number, one in enumerate(pictures):
            padded[number, : one.shape[0], : one.shape[1]] = one
        self._spectra = np.fft.rfft2(padded)
        self._totals = running_totals(np.concatenate([padded, padded * padded]))

    def correlate(self, piece: NDArray[np.float32]) -> _Floats:
        """Return the correlations of a piece with the pictures at every place, (n, rows, columns); -1 where it reaches beyond."""
        height, width = piece.shape
        padded = np.zeros((_MAX_SIDE, _MAX_SIDE), np.float32)
        padded[:height, :width] = piece - piece.mean()
        products = np.fft.irfft2(self._spectra * np.conj(np.fft.rfft2(padded)), padded.shape)
        rows, columns = _MAX_SIDE - height + 1, _MAX_SIDE - width + 1
        sums, squares = window_sums(self._totals, height, width).astype(np.float32).reshape(2, -1, rows, columns)
        noise = np.float32(_NOISE_VARIANCE * piece.size)
        sums *= sums
        sums /= np.float32(piece.size)
        variances = np.maximum(squares - sums, 0, out=squares)
        variances += noise
        variances *= np.square(padded).sum() + noise
        correlations: _Floats = products[:, :rows, :columns] / np.sqrt(variances, out=variances)
        room = self.sizes - (height, width)
        for picture, (down, across) in zip(correlations, room.tolist(), strict=True):
            picture[max(0, down + 1) :] = -1.0
            picture[:, max(0, across + 1) :] = -1.0
        return correlations
