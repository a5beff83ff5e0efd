"""Correlates two whole pictures in eight orientations: upright, rotated by quarter turns, and mirrored.

The most frequent copies (saved again, scaled, recoloured, rotated, mirrored) cover their originals exactly. One matrix
product finds them, even where the features of a rotated picture's cells no longer match.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Affine
from lookalike.verification.blocks import BLOCK_SIDE, BLOCKS_PER_SIDE, MIN_DEVIATION, NOISE_VARIANCE, Image
from lookalike.verification.correlation import ComparedThumbnails

_GRID = (BLOCKS_PER_SIDE, BLOCKS_PER_SIDE)

_Thumbnail = NDArray[np.uint8]

#: The symmetries of the square: each one's effect on an image, and on points as fractions of its sides.
_ORIENTATIONS: tuple[tuple[Callable[[_Thumbnail], _Thumbnail], Affine], ...] = (
    (lambda image: image, (1, 0, 0, 0, 1, 0)),
    (lambda image: image[:, ::-1], (-1, 0, 1, 0, 1, 0)),
    (lambda image: image[::-1], (1, 0, 0, 0, -1, 1)),
    (lambda image: image[::-1, ::-1], (-1, 0, 1, 0, -1, 1)),
    (lambda image: image.T, (0, 1, 0, 1, 0, 0)),
    (lambda image: image.T[:, ::-1], (0, -1, 1, 1, 0, 0)),
    (lambda image: image.T[::-1], (0, 1, 0, -1, 0, 1)),
    (lambda image: image.T[::-1, ::-1], (0, -1, 1, -1, 0, 1)),
)


@dataclass(frozen=True, slots=True, eq=False)
class WholeImageMatches:
    """A view of the query on each of n candidates, in the orientation that correlates best.

    ``transforms`` move the view's points to the candidates'.
    """

    thumbnails: ComparedThumbnails
    transforms: Sequence[Affine]


class EightOrientations:
    """A query's thumbnail in all eight orientations, ready to be correlated.

    Parameters
    ----------
    thumbnail : uint8 (THUMBNAIL_SIDE, THUMBNAIL_SIDE).
    """

    def __init__(self, thumbnail: _Thumbnail) -> None:
        self._oriented: Image = np.stack([turn(thumbnail) for turn, _ in _ORIENTATIONS]).astype(np.float32)
        self._normalised, self._varied = _normalised_blocks(self._oriented)

    def best_matches(self, thumbnails: Image) -> WholeImageMatches:
        """Return, for each of n candidates, the orientation with the largest absolute correlation over its varied blocks.

        ``thumbnails`` are float32 (n, THUMBNAIL_SIDE, THUMBNAIL_SIDE). One matrix product compares all of them.
        """
        blocks, compared = _normalised_blocks(thumbnails)
        count = len(thumbnails)
        totals = (blocks * compared[..., None]).reshape(count, -1) @ self._normalised.reshape(len(_ORIENTATIONS), -1).T
        best = np.abs(totals).argmax(axis=1)
        correlations = np.einsum("nbp,nbp->nb", self._normalised[best], blocks)
        found = ComparedThumbnails.of(
            self._oriented[best],
            thumbnails,
            compared.reshape(count, *_GRID),
            (compared | self._varied[best]).reshape(count, *_GRID),
            correlations.reshape(count, *_GRID),
            inverted=totals[np.arange(count), best] < 0,
        )
        return WholeImageMatches(found, [_ORIENTATIONS[number][1] for number in best.tolist()])


def _normalised_blocks(thumbnails: Image) -> tuple[Image, NDArray[np.bool_]]:
    """Return n thumbnails' blocks as zero-mean rows of norm ≤ 1, float32 (n, blocks, pixels), and which of them vary."""
    grid = thumbnails.reshape(-1, BLOCKS_PER_SIDE, BLOCK_SIDE, BLOCKS_PER_SIDE, BLOCK_SIDE).swapaxes(2, 3)
    rows = grid.reshape(len(thumbnails), BLOCKS_PER_SIDE**2, BLOCK_SIDE**2)
    rows = rows - rows.mean(axis=2, keepdims=True)
    variances = np.mean(rows * rows, axis=2)
    rows /= np.sqrt((variances + NOISE_VARIANCE) * BLOCK_SIDE**2)[..., None]
    return rows, variances > MIN_DEVIATION**2
