"""Keypoints of a picture, and the views of a query that they are detected in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.geometry import Affine
from lookalike.domain.picture import Pixels

#: Numbers of a keypoint's descriptor.
DESCRIPTOR_CHANNELS = 64

#: Factor by which the numbers of a descriptor, a unit vector, are multiplied before they are rounded to int8. One in 10⁵
#: exceeds 127 and is cut.
DESCRIPTOR_SCALE = 254.0


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """The keypoints of a picture.

    ``relative_size`` is the picture's width and height by the longer one, float64 (2,). ``xy`` are positions as fractions
    of width and height, float64 (n, 2). ``descriptors`` are unit vectors times DESCRIPTOR_SCALE, int8 (n,
    DESCRIPTOR_CHANNELS).
    """

    relative_size: NDArray[np.float64]
    xy: NDArray[np.float64]
    descriptors: NDArray[np.int8]

    @staticmethod
    def none() -> Keypoints:
        """Return those of a picture that has none."""
        return Keypoints(np.ones(2), np.zeros((0, 2)), np.zeros((0, DESCRIPTOR_CHANNELS), np.int8))


@dataclass(frozen=True, slots=True, eq=False)
class KeypointView:
    """A query as it is, turned or mirrored: uint8 RGB (height, width, 3). ``from_query`` moves fractions of the query to
    fractions of the view."""

    pixels: Pixels
    from_query: Affine


@dataclass(frozen=True, slots=True, eq=False)
class Original:
    """A candidate's picture as keypoints are matched with it: uint8 RGB (height, width, 3), and its keypoints."""

    pixels: Pixels
    keypoints: Keypoints
