"""Residual: what is left of a query once the original explains it, and whether it lies in one place.

Block by block, a map of brightness and contrast, a shift by parts of a pixel and a blur are fitted to two pictures that
lie on each other, by least squares: the gradient and the Laplacian stand for shift and blur to first order (Lucas and
Kanade, "An iterative image registration technique", 1981). What compression, resampling or a camera leave lies on all
edges alike. Another letter leaves its own strokes, in one place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.verification.block_search import BlockMatches, block_sums
from lookalike.verification.overlay import Overlay

#: Pixels a side of the windows that are fitted; they overlap by half.
_WINDOW = 32

#: Pixels a side of the cells that the residual is summed in; they overlap by half.
RESIDUAL_CELL_SIDE = 8

#: Units of the features that are fitted, in grey levels: of the original, of its gradient and of its Laplacian.
_GREY_UNIT = 64.0
_EDGE_UNIT = 16.0

#: Ridge of the fit, in squared units per pixel: of the offset, the contrast, both shifts and the blur.
_RIDGE = (1e-6, 1e-4, 1e-3, 1e-3, 1e-3)

#: Smallest variance (exclusive), in squared grey levels, of a cell with structure.
_MIN_VARIANCE = 25.0

#: Smallest number of cells with structure that are judged.
_MIN_CELLS = 4

#: Smallest share (exclusive) of a cell that the query must cover.
_MIN_COVERAGE = 0.98

#: What a copy's cell may leave beyond the common share of its variance: squared grey levels, and a share of the variance of
#: the cells with most structure, the quantile after it.
_NOISE_VARIANCE = 100.0
_STRUCTURE_SHARE = 0.04
_STRUCTURE_QUANTILE = 0.9

#: Cells that the concentration is a mean of: the first ones.
_FIRST = 2

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """``ratios``, float32 (rows, columns): what is left in each cell, as a multiple of what a copy leaves there.

    0 where the query does not cover a cell, or where there is no structure.
    """

    ratios: _Floats

    @property
    def concentration(self) -> float:
        """The mean of the largest ratios; 0 if there are too few cells."""
        ratios = self.ratios.ravel()
        if np.count_nonzero(ratios) < _MIN_CELLS:
            return 0.0
        return float(np.partition(ratios, -_FIRST)[-_FIRST:].mean())


def may_concentrate(blocks: BlockMatches) -> bool:
    """Whether a block of two pictures differs by more than a copy's may: where none does, no fit need be made."""
    compared = blocks.coverage > _MIN_COVERAGE
    if not compared.any():
        return False
    variance = np.square(np.maximum(blocks.deviation, blocks.other_deviation))[compared]
    left = (1 - np.square(np.clip(blocks.correlation[compared], 0, 1))) * variance
    return bool(left.max() > _STRUCTURE_SHARE * np.quantile(variance, _STRUCTURE_QUANTILE) + _NOISE_VARIANCE)


def find_residual(overlay: Overlay) -> Residual:
    """Return what the original does not explain of the query, given an overlay in grey, both equally sharp."""
    left = _block_means(np.square(_unexplained(overlay)))
    variance = np.maximum(_variances(overlay.original), _variances(overlay.query))
    judged = (_block_means(overlay.covered.astype(np.float32)) > _MIN_COVERAGE) & (variance > _MIN_VARIANCE)
    if np.count_nonzero(judged) < _MIN_CELLS:
        return Residual(np.zeros_like(left))
    share = np.median(left[judged] / variance[judged])
    structure = np.quantile(variance[judged], _STRUCTURE_QUANTILE)
    expected = share * variance + _STRUCTURE_SHARE * structure + _NOISE_VARIANCE
    return Residual(np.where(judged, left / expected, 0).astype(np.float32))


def _unexplained(overlay: Overlay) -> _Floats:
    """Return the query less what the original explains of it, float32 (height, width); 0 where the query covers nothing."""
    inputs = _inputs(overlay)
    numbers = _fit(inputs)
    down, across = (_interpolation(*sides) for sides in zip(inputs.shape[1:], numbers.shape[:2], strict=True))
    left = inputs[-1]
    for number, one in enumerate(inputs[:-1]):
        left -= one * (down @ numbers[..., number] @ across.T)
    return np.asarray(left[: overlay.height, : overlay.width])


def _inputs(overlay: Overlay) -> _Floats:
    """Return what the difference of both pictures may depend on, and last that difference, float32 (6, height, width).

    Sides are whole numbers of half windows; beyond the pictures, and where the query covers nothing, all is 0.
    """
    original, half = overlay.original, _WINDOW // 2
    sides = (-(-side // half) * half for side in original.shape)
    padded = np.zeros((len(_RIDGE) + 1, *sides), np.float32)
    inputs = padded[:, : overlay.height, : overlay.width]
    inputs[0] = 1
    inputs[1] = (original - original.mean()) / np.float32(_GREY_UNIT)
    left, right, above, below = original[:, :-2], original[:, 2:], original[:-2], original[2:]
    inputs[2, :, 1:-1] = (right - left) / np.float32(2 * _EDGE_UNIT)
    inputs[3, 1:-1] = (below - above) / np.float32(2 * _EDGE_UNIT)
    beside = left[1:-1] + right[1:-1] + above[:, 1:-1] + below[:, 1:-1]
    inputs[4, 1:-1, 1:-1] = (beside - 4 * original[1:-1, 1:-1]) / np.float32(_EDGE_UNIT)
    inputs[5] = overlay.query - original
    if not overlay.covered.all():
        inputs *= overlay.covered
    return padded


def _fit(inputs: _Floats) -> _Floats:
    """Return the numbers, float32 (rows, columns, 5), by which inputs, the last one the target, are explained best."""
    count, height, width = inputs.shape
    half = _WINDOW // 2
    cells = inputs.reshape(count, height // half, half, width // half, half).transpose(1, 3, 0, 2, 4)
    cells = cells.reshape(*cells.shape[:3], half * half)
    products = cells @ cells.swapaxes(2, 3)
    pairs = products[:-1] + products[1:]
    moments = (pairs[:, :-1] + pairs[:, 1:]).astype(np.float64) / _WINDOW**2
    normal = moments[..., :-1, :-1] + np.diag(_RIDGE)
    return np.asarray(np.linalg.solve(normal, moments[..., :-1, -1:])[..., 0], np.float32)


def _interpolation(length: int, count: int) -> _Floats:
    """Return the weights of the windows' numbers at each pixel, float32 (length, count): linear between their centres."""
    half = _WINDOW // 2
    centres = half * np.arange(1, count + 1)
    places = np.clip(np.arange(length) + 0.5, centres[0], centres[-1])
    return np.asarray(np.maximum(0, 1 - np.abs(places[:, None] - centres) / half), np.float32)


def _variances(image: _Floats) -> _Floats:
    centred = image - image.mean()
    return np.asarray(_block_means(centred * centred) - np.square(_block_means(centred)))


def _block_means(image: _Floats) -> _Floats:
    return block_sums(image, RESIDUAL_CELL_SIDE) / np.float32(RESIDUAL_CELL_SIDE**2)
