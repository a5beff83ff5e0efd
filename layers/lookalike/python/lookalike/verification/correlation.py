"""Block-wise normalised cross-correlation of two thumbnails, one warped onto the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lookalike.embedding.feature_map import THUMBNAIL_SIDE
from lookalike.verification.ransac import Points, SimilarityTransform

#: Thumbnail pixels a side of a block.
BLOCK_SIDE = 8

#: Largest shift of all blocks together, in thumbnail pixels: the transform comes from cells of four pixels a side.
MAX_SHIFT = 2

#: Smallest standard deviation, in grey levels, of a block that is compared.
MIN_DEVIATION = 4.0

#: Smallest share of a block's area that the other picture must cover.
_MIN_OVERLAP = 0.7

#: Added to the variance of a block, in squared grey levels, so that noise in flat blocks correlates with nothing.
NOISE_VARIANCE = 4.0

#: The same for a block's detail (see :class:`BlockCorrelation`).
DETAIL_NOISE_VARIANCE = 1.0

#: Largest coherence (0..1) of a textured block. Above it the block shows one straight edge, and those are alike in all
#: pictures: the outline of a disc correlates with that of any other disc.
MAX_COHERENCE = 0.85

#: Averages every ``BLOCK_SIDE`` pixels of a column: float32 (blocks a side, THUMBNAIL_SIDE).
_BLOCK_AVERAGE = np.kron(np.eye(THUMBNAIL_SIDE // BLOCK_SIDE), np.full((1, BLOCK_SIDE), 1 / BLOCK_SIDE)).astype(
    np.float32
)

#: The product of both coordinates, from the centre of each block; the mean of its square is 1.
_ramp = np.arange(BLOCK_SIDE) - (BLOCK_SIDE - 1) / 2
_SADDLES = np.tile(np.outer(_ramp, _ramp) / np.mean(_ramp**2), (len(_BLOCK_AVERAGE), len(_BLOCK_AVERAGE))).astype(
    np.float32
)

#: Centres of the pixels, and of ``MAX_SHIFT`` more on every side, as shares of a side.
_PIXEL_CENTRES = (np.arange(-MAX_SHIFT, THUMBNAIL_SIDE + MAX_SHIFT, dtype=np.float32) + 0.5) / THUMBNAIL_SIDE

_Image = NDArray[np.float32]


def _area_average(short: int) -> _Image:
    """Return the matrix, float32 (short, THUMBNAIL_SIDE), that averages a thumbnail's pixels by area."""
    edges = np.arange(short + 1) * (THUMBNAIL_SIDE / short)
    pixel = np.arange(THUMBNAIL_SIDE)
    shares = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    averages: _Image = (np.maximum(shares, 0) * (short / THUMBNAIL_SIDE)).astype(np.float32)
    return averages


_PYRAMID_FILTERS = tuple(_area_average(side) for side in (THUMBNAIL_SIDE * 5 // 7, THUMBNAIL_SIDE // 2))


@dataclass(frozen=True, slots=True)
class BlockCorrelation:
    """Correlations of the blocks of two thumbnails, each in −1..1; 0 if no block was compared.

    ``blocks`` were compared; ``correlation`` is the mean of their correlations. ``detail_correlation`` is that of the
    blocks without the means of their rows and columns: lines of text, borders and gradients are alike in many pictures,
    they correlate and leave no detail. ``textured_blocks`` show more than one straight edge in one of the pictures, and
    ``textured_correlation`` is the mean of their correlations: outlines of two discs agree, what is inside them does
    not. ``residual_correlation`` is their detail correlation without shading: two balls lit alike differ in what is on
    them.
    """

    blocks: int
    correlation: float
    detail_correlation: float
    textured_blocks: int = 0
    textured_correlation: float = 0.0
    residual_correlation: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Pyramid:
    """A thumbnail at full size, at 5/7 and at half of it, float32. ``sqrt_aspect_ratio`` is its feature map's."""

    levels: tuple[_Image, ...]
    sqrt_aspect_ratio: float

    @staticmethod
    def of(thumbnail: NDArray[np.uint8], sqrt_aspect_ratio: float) -> Pyramid:
        """Return the pyramid of a thumbnail, uint8 (THUMBNAIL_SIDE, THUMBNAIL_SIDE)."""
        whole: _Image = thumbnail.astype(np.float32)
        smaller: list[_Image] = [np.asarray(average @ whole @ average.T, np.float32) for average in _PYRAMID_FILTERS]
        return Pyramid((whole, *smaller), sqrt_aspect_ratio)

    def level(self, magnification: float) -> _Image:
        """Return the level whose pixels, scaled by ``magnification``, are closest in size to a thumbnail's."""
        return min(self.levels, key=lambda level: abs(np.log(len(level) / (THUMBNAIL_SIDE * magnification))))


def correlate_blocks(
    query: Pyramid, picture: _Image, sqrt_aspect_ratio: float, transform: SimilarityTransform
) -> BlockCorrelation:
    """Warp the query by ``transform`` and correlate it, block by block, with the candidate's thumbnail.

    ``picture`` is float32 (THUMBNAIL_SIDE, THUMBNAIL_SIDE), ``sqrt_aspect_ratio`` its feature map's. Brightness and
    contrast may differ from block to block. All blocks together may be shifted by up to MAX_SHIFT pixels, since the
    transform comes from much larger cells.
    """
    warped, covered = _warped(query, sqrt_aspect_ratio, transform)
    inside = _block_means(covered[MAX_SHIFT:-MAX_SHIFT, MAX_SHIFT:-MAX_SHIFT].astype(np.float32)) >= _MIN_OVERLAP
    mean, variance = _block_moments(picture)
    compared = inside & (variance > MIN_DEVIATION**2)
    blocks = int(np.count_nonzero(compared))
    if not blocks:
        return BlockCorrelation(0, 0.0, 0.0)
    shifted: _Image = sliding_window_view(warped, (THUMBNAIL_SIDE, THUMBNAIL_SIDE)).reshape(
        -1, THUMBNAIL_SIDE, THUMBNAIL_SIDE
    )
    means, variances = _block_moments(shifted)
    covariances = _block_means(shifted * picture) - means * mean
    correlations = covariances / np.sqrt((variances + NOISE_VARIANCE) * (variance + NOISE_VARIANCE))
    totals = np.sum(correlations * compared, axis=(1, 2))
    best = int(np.argmax(totals))
    textured_candidates = inside & ((variance > MIN_DEVIATION**2) | (variances[best] > MIN_DEVIATION**2))
    return BlockCorrelation(
        blocks,
        float(totals[best]) / blocks,
        *texture_statistics(shifted[best], picture, compared, textured_candidates, correlations[best]),
    )


def _warped(
    query: Pyramid, sqrt_aspect_ratio: float, transform: SimilarityTransform
) -> tuple[_Image, NDArray[np.bool_]]:
    """Return the query as the candidate's thumbnail would show it, and where the query covers it.

    Both have MAX_SHIFT more pixels on every side.
    """
    grid = (_PIXEL_CENTRES * sqrt_aspect_ratio)[None, :] + 1j * (_PIXEL_CENTRES / sqrt_aspect_ratio)[:, None]
    points: Points = transform.apply_inverse(grid.astype(np.complex64))
    level = query.level(abs(transform.scale))
    side = len(level)
    x, y = points.real / query.sqrt_aspect_ratio * side - 0.5, points.imag * query.sqrt_aspect_ratio * side - 0.5
    covered = (x >= -0.5) & (y >= -0.5) & (x <= side - 0.5) & (y <= side - 0.5)
    left, top = (np.clip(of, 0, side - 2).astype(np.intp) for of in (x, y))
    right, down = np.clip(x - left, 0, 1), np.clip(y - top, 0, 1)
    pixels, at = level.ravel(), top * side + left
    above = pixels[at] * (1 - right) + pixels[at + 1] * right
    below = pixels[at + side] * (1 - right) + pixels[at + side + 1] * right
    warped: _Image = above * (1 - down) + below * down
    return warped, covered


def texture_statistics(
    one: _Image,
    other: _Image,
    compared: NDArray[np.bool_],
    textured_candidates: NDArray[np.bool_],
    correlations: _Image,
) -> tuple[float, int, float, float]:
    """Return detail correlation, number and mean correlation of textured blocks, and residual correlation.

    ``one`` and ``other`` are float32 (THUMBNAIL_SIDE, THUMBNAIL_SIDE). Detail is that of the blocks ``compared``;
    textured blocks are chosen among ``textured_candidates``, both bool of one value a block, as are ``correlations``.
    """
    ours, theirs = _detail(one), _detail(other)
    products = [_block_means(product) for product in (ours * theirs, ours * ours, theirs * theirs)]
    textured_blocks = textured_candidates & (np.minimum(_coherence(one), _coherence(other)) < MAX_COHERENCE)
    count = int(np.count_nonzero(textured_blocks))
    detail_correlation = _normalised([product[compared] for product in products])
    if not count:
        return detail_correlation, 0, 0.0, 0.0
    # Of smooth shading, only the product of both coordinates is left once means of rows and columns are removed.
    our, their = _block_means(ours * _SADDLES), _block_means(theirs * _SADDLES)
    curved = (our * their, our * our, their * their)
    residual_correlation = [(product - part)[textured_blocks] for product, part in zip(products, curved, strict=True)]
    return detail_correlation, count, float(correlations[textured_blocks].mean()), _normalised(residual_correlation)


def _normalised(products: Sequence[_Image]) -> float:
    """Return the correlation of given covariances and both variances, one value a block."""
    covariance, variance, another = (float(product.mean()) for product in products)
    return covariance / math.sqrt(
        (max(variance, 0) + DETAIL_NOISE_VARIANCE) * (max(another, 0) + DETAIL_NOISE_VARIANCE)
    )


def _coherence(pixels: _Image) -> _Image:
    """Return the coherence of each block's structure tensor, 0 to 1: 1 if all its gradients have one direction.

    Bigün and Granlund, "Optimal orientation detection of linear symmetry", 1987.
    """
    down, right = np.gradient(pixels)
    xx, yy, xy = (
        _block_means(np.asarray(product, np.float32)) for product in (right * right, down * down, right * down)
    )
    spread: _Image = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + DETAIL_NOISE_VARIANCE)
    return spread


def _detail(pixels: _Image) -> _Image:
    """Return each block without the means of its rows and of its columns."""
    blocks = pixels.reshape(len(_BLOCK_AVERAGE), BLOCK_SIDE, len(_BLOCK_AVERAGE), BLOCK_SIDE)
    blocks = blocks - blocks.mean(axis=1, keepdims=True)
    blocks -= blocks.mean(axis=3, keepdims=True)
    return blocks.reshape(pixels.shape)


def _block_moments(pixels: _Image) -> tuple[_Image, _Image]:
    """Return mean and variance of each block."""
    mean = _block_means(pixels)
    return mean, np.maximum(_block_means(pixels * pixels) - mean * mean, 0)


def _block_means(pixels: _Image) -> _Image:
    """Return the mean of each block: (…, THUMBNAIL_SIDE, THUMBNAIL_SIDE) to (…, blocks, blocks), float32."""
    means = _BLOCK_AVERAGE @ pixels @ _BLOCK_AVERAGE.T
    return np.asarray(means, np.float32)
