"""Correlation of a query with an original, once an exact transform is known: the judge of matches by keypoints.

Keypoints of strangers agree by chance, and those of letters agree rightly, on other words. So both pictures are laid on
each other, pixel by pixel, and correlated block by block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.geometry import Affine, Box
from lookalike.verification.affine import invert
from lookalike.verification.blocks import BLOCK_SIDE, MIN_DEVIATION, NOISE_VARIANCE
from lookalike.verification.texture import DETAIL_NOISE_VARIANCE, MAX_COHERENCE, detail

#: Pixels: side of the square that has as many pixels as the region compared.
ALIGNED_SIDE = 96

#: Pixels: largest shift of all blocks together. The transform is exact to about one.
MAX_ALIGNED_SHIFT = 2

#: Smallest share of a block's area that the query must cover.
_MIN_COVERAGE = 0.7

#: Largest ratio of the region's sides that is kept.
_MAX_ASPECT_RATIO = 4.0

_ramp = np.arange(BLOCK_SIDE) - (BLOCK_SIDE - 1) / 2

#: The product of both coordinates, from the centre of a block; the mean of its square is 1.
_SADDLE = (np.outer(_ramp, _ramp) / np.mean(_ramp**2)).astype(np.float32)

_Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AlignedCorrelation:
    """Correlations of blocks of two aligned pictures, in −1..1; 0 if no block was compared.

    ``blocks`` were compared; ``correlation`` is the mean of their correlations, below 0 if one picture is the other's
    negative. ``detail_correlation`` is that of all of them together, without the means of their rows and columns: lines of
    text correlate on all pages that are set alike, and leave no detail. ``textured_blocks`` of them show more than one
    straight edge, and ``textured_correlation`` is the mean of theirs. ``residual_correlation`` is their detail correlation
    without shading: two balls lit alike differ in what is on them.
    """

    blocks: int
    correlation: float
    detail_correlation: float
    textured_blocks: int
    textured_correlation: float
    residual_correlation: float


def correlate_aligned(query: Image.Image, original: Image.Image, transform: Affine, region: Box) -> AlignedCorrelation:
    """Correlate a query with the ``region`` of an original that ``transform`` moves it to, block by block.

    Both are grey images. Brightness and contrast may differ from block to block. Raises ValueError if the transform is singular.
    """
    theirs = _part(original, region)
    ours, covered = _warped(query, transform, region, theirs.shape)
    mean, variance = _moments(theirs)
    compared = (_block_means(covered) >= _MIN_COVERAGE) & (variance > MIN_DEVIATION**2)
    blocks = int(np.count_nonzero(compared))
    if not blocks:
        return AlignedCorrelation(0, 0.0, 0.0, 0, 0.0, 0.0)
    padded = np.pad(ours, MAX_ALIGNED_SHIFT, mode="edge")
    shifted = sliding_window_view(padded, theirs.shape).reshape(-1, *theirs.shape)
    means, variances = _shifted_moments(padded, theirs.shape)
    covariances = _block_means(shifted * theirs) - means * mean
    correlations = covariances / np.sqrt((variances + NOISE_VARIANCE) * (variance + NOISE_VARIANCE))
    totals = np.sum(correlations * compared, axis=(1, 2))
    best = int(np.argmax(np.abs(totals)))
    textured = compared & (_coherence(theirs) < MAX_COHERENCE)
    count = int(np.count_nonzero(textured))
    of_textured = float(correlations[best][textured].mean()) if count else 0.0
    details = _covariances(detail(shifted[best]), detail(theirs))
    return AlignedCorrelation(
        blocks,
        float(totals[best]) / blocks,
        _normalised(details.all[:, compared]),
        count,
        of_textured,
        _normalised(details.without_shading[:, textured]),
    )


def _part(image: Image.Image, region: Box) -> _Image:
    """Return a region of a picture at about ALIGNED_SIDE² pixels, its sides multiples of a block's, float32."""
    box = (
        region.left * image.width,
        region.top * image.height,
        region.right * image.width,
        region.bottom * image.height,
    )
    across, down = box[2] - box[0], box[3] - box[1]
    sqrt_aspect_ratio = math.sqrt(min(max(across / down, 1 / _MAX_ASPECT_RATIO), _MAX_ASPECT_RATIO))
    width, height = (
        BLOCK_SIDE * max(2, round(ALIGNED_SIDE * factor / BLOCK_SIDE))
        for factor in (sqrt_aspect_ratio, 1 / sqrt_aspect_ratio)
    )
    # The query is shrunk and then interpolated, which blurs about as much.
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box=box), np.float32)


def _warped(image: Image.Image, transform: Affine, region: Box, shape: tuple[int, ...]) -> tuple[_Image, _Image]:
    """Return the query as the region shows it, and 1 where it covers it, both float32 of that shape."""
    inverse = invert(transform)
    if inverse is None:
        raise ValueError("a transform that cannot be inverted")
    height, width = shape
    to_picture = np.array(
        [
            [(region.right - region.left) / width, 0, region.left],
            [0, (region.bottom - region.top) / height, region.top],
            [0, 0, 1],
        ]
    )
    back = inverse @ to_picture
    step = math.sqrt(abs(np.linalg.det(np.diag([image.width, image.height]) @ back[:, :2])))
    if step > 1:  # area averaging prevents aliasing
        shrunk = (max(1, round(image.width / step)), max(1, round(image.height / step)))
        image = image.resize(shrunk, Image.Resampling.BOX)
    coefficients = (np.diag([image.width, image.height]) @ back).ravel().tolist()
    warped = image.transform((width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    u, v = (row[0] * x + row[1] * y + row[2] for row in back)
    covered = (u >= 0) & (v >= 0) & (u <= 1) & (v <= 1)
    return np.asarray(warped, np.float32), covered.astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Covariances:
    """Covariance and both variances of the details of each block, float32 (3, rows, columns): as they are, and without
    smooth shading, of which only the product of both coordinates is left in details."""

    all: _Image
    without_shading: _Image


def _covariances(ours: _Image, theirs: _Image) -> _Covariances:
    details = np.stack([_block_means(product) for product in (ours * theirs, ours * ours, theirs * theirs)])
    saddles = np.tile(_SADDLE, (ours.shape[0] // BLOCK_SIDE, ours.shape[1] // BLOCK_SIDE))
    our, their = _block_means(ours * saddles), _block_means(theirs * saddles)
    return _Covariances(details, details - np.stack([our * their, our * our, their * their]))


def _normalised(covariances: _Image) -> float:
    """Return the correlation of blocks, given covariance and both variances of each, float32 (3, n); 0 if there is none."""
    if not covariances.shape[1]:
        return 0.0
    covariance, variance, another = covariances.mean(axis=1, dtype=np.float64).tolist()
    return float(
        covariance / math.sqrt((max(variance, 0) + DETAIL_NOISE_VARIANCE) * (max(another, 0) + DETAIL_NOISE_VARIANCE))
    )


def _coherence(pixels: _Image) -> _Image:
    """Return the coherence of each block's structure tensor, 0 to 1: 1 if all its gradients have one direction."""
    down, right = np.gradient(pixels)
    xx, yy, xy = (
        _block_means(np.asarray(product, np.float32)) for product in (right * right, down * down, right * down)
    )
    coherence: _Image = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + np.float32(DETAIL_NOISE_VARIANCE))
    return coherence


def _moments(pixels: _Image) -> tuple[_Image, _Image]:
    """Return mean and variance of each block."""
    mean = _block_means(pixels)
    return mean, np.maximum(_block_means(pixels * pixels) - mean * mean, 0)


def _shifted_moments(padded: _Image, shape: tuple[int, ...]) -> tuple[_Image, _Image]:
    """Return mean and variance of each block of the parts of that shape, one after another: float32 (parts, rows, columns).

    Blocks of different parts overlap, so the mean of every square of their size is taken once.
    """
    everywhere = [_means_everywhere(padded), _means_everywhere(padded * padded)]
    corners = shape[0] - BLOCK_SIDE + 1, shape[1] - BLOCK_SIDE + 1
    mean, square = (sliding_window_view(one, corners)[..., ::BLOCK_SIDE, ::BLOCK_SIDE] for one in everywhere)
    variance = np.maximum(square - mean * mean, 0)
    return mean.reshape(-1, *mean.shape[2:]), variance.reshape(-1, *mean.shape[2:])


def _means_everywhere(pixels: _Image) -> _Image:
    """Return the mean of every square of a block's size, float32 (height - BLOCK_SIDE + 1, width - BLOCK_SIDE + 1)."""
    height, width = (length - BLOCK_SIDE + 1 for length in pixels.shape)
    rows = np.sum([pixels[at : at + height] for at in range(BLOCK_SIDE)], axis=0)
    sums: _Image = np.sum([rows[:, at : at + width] for at in range(BLOCK_SIDE)], axis=0)
    return sums / np.float32(BLOCK_SIDE**2)


def _block_means(pixels: _Image) -> _Image:
    """Return the mean of each block: (…, height, width) to (…, height / BLOCK_SIDE, width / BLOCK_SIDE), float32."""
    *rest, height, width = pixels.shape
    # Rows first: sums along them are vectors.
    rows = pixels.reshape(*rest, height // BLOCK_SIDE, BLOCK_SIDE, width).sum(axis=-2)
    sums: _Image = rows.reshape(*rest, height // BLOCK_SIDE, width // BLOCK_SIDE, BLOCK_SIDE).sum(axis=-1)
    return sums / np.float32(BLOCK_SIDE**2)
