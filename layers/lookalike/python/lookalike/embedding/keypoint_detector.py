"""The keypoint detector: a pass of an ONNX model returns keypoints and their descriptors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.domain.keypoints import DESCRIPTOR_CHANNELS, Keypoints
from lookalike.domain.picture import Pixels
from lookalike.embedding.session import open_session
from lookalike.errors import ModelError

#: Pixels: longer sides that keypoints are detected at. A tenth of a picture, or one of nine in a collage, is found at the
#: second. Of 192 hard copies 170 are found, as many as at 384 and 192, for 0.7 of the time; at 288 and 144 it is 163.
LONGER_SIDES = (320, 160)

#: A picture is enlarged to less than this many times its longer side, but for the smallest scale.
_MAX_ENLARGEMENT = 2

#: Pixels: the sides of what the network sees are multiples of this.
_STRIDE = 32


class OnnxKeypointDetector:
    """Runs an ONNX file that detects keypoints.

    The graph takes ``grey``, uint8 (height, width), both multiples of 32, and returns ``xy``, float32 (n, 2), as fractions
    of width and height, and ``descriptors``, int8 (n, 64), the best keypoints first.

    Parameters
    ----------
    model : the ONNX file.
    threads : threads of one pass.

    Raises
    ------
    ModelError : the file cannot be used; one line gives the reason.
    """

    def __init__(self, model: Path, threads: int = 1) -> None:
        self._session = open_session(model, threads)
        shapes = {output.name: output.shape for output in self._session.get_outputs()}
        if shapes.get("xy", [None])[-1] != 2 or shapes.get("descriptors", [None])[-1] != DESCRIPTOR_CHANNELS:
            raise ModelError(f"{model}: it does not answer xy and descriptors of {DESCRIPTOR_CHANNELS} numbers")

    def detect(self, pixels: Pixels) -> Keypoints:
        """Return the keypoints of a picture, uint8 RGB (height, width, 3), on the scales of LONGER_SIDES."""
        height, width = pixels.shape[:2]
        found = [self._session.run(["xy", "descriptors"], {"grey": grey}) for grey in _scaled(pixels)]
        xy, descriptors = (np.concatenate(parts) for parts in zip(*found, strict=True))
        relative_size = np.array([width, height]) / max(width, height)
        return Keypoints(relative_size, xy.astype(np.float64), descriptors)


def _scaled(pixels: Pixels) -> Iterator[NDArray[np.uint8]]:
    """Yield the picture in grey on each scale, its sides multiples of _STRIDE."""
    image = Image.fromarray(pixels).convert("L")
    for side in LONGER_SIDES:
        scale = side / max(image.size)
        if scale >= _MAX_ENLARGEMENT and side != min(LONGER_SIDES):
            continue
        width, height = (max(_STRIDE, round(length * scale / _STRIDE) * _STRIDE) for length in image.size)
        method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
        yield np.asarray(image.resize((width, height), method))
