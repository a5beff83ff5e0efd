"""Whether two pictures look the same where one is said to lie on the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lookalike.embedding.feature_map import THUMBNAIL
from lookalike.verification.ransac import Points, Transform

#: Pixels a side of the blocks that are compared, and how far each may be off, in pixels.
BLOCK, SLACK = 8, 2

#: A block is compared if its grey values deviate by more than this, and if so much of it is in the other picture.
LEAST_DEVIATION, _LEAST_SHARE = 4.0, 0.7

#: Added to variances, so that noise in flat places correlates with nothing.
NOISE = 4.0
DETAIL_NOISE = 1.0

#: A block whose structure runs in one direction more than this is an outline, and outlines are much the same
#: everywhere: a disc lies on any other disc.
_OUTLINE = 0.85

#: Takes the mean of every ``BLOCK`` pixels of a column.
_MEANS = np.kron(np.eye(THUMBNAIL // BLOCK), np.full((1, BLOCK), 1 / BLOCK)).astype(np.float32)

#: The product of both coordinates in every block, counted from its middle; the mean of its square is 1.
_ramp = np.arange(BLOCK) - (BLOCK - 1) / 2
_SADDLES = np.tile(np.outer(_ramp, _ramp) / np.mean(_ramp**2), (len(_MEANS), len(_MEANS))).astype(np.float32)

#: Where the pixels' centres are, with ``SLACK`` more of them on every side, as a share of a side.
_CENTRES = (np.arange(-SLACK, THUMBNAIL + SLACK, dtype=np.float32) + 0.5) / THUMBNAIL

_Image = NDArray[np.float32]


def _shrink(short: int) -> _Image:
    """The matrix that averages a thumbnail's pixels into ``short``, each by its share."""
    edges = np.arange(short + 1) * (THUMBNAIL / short)
    pixel = np.arange(THUMBNAIL)
    shares = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    averages: _Image = (np.maximum(shares, 0) * (short / THUMBNAIL)).astype(np.float32)
    return averages


_SHRINKS = tuple(_shrink(side) for side in (THUMBNAIL * 5 // 7, THUMBNAIL // 2))


@dataclass(frozen=True, slots=True)
class Agreement:
    """``blocks`` could be compared; ``correlation`` is their mean correlation, in −1..1 (0 if there are none).

    ``detail`` is the correlation of what is left when each block loses the means of its rows and of its columns. Lines
    of text, edges of frames and gradients are much the same everywhere; they correlate, and leave no detail.
    ``telling`` blocks are more than an outline in one of the pictures, and ``told`` is their mean correlation: discs
    lie on each other, and what they show inside does not agree. ``fine`` is the correlation of their details without
    shading: balls are lit alike, and what is on them differs.
    """

    blocks: int
    correlation: float
    detail: float
    telling: int = 0
    told: float = 0.0
    fine: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Pyramid:
    """A thumbnail at its own size, at 5/7 and at half of it. ``stretch`` is its local map's."""

    levels: tuple[_Image, ...]
    stretch: float

    @staticmethod
    def of(thumbnail: NDArray[np.uint8], stretch: float) -> Pyramid:
        """The pyramid of a thumbnail."""
        whole: _Image = thumbnail.astype(np.float32)
        smaller: list[_Image] = [np.asarray(shrink @ whole @ shrink.T, np.float32) for shrink in _SHRINKS]
        return Pyramid((whole, *smaller), stretch)

    def level(self, magnified: float) -> _Image:
        """The level whose pixels, ``magnified`` so much, are nearest to a thumbnail's."""
        return min(self.levels, key=lambda level: abs(np.log(len(level) / (THUMBNAIL * magnified))))


def agreement(query: Pyramid, picture: _Image, stretch: float, transform: Transform) -> Agreement:
    """How well the query, moved by ``transform``, looks like the picture's thumbnail, float32 of one pixel a cell.

    Light and contrast may differ from block to block. All blocks together may be off by ``SLACK`` pixels, as the
    transform comes from cells much larger.
    """
    moved, shown = _moved(query, stretch, transform)
    inside = _per_block(shown[SLACK:-SLACK, SLACK:-SLACK].astype(np.float32)) >= _LEAST_SHARE
    mean, variance = _moments(picture)
    compared = inside & (variance > LEAST_DEVIATION**2)
    blocks = int(np.count_nonzero(compared))
    if not blocks:
        return Agreement(0, 0.0, 0.0)
    shifted: _Image = sliding_window_view(moved, (THUMBNAIL, THUMBNAIL)).reshape(-1, THUMBNAIL, THUMBNAIL)
    means, variances = _moments(shifted)
    covariances = _per_block(shifted * picture) - means * mean
    correlations = covariances / np.sqrt((variances + NOISE) * (variance + NOISE))
    together = np.sum(correlations * compared, axis=(1, 2))
    best = int(np.argmax(together))
    seen = inside & ((variance > LEAST_DEVIATION**2) | (variances[best] > LEAST_DEVIATION**2))
    return Agreement(
        blocks,
        float(together[best]) / blocks,
        *told_by(shifted[best], picture, compared, seen, correlations[best]),
    )


def _moved(query: Pyramid, stretch: float, transform: Transform) -> tuple[_Image, NDArray[np.bool_]]:
    """The query as the picture's thumbnail would show it, with ``SLACK`` around it, and where there is any of it."""
    grid = (_CENTRES * stretch)[None, :] + 1j * (_CENTRES / stretch)[:, None]
    points: Points = transform.inverse(grid.astype(np.complex64))
    level = query.level(abs(transform.scale))
    side = len(level)
    x, y = points.real / query.stretch * side - 0.5, points.imag * query.stretch * side - 0.5
    shown = (x >= -0.5) & (y >= -0.5) & (x <= side - 0.5) & (y <= side - 0.5)
    left, top = (np.clip(of, 0, side - 2).astype(np.intp) for of in (x, y))
    right, down = np.clip(x - left, 0, 1), np.clip(y - top, 0, 1)
    pixels, at = level.ravel(), top * side + left
    above = pixels[at] * (1 - right) + pixels[at + 1] * right
    below = pixels[at + side] * (1 - right) + pixels[at + side + 1] * right
    moved: _Image = above * (1 - down) + below * down
    return moved, shown


def told_by(
    one: _Image, other: _Image, compared: NDArray[np.bool_], seen: NDArray[np.bool_], correlations: _Image
) -> tuple[float, int, float, float]:
    """What an :class:`Agreement` says after its blocks' ``correlations``: detail, telling, told and fine.

    ``detail`` is of the blocks ``compared``; what tells is looked for among those ``seen``.
    """
    ours, theirs = _details(one), _details(other)
    products = [_per_block(product) for product in (ours * theirs, ours * ours, theirs * theirs)]
    telling = seen & (np.minimum(_directedness(one), _directedness(other)) < _OUTLINE)
    count = int(np.count_nonzero(telling))
    detail = _correlation([product[compared] for product in products])
    if not count:
        return detail, 0, 0.0, 0.0
    # What is left of a smooth curve in a block without its rows' and columns' means is the product of both coordinates.
    our, their = _per_block(ours * _SADDLES), _per_block(theirs * _SADDLES)
    curved = (our * their, our * our, their * their)
    fine = [(product - part)[telling] for product, part in zip(products, curved, strict=True)]
    return detail, count, float(correlations[telling].mean()), _correlation(fine)


def _correlation(products: Sequence[_Image]) -> float:
    """From the blocks' covariances and both variances."""
    covariance, variance, another = (float(product.mean()) for product in products)
    return covariance / math.sqrt((max(variance, 0) + DETAIL_NOISE) * (max(another, 0) + DETAIL_NOISE))


def _directedness(pixels: _Image) -> _Image:
    """How much each block's structure runs in one direction, 0 to 1: the coherence of its structure tensor.

    Bigün and Granlund, "Optimal orientation detection of linear symmetry", 1987.
    """
    down, right = np.gradient(pixels)
    xx, yy, xy = (_per_block(np.asarray(product, np.float32)) for product in (right * right, down * down, right * down))
    spread: _Image = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + DETAIL_NOISE)
    return spread


def _details(pixels: _Image) -> _Image:
    """Each block without the means of its rows and of its columns."""
    blocks = pixels.reshape(len(_MEANS), BLOCK, len(_MEANS), BLOCK)
    blocks = blocks - blocks.mean(axis=1, keepdims=True)
    blocks -= blocks.mean(axis=3, keepdims=True)
    return blocks.reshape(pixels.shape)


def _moments(pixels: _Image) -> tuple[_Image, _Image]:
    mean = _per_block(pixels)
    return mean, np.maximum(_per_block(pixels * pixels) - mean * mean, 0)


def _per_block(pixels: _Image) -> _Image:
    """The mean of each block: shape (…, THUMBNAIL, THUMBNAIL) to (…, blocks, blocks)."""
    means = _MEANS @ pixels @ _MEANS.T
    return np.asarray(means, np.float32)
