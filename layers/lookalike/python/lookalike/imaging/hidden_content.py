"""Digests the content of a picture file that its RGB pixels do not show.

White ink on transparency, or the transparency of a shadow: two files may differ in nothing else, and so have the same
RGB pixels, although a person can tell them apart on another background. Their RGBA samples tell them apart, without the
colour of fully transparent pixels. Of 16-bit samples only the high bytes are visible; where those are a single colour
and the low bytes make the picture, both count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.imaging.to_rgb import Rendering, flatten, has_alpha, row_bands

_Samples = NDArray[np.uint8]

_OPAQUE = 255


def hidden_digest(read: Rendering, low: Image.Image | None) -> str | None:
    """Return the SHA-256, 64 hex digits, of a picture's RGBA samples; None if RGB pixels show everything.

    Hashed are the pixels, row by row from the top left: R, G, B, A, one byte each, then those of ``low`` in the same
    order; all zero where a pixel is fully transparent. Libraries store it, so it must not change. ``low`` is the
    upright picture of the low bytes if ``read`` is made of them, else None.
    """
    whole = read.image if read.whole is None else read.whole
    alpha = has_alpha(whole) and (read.background is not None or _has_visible_pixels(whole))
    if low is None and not (
        alpha and any((high[..., 3] < _OPAQUE).any() for high, _ in _rgba_bands(whole, alpha=alpha))
    ):
        return None
    digest = hashlib.sha256()
    for high_samples, low_samples in _rgba_bands(whole, low, alpha=alpha):
        digest.update(high_samples if low is None else np.concatenate([high_samples, low_samples], axis=2))
    return digest.hexdigest()


def _has_visible_pixels(whole: Image.Image) -> bool:
    """Return whether any pixel is not fully transparent; if none is, alpha was ignored, and is ignored here."""
    return any((high[..., 3] > 0).any() for high, _ in _rgba_bands(whole, alpha=True))


def _rgba_bands(
    whole: Image.Image, low: Image.Image | None = None, *, alpha: bool
) -> Iterator[tuple[_Samples, _Samples]]:
    """Yield high and low bytes as R, G, B, A, band by band; all zero where a pixel is fully transparent.

    Without ``low`` the low bytes are empty.
    """
    lows = row_bands(low) if low is not None else None
    for band in row_bands(whole):
        high_samples = _rgba(band, alpha=alpha)
        low_samples = high_samples[:0] if lows is None else _rgba(next(lows), alpha=alpha)
        clear = high_samples[..., 3] == 0
        if lows is not None:
            clear &= low_samples[..., 3] == 0
            low_samples[clear] = 0
        high_samples[clear] = 0
        yield high_samples, low_samples


def _rgba(band: Image.Image, *, alpha: bool) -> _Samples:
    return np.array(band.convert("RGBA") if alpha else flatten(band, None).convert("RGBA"))
