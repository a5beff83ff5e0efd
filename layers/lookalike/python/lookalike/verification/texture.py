"""Texture of two thumbnails that lie on each other: what agrees beyond outlines and shading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.verification.blocks import BLOCK_SIDE, BLOCKS_PER_SIDE, Image, block_means

#: Added to the variance of a block's detail (see :class:`Texture`), in squared grey levels, so that noise in flat blocks
#: correlates with nothing.
DETAIL_NOISE_VARIANCE = 1.0

#: Largest coherence (0..1) of a textured block. Above it the block shows one straight edge, and those are alike in all
#: pictures: the outline of a disc correlates with that of any other disc.
MAX_COHERENCE = 0.85

#: The product of both coordinates, from the centre of each block; the mean of its square is 1.
_ramp = np.arange(BLOCK_SIDE) - (BLOCK_SIDE - 1) / 2
_SADDLES = np.tile(np.outer(_ramp, _ramp) / np.mean(_ramp**2), (BLOCKS_PER_SIDE, BLOCKS_PER_SIDE)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Texture:
    """Correlations beyond outlines and shading, each in −1..1; 0 where there is no such block.

    ``detail_correlation`` is that of the compared blocks without the means of their rows and columns: lines of text,
    borders and gradients are alike in many pictures, they correlate and leave no detail. ``textured_blocks`` show more
    than one straight edge in one of the pictures, and ``textured_correlation`` is the mean of their correlations:
    outlines of two discs agree, what is inside them does not. ``residual_correlation`` is their detail correlation
    without shading: two balls lit alike differ in what is on them.
    """

    detail_correlation: float
    textured_blocks: int
    textured_correlation: float
    residual_correlation: float


def measure_texture(
    ours: Image,
    theirs: Image,
    compared: NDArray[np.bool_],
    varied: NDArray[np.bool_],
    correlations: Image,
) -> list[Texture]:
    """Return the texture of n pairs of thumbnails.

    ``ours`` and ``theirs`` are float32 (n, THUMBNAIL_SIDE, THUMBNAIL_SIDE). Detail is that of the blocks ``compared``;
    textured blocks are chosen among those ``varied``: both are bool (n, BLOCKS_PER_SIDE, BLOCKS_PER_SIDE), as are, in
    float32, the blocks' ``correlations``.
    """
    our_detail, their_detail = detail(ours), detail(theirs)
    products = _covariances(our_detail, their_detail)
    textured = varied & (np.minimum(coherence(ours), coherence(theirs)) < MAX_COHERENCE)
    # Of smooth shading, only the product of both coordinates is left once means of rows and columns are removed.
    our_shading, their_shading = block_means(our_detail * _SADDLES), block_means(their_detail * _SADDLES)
    residuals = products - np.stack([our_shading * their_shading, our_shading**2, their_shading**2])
    statistics = (
        _normalised(_mean_over(compared, products)),
        np.count_nonzero(textured, axis=(1, 2)),
        _mean_over(textured, correlations),
        np.where(textured.any(axis=(1, 2)), _normalised(_mean_over(textured, residuals)), 0),
    )
    return [Texture(*pair) for pair in zip(*(one.tolist() for one in statistics), strict=True)]


def coherence(pixels: Image) -> Image:
    """Return the coherence of each block's structure tensor, 0 to 1: 1 if all its gradients have one direction.

    Bigün and Granlund, "Optimal orientation detection of linear symmetry", 1987.
    """
    down, right = np.gradient(pixels, axis=(-2, -1))
    products = (right * right, down * down, right * down)
    xx, yy, xy = (block_means(np.asarray(product, np.float32)) for product in products)
    spread: Image = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + DETAIL_NOISE_VARIANCE)
    return spread


def _covariances(ours: Image, theirs: Image) -> Image:
    """Return each block's covariance and both variances, float32 (3, n, BLOCKS_PER_SIDE, BLOCKS_PER_SIDE)."""
    return np.stack([block_means(product) for product in (ours * theirs, ours * ours, theirs * theirs)])


def _mean_over(blocks: NDArray[np.bool_], values: Image) -> Image:
    """Return the mean of the values, one a block, over the blocks chosen for each pair; 0 if none is."""
    means: Image = (values * blocks).sum(axis=(-2, -1)) / np.maximum(np.count_nonzero(blocks, axis=(-2, -1)), 1)
    return means


def _normalised(covariances: Image) -> Image:
    """Return the correlations of covariances and both variances, float32 (3, n)."""
    covariance, variance, another = covariances
    correlations: Image = covariance / np.sqrt(
        (np.maximum(variance, 0) + DETAIL_NOISE_VARIANCE) * (np.maximum(another, 0) + DETAIL_NOISE_VARIANCE)
    )
    return correlations


def detail(pixels: Image) -> Image:
    """Return each block without the means of its rows and of its columns, float32 (…, height, width); both sides are
    multiples of BLOCK_SIDE."""
    height, width = pixels.shape[-2:]
    blocks = pixels.reshape(-1, height // BLOCK_SIDE, BLOCK_SIDE, width // BLOCK_SIDE, BLOCK_SIDE)
    blocks = blocks - blocks.mean(axis=2, keepdims=True)
    blocks -= blocks.mean(axis=4, keepdims=True)
    return blocks.reshape(pixels.shape)
