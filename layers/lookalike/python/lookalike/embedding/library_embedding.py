"""How a picture is embedded for a library. A query is embedded by :mod:`~lookalike.embedding.query_crops`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.domain.picture import Embedding, Pixels
from lookalike.ports import Embedder

#: Weight of the whole picture beside the second look's 1. More than 1 keeps the picture itself near: its cosine cannot
#: be below √¾ with 2, and is 0.934 at the least, 0.98 in the middle, of 3,965 photographs, each its own nearest.
WHOLE_WEIGHT = 2.0

#: Margin that the second look leaves out on every side, as a divisor of that side: the middle three quarters remain.
MARGIN_DIVISOR = 8


def embed_for_library(embedder: Embedder, kind: Kind, pixels: Pixels) -> Embedding:
    """Return what a library of this kind stores of a picture, uint8 RGB (height, width, 3): the vector of its kind, and
    the feature map of the whole picture.

    For ``same`` that is one pass of the whole picture. For the other kinds the vector is the mean of two looks, the
    whole picture and its mirrored middle; searches cost nothing more for it. mAP@100 rises by 1.7 points for
    groceries, 1.3 for Caltech-101 and 0.8 for clothes; a third look, the whole mirrored, adds nothing to that.
    """
    if kind is Kind.SAME:
        return embedder.embed([pixels])[0]
    whole, middle = embedder.embed([pixels, mirrored_middle(pixels)])
    vector = mean_of_looks(whole.vectors[kind], middle.vectors[kind]).astype(np.float16)
    return Embedding({kind: vector}, whole.feature_map)


def mirrored_middle(pixels: Pixels) -> Pixels:
    """Return the middle three quarters of a picture's width and height, mirrored; at least one pixel."""
    height, width = pixels.shape[:2]
    top, left = height // MARGIN_DIVISOR, width // MARGIN_DIVISOR
    return pixels[top : height - top, left : width - left][:, ::-1]


def mean_of_looks(whole: NDArray[Any], middle: NDArray[Any]) -> NDArray[np.float32]:
    """Return the L2-normalised weighted means of unit vectors of the two looks, all of shape (…, DIMENSION).

    The looks cannot cancel each other out: the weighted sum is of length 1 or more.
    """
    total = WHOLE_WEIGHT * whole.astype(np.float32) + middle.astype(np.float32)
    mean: NDArray[np.float32] = total / np.linalg.norm(total, axis=-1, keepdims=True)
    return mean
