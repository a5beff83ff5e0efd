"""Trains the 4-bit product quantiser of a kind's vectors."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # faiss then adds up in the same order every time; read when it is imported

import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.domain.picture import DIMENSION
from lookalike.embedding.model_card import CODEBOOK_SHAPE


def train_codebook(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the centroids of a 4-bit product quantiser, float32 of shape CODEBOOK_SHAPE."""
    parts, centroids, _ = CODEBOOK_SHAPE
    quantiser = faiss.ProductQuantizer(DIMENSION, parts, centroids.bit_length() - 1)
    quantiser.cp.min_points_per_centroid = 1  # fewer suffice, and faiss would warn of them 384 times
    quantiser.train(np.ascontiguousarray(vectors, np.float32))
    codebook: NDArray[np.float32] = faiss.vector_to_array(quantiser.centroids).reshape(CODEBOOK_SHAPE)
    return codebook
