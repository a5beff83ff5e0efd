"""How a picture is embedded for a library. A query is embedded by :mod:`~lookalike.service.looks`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Identity, Kind
from lookalike.domain.picture import Embedding, Pixels
from lookalike.ports import Embedder

#: Weight of the whole picture beside the second look's 1. The less, the more is found, and the less near come the picture
#: itself and its light copies where all are of one layout. mAP@100 of groceries, Caltech-101 and clothes rises by 1.7,
#: 1.3 and 0.8 points with 2, by 1.2, 0.9 and 0.5 with 4; of 60 invoices 25 % are the nearest to themselves with 2, 87 %
#: with 4. With 4 a picture's cosine to itself cannot be below √15 / 4.
WHOLE_WEIGHT = 4.0

#: Margin that the second look leaves out on every side, as a divisor of that side: the middle three quarters remain.
MARGIN_DIVISOR = 8


def embed_for_library(embedder: Embedder, kind: Kind, identity: Identity, pixels: Pixels) -> Embedding:
    """Return what a library stores of a picture, uint8 RGB (height, width, 3): the vector of its kind, and the feature
    map of the whole picture.

    In ``similar`` and ``product`` the vector is the mean of two looks, the whole picture and its mirrored middle: more
    is found, and searches cost nothing more. A third look, the whole mirrored, adds nothing to that. ``same`` keeps the
    vector of the whole picture, and so do libraries of pictures with callers' ids: there the identical picture is found
    by its vector alone, so nothing may come nearer, however many pictures of one layout there are.
    """
    if kind is Kind.SAME or identity is Identity.OWN:
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

    The looks cannot cancel each other out: the weighted sum is of length 3 or more.
    """
    total = WHOLE_WEIGHT * whole.astype(np.float32) + middle.astype(np.float32)
    mean: NDArray[np.float32] = total / np.linalg.norm(total, axis=-1, keepdims=True)
    return mean
