"""Sharpness: blurs the sharper of two pictures until both have the same detail.

Compression, enlargement and blur take detail from everywhere, noise adds some everywhere. What one of two pictures cannot
show is no disagreement.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lookalike.verification.overlay import Overlay

#: Largest difference of the logarithms of two sharpnesses that are left alone.
_TOLERANCE = 0.15

#: Standard deviations of the blurs that are tried, in pixels.
_BLURS = (0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0)

#: Smallest sharpness, and smallest standard deviation in grey levels, that are told from none.
_MIN_SHARPNESS = 1e-3
_MIN_DEVIATION = 1.0

_Image = NDArray[np.float32]


def equally_sharp(overlay: Overlay) -> Overlay:
    """Return the overlay in grey, the sharper of its pictures blurred to the sharpness of the other."""
    original, query = (_sharpness(image, overlay.covered) for image in (overlay.original, overlay.query))
    if abs(math.log(original / query)) <= _TOLERANCE:
        return overlay
    if original > query:
        return replace(overlay, original=_blurred(overlay.original, overlay.covered, query))
    return replace(overlay, query=_blurred(overlay.query, overlay.covered, original))


def _blurred(image: _Image, covered: NDArray[np.bool_], sharpness: float) -> _Image:
    """Return the image under the weakest blur that leaves it no sharper than ``sharpness``, or under the strongest."""
    grey = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    for deviation in _BLURS:
        blurred = np.asarray(grey.filter(ImageFilter.GaussianBlur(deviation)), np.float32)
        if _sharpness(blurred, covered) <= sharpness:
            break
    return blurred


def _sharpness(image: _Image, covered: NDArray[np.bool_]) -> float:
    """Return the root mean square of the Laplacian by the standard deviation, where the pictures overlap."""
    inner = covered[1:-1, 1:-1]
    if not inner.any():
        return _MIN_SHARPNESS
    middle = image[1:-1, 1:-1]
    laplacian = 4 * middle - image[:-2, 1:-1] - image[2:, 1:-1] - image[1:-1, :-2] - image[1:-1, 2:]
    deviation = max(float(image[covered].std()), _MIN_DEVIATION)
    return max(math.sqrt(float(np.mean(np.square(laplacian[inner])))) / deviation, _MIN_SHARPNESS)
