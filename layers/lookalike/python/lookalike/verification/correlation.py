"""Whether two pictures look the same where one is said to lie on the other."""

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

#: Largest coherence (0..1) of a textured block. Above it the block shows one straight edge, and straight edges are alike
#: in all pictures: the outline of a disc correlates with that of any other disc.
MAX_COHERENCE = 0.85

#: Takes the mean of every ``BLOCK_SIDE`` pixels of a column.
_BLOCK_AVERAGE = np.kron(np.eye(THUMBNAIL_SIDE // BLOCK_SIDE), np.full((1, BLOCK_SIDE), 1 / BLOCK_SIDE)).astype(
    np.float32
)

#: The product of both coordinates in every block, counted from its middle; the mean of its square is 1.
_ramp = np.arange(BLOCK_SIDE) - (BLOCK_SIDE - 1) / 2
_SADDLES = np.tile(np.outer(_ramp, _ramp) / np.mean(_ramp**2), (len(_BLOCK_AVERAGE), len(_BLOCK_AVERAGE))).astype(
    np.float32
)

#: Where the pixels' centres are, with ``MAX_SHIFT`` more of them on every side, as a share of a side.
_PIXEL_CENTRES = (np.arange(-MAX_SHIFT, THUMBNAIL_SIDE + MAX_SHIFT, dtype=np.float32) + 0.5) / THUMBNAIL_SIDE

_Image = NDArray[np.float32]


def _area_average(short: int) -> _Image:
    """The matrix that averages a thumbnail's pixels into ``short``, each by its share."""
    edges = np.arange(short + 1) * (THUMBNAIL_SIDE / short)
    pixel = np.arange(THUMBNAIL_SIDE)
    shares = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    averages: _Image = (np.maximum(shares, 0) * (short / THUMBNAIL_SIDE)).astype(np.float32)
    return averages


_PYRAMID_FILTERS = tuple(_area_average(side) for side in (THUMBNAIL_SIDE * 5 // 7, THUMBNAIL_SIDE // 2))


@dataclass(frozen=True, slots=True)
class BlockCorrelation:
    """``blocks`` could be compared; ``correlation`` is their mean correlation, in −1..1 (0 if there are none).

    ``detail_correlation`` is the correlation of what is left when each block loses the means of its rows and of its columns. Lines
    of text, edges of frames and gradients are much the same everywhere; they correlate, and leave no detail.
    ``textured_blocks`` blocks are more than an outline in one of the pictures, and ``textured_correlation`` is their mean correlation: discs
    lie on each other, and what they show inside does not agree. ``residual_correlation`` is the correlation of their details without
    shading: balls are lit alike, and what is on them differs.
    """

    blocks: int
    correlation: float
    detail_correlation: float
    textured_blocks: int = 0
    textured_correlation: float = 0.0
    residual_correlation: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Pyramid:
    """A thumbnail at its own size, at 5/7 and at half of it. ``sqrt_aspect_ratio`` is its local map's."""

    levels: tuple[_Image, ...]
    sqrt_aspect_ratio: float

    @staticmethod
    def of(thumbnail: NDArray[np.uint8], sqrt_aspect_ratio: float) -> Pyramid:
        """The pyramid of a thumbnail."""
        whole: _Image = thumbnail.astype(np.float32)
        smaller: list[_Image] = [np.asarray(average @ whole @ average.T, np.float32) for average in _PYRAMID_FILTERS]
        return Pyramid((whole, *smaller), sqrt_aspect_ratio)

    def level(self, magnification: float) -> _Image:
        """The level whose pixels, ``magnification`` so much, are nearest to a thumbnail's."""
        return min(self.levels, key=lambda level: abs(np.log(len(level) / (THUMBNAIL_SIDE * magnification))))


def correlate_blocks(
    query: Pyramid, picture: _Image, sqrt_aspect_ratio: float, transform: SimilarityTransform
) -> BlockCorrelation:
    """How well the query, moved by ``transform``, looks like the picture's thumbnail, float32 of one pixel a cell.

    Light and contrast may differ from block to block. All blocks totals may be off by ``MAX_SHIFT`` pixels, as the
    transform comes from cells much larger.
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
    """The query as the picture's thumbnail would show it, with ``MAX_SHIFT`` around it, and where there is any of it."""
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
    """What an :class:`BlockCorrelation` says after its blocks' ``correlations``: detail_correlation, textured_blocks, textured_correlation and residual_correlation.

    ``detail`` is of the blocks ``compared``; what tells is looked for among those ``textured_candidates``.
    """
    ours, theirs = _detail(one), _detail(other)
    products = [_block_means(product) for product in (ours * theirs, ours * ours, theirs * theirs)]
    textured_blocks = textured_candidates & (np.minimum(_coherence(one), _coherence(other)) < MAX_COHERENCE)
    count = int(np.count_nonzero(textured_blocks))
    detail_correlation = _normalised([product[compared] for product in products])
    if not count:
        return detail_correlation, 0, 0.0, 0.0
    # What is left of a smooth curve in a block without its rows' and columns' means is the product of both coordinates.
    our, their = _block_means(ours * _SADDLES), _block_means(theirs * _SADDLES)
    curved = (our * their, our * our, their * their)
    residual_correlation = [(product - part)[textured_blocks] for product, part in zip(products, curved, strict=True)]
    return detail_correlation, count, float(correlations[textured_blocks].mean()), _normalised(residual_correlation)


def _normalised(products: Sequence[_Image]) -> float:
    """From the blocks' covariances and both variances."""
    covariance, variance, another = (float(product.mean()) for product in products)
    return covariance / math.sqrt(
        (max(variance, 0) + DETAIL_NOISE_VARIANCE) * (max(another, 0) + DETAIL_NOISE_VARIANCE)
    )


def _coherence(pixels: _Image) -> _Image:
    """How much each block's structure runs in one direction, 0 to 1: the coherence of its structure tensor.

    Bigün and Granlund, "Optimal orientation detection of linear symmetry", 1987.
    """
    down, right = np.gradient(pixels)
    xx, yy, xy = (
        _block_means(np.asarray(product, np.float32)) for product in (right * right, down * down, right * down)
    )
    spread: _Image = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + DETAIL_NOISE_VARIANCE)
    return spread


def _detail(pixels: _Image) -> _Image:
    """Each block without the means of its rows and of its columns."""
    blocks = pixels.reshape(len(_BLOCK_AVERAGE), BLOCK_SIDE, len(_BLOCK_AVERAGE), BLOCK_SIDE)
    blocks = blocks - blocks.mean(axis=1, keepdims=True)
    blocks -= blocks.mean(axis=3, keepdims=True)
    return blocks.reshape(pixels.shape)


def _block_moments(pixels: _Image) -> tuple[_Image, _Image]:
    mean = _block_means(pixels)
    return mean, np.maximum(_block_means(pixels * pixels) - mean * mean, 0)


def _block_means(pixels: _Image) -> _Image:
    """The mean of each block: shape (…, THUMBNAIL_SIDE, THUMBNAIL_SIDE) to (…, blocks, blocks)."""
    means = _BLOCK_AVERAGE @ pixels @ _BLOCK_AVERAGE.T
    return np.asarray(means, np.float32)
