"""Block-wise normalised cross-correlation of two thumbnails, one warped onto the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lookalike.embedding.feature_map import THUMBNAIL_SIDE, FeatureMap
from lookalike.verification.blocks import (
    BLOCK_AVERAGE,
    BLOCKS_PER_SIDE,
    MIN_DEVIATION,
    NOISE_VARIANCE,
    Image,
    block_means,
    block_moments,
)
from lookalike.verification.ransac import Points, SimilarityTransform
from lookalike.verification.texture import Texture, measure_texture

_Number = TypeVar("_Number", np.float32, np.intp)

#: Largest shift of all blocks together, in thumbnail pixels: the transform comes from cells of four pixels a side.
MAX_SHIFT = 2

#: Smallest absolute correlation of a part that is taken for a negative. Without a bound one stranger in ten is matched
#: again, after rectification, that otherwise is not; negatives correlate at -0.9.
MIN_INVERTED_CORRELATION = 0.5

#: Smallest share of a block's area that the other picture must cover.
_MIN_OVERLAP = 0.7

#: Shifts along one side.
_SHIFTS = 2 * MAX_SHIFT + 1

#: Averages blocks at every shift: float32 (_SHIFTS · BLOCKS_PER_SIDE, THUMBNAIL_SIDE + 2 · MAX_SHIFT).
_SHIFTED_AVERAGE = np.concatenate(
    [np.pad(BLOCK_AVERAGE, ((0, 0), (shift, 2 * MAX_SHIFT - shift))) for shift in range(_SHIFTS)]
)

#: Centres of the pixels, and of ``MAX_SHIFT`` more on every side, as shares of a side.
_PIXEL_CENTRES = (np.arange(-MAX_SHIFT, THUMBNAIL_SIDE + MAX_SHIFT, dtype=np.float32) + 0.5) / THUMBNAIL_SIDE


def _area_average(short: int) -> Image:
    """Return the matrix, float32 (short, THUMBNAIL_SIDE), that averages a thumbnail's pixels by area."""
    edges = np.arange(short + 1) * (THUMBNAIL_SIDE / short)
    pixel = np.arange(THUMBNAIL_SIDE)
    shares = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    averages: Image = (np.maximum(shares, 0) * (short / THUMBNAIL_SIDE)).astype(np.float32)
    return averages


_PYRAMID_FILTERS = tuple(_area_average(side) for side in (THUMBNAIL_SIDE * 5 // 7, THUMBNAIL_SIDE // 2))


@dataclass(frozen=True, slots=True)
class BlockCorrelation:
    """Correlations of the blocks of two thumbnails.

    ``blocks`` were compared; ``correlation``, in −1..1, is the mean of their correlations; 0 if there are none.
    ``inverted``: one thumbnail was inverted first. ``texture`` is None if it was not measured.
    """

    blocks: int
    correlation: float
    inverted: bool = False
    texture: Texture | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pyramid:
    """A thumbnail at full size, at 5/7 and at half of it, float32. ``sqrt_aspect_ratio`` is its feature map's."""

    levels: tuple[Image, ...]
    sqrt_aspect_ratio: float

    @staticmethod
    def of(thumbnail: NDArray[np.uint8], sqrt_aspect_ratio: float) -> Pyramid:
        """Return the pyramid of a thumbnail, uint8 (THUMBNAIL_SIDE, THUMBNAIL_SIDE)."""
        whole: Image = thumbnail.astype(np.float32)
        smaller: list[Image] = [np.asarray(average @ whole @ average.T, np.float32) for average in _PYRAMID_FILTERS]
        return Pyramid((whole, *smaller), sqrt_aspect_ratio)

    def level(self, magnification: float) -> Image:
        """Return the level whose pixels, scaled by ``magnification``, are closest in size to a thumbnail's."""
        return min(self.levels, key=lambda level: abs(np.log(len(level) / (THUMBNAIL_SIDE * magnification))))


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """A view of the query that ``transform`` lays on a candidate with this feature map."""

    query: Pyramid
    candidate: FeatureMap
    transform: SimilarityTransform


@dataclass(frozen=True, slots=True, eq=False)
class ComparedThumbnails:
    """n pairs of thumbnails that lie on each other, compared block by block.

    ``ours`` and ``theirs`` are float32 (n, THUMBNAIL_SIDE, THUMBNAIL_SIDE). Of each block, (n, BLOCKS_PER_SIDE,
    BLOCKS_PER_SIDE), it is known whether it is ``compared``, whether it is ``varied`` in either picture, and the
    correlation. ``inverted``, bool (n,): ours are negatives of theirs, and have been inverted.
    """

    ours: Image
    theirs: Image
    compared: NDArray[np.bool_]
    varied: NDArray[np.bool_]
    correlations: Image
    inverted: NDArray[np.bool_]

    @staticmethod
    def of(
        ours: Image,
        theirs: Image,
        compared: NDArray[np.bool_],
        varied: NDArray[np.bool_],
        correlations: Image,
        inverted: NDArray[np.bool_],
    ) -> ComparedThumbnails:
        """Return the pairs, given their correlations before ours are inverted: all blocks of a pair, or none."""
        sign = np.where(inverted, np.float32(-1), np.float32(1))[:, None, None]
        return ComparedThumbnails(ours * sign, theirs, compared, varied, correlations * sign, inverted)

    def block_correlations(self) -> list[BlockCorrelation]:
        """Return each pair's correlation; texture is not measured."""
        blocks = np.count_nonzero(self.compared, axis=(1, 2))
        means = (self.correlations * self.compared).sum(axis=(1, 2)) / np.maximum(blocks, 1)
        columns = (blocks.tolist(), means.tolist(), self.inverted.tolist())
        return [BlockCorrelation(*values) for values in zip(*columns, strict=True)]

    def measured(self, numbers: Sequence[int]) -> list[BlockCorrelation]:
        """Return these pairs' correlations, texture included."""
        if not numbers:
            return []
        some = list(numbers)
        textures = measure_texture(
            self.ours[some], self.theirs[some], self.compared[some], self.varied[some], self.correlations[some]
        )
        correlations = self.block_correlations()
        return [replace(correlations[number], texture=texture) for number, texture in zip(some, textures, strict=True)]


def compare_aligned(alignments: Sequence[Alignment]) -> ComparedThumbnails:
    """Warp the query by each of n transforms and correlate it, block by block, with the candidate's thumbnail.

    Brightness and contrast may differ from block to block. All blocks together may be shifted by up to MAX_SHIFT
    pixels, since the transform comes from much larger cells. From MIN_INVERTED_CORRELATION on, a negative counts as a
    positive does.
    """
    pictures: Image = np.stack([one.candidate.thumbnail for one in alignments]).astype(np.float32)
    warped, covered = _warped(alignments)
    whole = covered[:, MAX_SHIFT:-MAX_SHIFT, MAX_SHIFT:-MAX_SHIFT].astype(np.float32)
    inside = block_means(whole) >= _MIN_OVERLAP
    mean, variance = block_moments(pictures)
    compared = inside & (variance > MIN_DEVIATION**2)
    correlations, variances = _shifted_correlations(warped, pictures, mean, variance)
    totals = (correlations * compared[:, None]).sum(axis=(2, 3))
    inverted_from = -MIN_INVERTED_CORRELATION * np.maximum(np.count_nonzero(compared, axis=(1, 2)), 1)[:, None]
    rows, best = np.arange(len(pictures)), np.where(totals <= inverted_from, -totals, totals).argmax(axis=1)
    windows = sliding_window_view(warped, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), axis=(1, 2))
    varied = inside & ((variance > MIN_DEVIATION**2) | (variances[rows, best] > MIN_DEVIATION**2))
    ours = windows[rows, best // _SHIFTS, best % _SHIFTS]
    inverted = totals[rows, best] <= inverted_from[:, 0]
    return ComparedThumbnails.of(ours, pictures, compared, varied, correlations[rows, best], inverted)


def _shifted_correlations(warped: Image, pictures: Image, mean: Image, variance: Image) -> tuple[Image, Image]:
    """Return the correlation of each block at each shift, and the variance of the query's part of it.

    Both are float32 (n, _SHIFTS², BLOCKS_PER_SIDE, BLOCKS_PER_SIDE).
    """
    windows = sliding_window_view(warped, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), axis=(1, 2))
    products = block_means(windows * pictures[:, None, None]).reshape(-1, _SHIFTS**2, *mean.shape[1:])
    means = _shifted_means(warped)
    variances = np.maximum(_shifted_means(warped * warped) - means * means, 0)
    covariances = products - means * mean[:, None]
    deviations = np.sqrt((variances + NOISE_VARIANCE) * (variance[:, None] + NOISE_VARIANCE))
    return np.asarray(covariances / deviations, np.float32), variances


def _shifted_means(warped: Image) -> Image:
    """Return the mean of each block at each shift, float32 (n, _SHIFTS², BLOCKS_PER_SIDE, BLOCKS_PER_SIDE)."""
    sides = (_SHIFTS, BLOCKS_PER_SIDE)
    averages: Image = (_SHIFTED_AVERAGE @ warped @ _SHIFTED_AVERAGE.T).reshape(-1, *sides, *sides)
    means: Image = averages.swapaxes(2, 3).reshape(-1, _SHIFTS**2, BLOCKS_PER_SIDE, BLOCKS_PER_SIDE)
    return means


def _warped(alignments: Sequence[Alignment]) -> tuple[Image, NDArray[np.bool_]]:
    """Return the query as each candidate's thumbnail would show it, and where the query covers it.

    Both have MAX_SHIFT more pixels on every side.
    """
    levels = [one.query.level(abs(one.transform.scale)) for one in alignments]
    points = np.stack([_points_in_query(one) for one in alignments])
    sides = _column(np.array([len(level) for level in levels], np.float32))
    ratios = _column(np.array([one.query.sqrt_aspect_ratio for one in alignments], np.float32))
    x, y = points.real / ratios * sides - 0.5, points.imag * ratios * sides - 0.5
    covered = (x >= -0.5) & (y >= -0.5) & (x <= sides - 0.5) & (y <= sides - 0.5)
    left, top = (np.floor(np.clip(of, 0, sides - 2)) for of in (x, y))
    right, down = np.clip(x - left, 0, 1), np.clip(y - top, 0, 1)
    begins = _column(np.cumsum([0, *(level.size for level in levels)])[:-1])
    pixels, at = np.concatenate([level.ravel() for level in levels]), begins + (top * sides + left).astype(np.intp)
    below = at + sides.astype(np.intp)
    upper = pixels[at] * (1 - right) + pixels[at + 1] * right
    lower = pixels[below] * (1 - right) + pixels[below + 1] * right
    return upper * (1 - down) + lower * down, covered


def _points_in_query(alignment: Alignment) -> Points:
    """Return where the query shows each pixel of the candidate's thumbnail, in its plane of area 1."""
    ratio = alignment.candidate.sqrt_aspect_ratio
    grid = (_PIXEL_CENTRES * ratio)[None, :] + 1j * (_PIXEL_CENTRES / ratio)[:, None]
    return alignment.transform.apply_inverse(grid.astype(np.complex64))


def _column(values: NDArray[_Number]) -> NDArray[_Number]:
    """Return one value for each of n pairs, (n, 1, 1)."""
    return values[:, None, None]
