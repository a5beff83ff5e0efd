"""Made-up keypoints, and a detector without a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.keypoints import DESCRIPTOR_CHANNELS, DESCRIPTOR_SCALE, Keypoints


def made_up(count: int, size: tuple[int, int], seed: int) -> Keypoints:
    """So many keypoints anywhere in a picture of that width and height, no two alike."""
    chance = np.random.default_rng(seed)
    return described(chance.uniform(0, 1, (count, 2)), chance.normal(0, 1, (count, DESCRIPTOR_CHANNELS)), size)


def described(
    xy: NDArray[np.float64],
    descriptors: NDArray[np.float64] | NDArray[np.int8],
    size: tuple[int, int],
    *,
    noise: float = 0.0,
) -> Keypoints:
    """Keypoints in these places with these descriptors, of any length; ``noise`` is a share of the descriptor's."""
    vectors = np.asarray(descriptors, np.float64)
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    shift = np.random.default_rng(len(xy)).normal(0, noise / np.sqrt(DESCRIPTOR_CHANNELS), vectors.shape)
    noisy = vectors / lengths + shift
    units = noisy / np.maximum(np.linalg.norm(noisy, axis=1, keepdims=True), 1e-9)
    whole = np.rint(units * DESCRIPTOR_SCALE).clip(-127, 127).astype(np.int8)
    return Keypoints(np.array(size) / max(size), np.asarray(xy, np.float64), whole)


def of_patches(pixels: NDArray[np.uint8]) -> Keypoints:
    """Keypoints on a grid of a picture, uint8 RGB, each described by its 8 × 8 pixels; none where these are flat."""
    height, width = pixels.shape[:2]
    grey = np.asarray(Image.fromarray(pixels).convert("L").resize((160, 120), Image.Resampling.BOX), np.float64)
    places = [(x, y) for y in range(8, 113, 4) for x in range(8, 153, 4)]
    patches = np.array([grey[y - 4 : y + 4, x - 4 : x + 4].ravel() for x, y in places])
    patches -= patches.mean(axis=1, keepdims=True)
    textured = patches.std(axis=1) > 4
    return described(np.array(places)[textured] / (160, 120), patches[textured], (width, height))
