"""Placement: where within a candidate a query lies that is an upright piece of it, by template matching of thumbnails.

Pages of one layout look alike to the network, cell by cell, so that neither the nearest one nor its cells tell which of
them a query was cut from. The query's thumbnail, moved over the candidates' at every scale, does: of 200 crops it
correlates best with the right one of 25 in 185. It proves nothing, for some place always fits: the originals must agree.

Lewis, "Fast normalized cross-correlation", 1995: products by Fourier transforms, sums by running totals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import WHOLE, Affine, GeometricMatch
from lookalike.embedding.feature_map import THUMBNAIL_SIDE, FeatureMap
from lookalike.verification.affine import compose
from lookalike.verification.matching import ViewFeatures

#: Shares of the candidate's sides that a query is tried at, geometric means of both sides.
SCALES = tuple(float(scale) for scale in np.geomspace(0.97, 0.5, 12))

#: Thumbnail pixels: smallest side of a piece.
_MIN_SIDE = 12

#: Smallest correlation of a place that is looked at closer: of nearly blank pages' crops it is 0.36 at least.
MIN_CORRELATION = 0.3

#: Largest correlation that the right one is behind the best: of four crops in five hundred it is more.
MAX_BEHIND = 0.05

#: Places of a query that are looked at closer at most: the right one is among them.
MAX_PLACED = 3

#: Added to the variance of a piece, in squared grey levels, so that noise correlates with nothing.
_NOISE_VARIANCE = 4.0

_Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Placement:
    """The best place of a query on a candidate, whose ``correlation`` there, in −1..1, is largest.

    ``transform`` moves fractions of the query to fractions of the candidate.
    """

    correlation: float
    transform: Affine


def place(views: Sequence[ViewFeatures], candidates: Sequence[FeatureMap]) -> dict[int, GeometricMatch]:
    """Return where the query may lie on the candidates of these numbers, the likeliest first.

    Only views that show a picture from edge to edge are placed. The probabilities are 0: a place proves nothing.
    """
    placements = [best_places(view, candidates) for view in views if view.full]
    best = [max(places, key=_correlation) for places in zip(*placements, strict=True)]
    found = ((number, one) for number in likeliest(best) if (one := best[number]) is not None)
    return {number: GeometricMatch(0.0, 0, one.correlation, one.transform, WHOLE) for number, one in found}


def best_places(view: ViewFeatures, candidates: Sequence[FeatureMap]) -> list[Placement | None]:
    """Return the best place of a view of the query on each candidate; None if it has too different proportions to be a piece."""
    if not candidates:
        return []
    pictures = _Pictures(np.stack([one.thumbnail for one in candidates]).astype(np.float32))
    best: list[Placement | None] = [None] * len(candidates)
    for size, numbers in _sizes(view, candidates).items():
        correlations = pictures.correlate(_resized(view.thumbnail, size), numbers)
        flat = correlations.reshape(len(numbers), -1)
        for number, at, correlation in zip(
            numbers, flat.argmax(axis=1).tolist(), flat.max(axis=1).tolist(), strict=True
        ):
            top, left = divmod(at, correlations.shape[2])
            known = best[number]
            if known is None or correlation > known.correlation:
                best[number] = Placement(correlation, compose(view.to_view, _transform(size, left, top)))
    return best


def likeliest(placements: Sequence[Placement | None]) -> list[int]:
    """Return the numbers of the placements that are worth comparing originals for, the best first."""
    found = sorted((-one.correlation, number) for number, one in enumerate(placements) if one is not None)
    least = max(MIN_CORRELATION, -found[0][0] - MAX_BEHIND) if found else MIN_CORRELATION
    return [number for correlation, number in found if -correlation >= least][:MAX_PLACED]


def _correlation(placement: Placement | None) -> float:
    return -1.0 if placement is None else placement.correlation


def _sizes(view: ViewFeatures, candidates: Sequence[FeatureMap]) -> dict[tuple[int, int], list[int]]:
    """Return the sizes, width and height, that the view's thumbnail may have on candidates, and these' numbers."""
    sizes: dict[tuple[int, int], list[int]] = {}
    for number, candidate in enumerate(candidates):
        widening = view.sqrt_aspect_ratio / candidate.sqrt_aspect_ratio
        for scale in SCALES:
            width, height = round(THUMBNAIL_SIDE * scale * widening), round(THUMBNAIL_SIDE * scale / widening)
            if min(width, height) >= _MIN_SIDE and max(width, height) <= THUMBNAIL_SIDE:
                sizes.setdefault((width, height), []).append(number)
    return sizes


def _resized(thumbnail: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(thumbnail).resize(size, Image.Resampling.LANCZOS), np.float32)


def _transform(size: tuple[int, int], left: int, top: int) -> Affine:
    width, height = size
    return width / THUMBNAIL_SIDE, 0.0, left / THUMBNAIL_SIDE, 0.0, height / THUMBNAIL_SIDE, top / THUMBNAIL_SIDE


class _Pictures:
    """Thumbnails, float32 (n, THUMBNAIL_SIDE, THUMBNAIL_SIDE), that pieces are correlated with."""

    def __init__(self, thumbnails: NDArray[np.float32]) -> None:
        centred = thumbnails - thumbnails.mean(axis=(1, 2), keepdims=True)
        self._spectra = np.fft.rfft2(centred)
        self._sums, self._squares = (running_totals(values) for values in (centred, centred * centred))

    def correlate(self, piece: NDArray[np.float32], numbers: Sequence[int]) -> _Floats:
        """Return the correlations of a piece with some thumbnails, at every place where it lies within: (n, rows, columns)."""
        piece = piece - piece.mean()
        height, width = piece.shape
        padded = np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.float32)
        padded[:height, :width] = piece
        spectra = self._spectra[numbers] * np.conj(np.fft.rfft2(padded))
        # Where the piece lies within, nothing wraps around.
        within = np.s_[:, : THUMBNAIL_SIDE - height + 1, : THUMBNAIL_SIDE - width + 1]
        products = np.fft.irfft2(spectra, padded.shape)[within]
        sums, squares = (window_sums(totals[numbers], height, width) for totals in (self._sums, self._squares))
        variances = np.maximum(squares - sums * sums / piece.size, 0) + _NOISE_VARIANCE * piece.size
        deviations = np.sqrt(variances * (np.square(piece).sum() + _NOISE_VARIANCE * piece.size))
        return np.asarray(products / deviations)


def running_totals(values: NDArray[np.float32]) -> _Floats:
    """Return the sums of everything above and to the left of each corner of a pixel, float64 (n, rows + 1, columns + 1)."""
    return np.pad(values.astype(np.float64), ((0, 0), (1, 0), (1, 0))).cumsum(axis=1).cumsum(axis=2)


def window_sums(totals: _Floats, height: int, width: int) -> _Floats:
    """Return the sums over all windows of that size."""
    down = totals[:, height:] - totals[:, :-height]
    return np.asarray(down[:, :, width:] - down[:, :, :-width])
