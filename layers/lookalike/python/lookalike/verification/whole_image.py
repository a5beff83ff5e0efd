"""Whether two whole pictures look the same, upright, turned by quarters, or mirrored.

The commonest copies (saved again, scaled, recoloured, turned, mirrored) cover their originals exactly. One matrix
product sees that, where cells of a turned picture no longer look alike to the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Affine
from lookalike.embedding.feature_map import THUMBNAIL
from lookalike.verification.correlation import BLOCK, LEAST_DEVIATION, NOISE, Agreement, told_by

_BLOCKS = THUMBNAIL // BLOCK
_SQUARE = (_BLOCKS, _BLOCKS)

_Thumbnail = NDArray[np.uint8]

#: The eight ways to lay a square on a square: what they make of an image, and where they move its points.
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


@dataclass(frozen=True, slots=True)
class Congruence:
    """How well a whole picture covers another, laid on it by ``transform``."""

    agreement: Agreement
    transform: Affine


class Orientations:
    """A picture's thumbnail in all eight orientations, ready to be compared."""

    def __init__(self, thumbnail: _Thumbnail) -> None:
        turned = np.stack([turn(thumbnail) for turn, _ in _ORIENTATIONS]).astype(np.float32)
        blocks = [_correlated_blocks(pixels) for pixels in turned]
        self._correlated = np.stack([rows.ravel() for rows, _ in blocks])
        self._shown = [shown for _, shown in blocks]
        self._turned = turned

    def on(self, thumbnail: NDArray[np.float32]) -> Congruence:
        """The orientation that covers the other thumbnail best. Only blocks that are not flat there are compared."""
        blocks, compared = _correlated_blocks(thumbnail)
        count = int(np.count_nonzero(compared))
        if not count:
            return Congruence(Agreement(0, 0.0, 0.0), _ORIENTATIONS[0][1])
        correlations = self._correlated @ (blocks * compared[:, None]).ravel()
        best = int(np.argmax(correlations))
        turned = self._turned[best]
        by_block = (self._correlated[best].reshape(blocks.shape) * blocks).sum(axis=1).reshape(_SQUARE)
        seen = compared | self._shown[best]
        told = told_by(turned, thumbnail, compared.reshape(_SQUARE), seen.reshape(_SQUARE), by_block)
        return Congruence(Agreement(count, float(correlations[best]) / count, *told), _ORIENTATIONS[best][1])


def _correlated_blocks(thumbnail: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Blocks as rows whose products are correlations, shape (blocks, pixels), and which of them are not flat."""
    blocks = thumbnail.reshape(_BLOCKS, BLOCK, _BLOCKS, BLOCK).swapaxes(1, 2)
    rows = blocks.reshape(_BLOCKS * _BLOCKS, BLOCK * BLOCK)
    rows = rows - rows.mean(axis=1, keepdims=True)
    variances = np.mean(rows * rows, axis=1)
    unit = rows / np.sqrt((variances + NOISE) * rows.shape[1])[:, None]
    return np.asarray(unit, np.float32), variances > LEAST_DEVIATION**2
