"""Vectors as pictures have them: in clusters, and with far fewer degrees of freedom than numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import DIMENSION

#: Clusters, degrees of freedom, and how far from its cluster's centre a vector lies, in units of the centres' spread.
_CLUSTERS, _FREEDOM, _SPREAD = 2000, 48, 0.6


def clustered(count: int, seed: int) -> NDArray[np.float16]:
    """That many unit vectors, shape (count, DIMENSION). All seeds share the clusters."""
    common, chance = np.random.default_rng(0), np.random.default_rng(seed)
    centres = common.normal(size=(_CLUSTERS, _FREEDOM))
    directions = np.linalg.qr(common.normal(size=(DIMENSION, _FREEDOM)))[0].T
    points = centres[chance.integers(0, _CLUSTERS, count)] + _SPREAD * chance.normal(size=(count, _FREEDOM))
    vectors = points @ directions + 0.02 * chance.normal(size=(count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
