"""Finds what a picture file shows beside the RGB pixels that its digest is of.

Ink that is as white as the ground, a shadow's transparency: files that differ in nothing else have the same pixels, and
yet a person can tell them apart, on some ground. What such a file shows on all grounds are its samples with alpha, but
for the colour of what is fully transparent. Of 16-bit samples a person sees the high bytes; where those are one flat
sheet, and the low bytes are the picture, both count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.imaging.to_rgb import Reading, bands_of, has_alpha, rgb_of

_Samples = NDArray[np.uint8]

_OPAQUE = 255


def hidden_digest(read: Reading, low: Image.Image | None) -> str | None:
    """SHA-256, as 64 hex digits, of all that a picture shows; None if its RGB pixels are all of it.

    It is of the pixels, row by row from the top left: R, G, B, A, one byte each, and ``low`` behind them in the same
    order; all zero where a pixel is fully transparent. Libraries keep it: it must not change. ``low`` is the picture of
    the low bytes, upright as ``read`` is, where those are what is read; else None.
    """
    whole = read.image if read.whole is None else read.whole
    alpha = has_alpha(whole) and (read.ground is not None or _is_seen(whole))
    if low is None and not (alpha and any((high[..., 3] < _OPAQUE).any() for high, _ in _bands(whole, alpha=alpha))):
        return None
    digest = hashlib.sha256()
    for high_samples, low_samples in _bands(whole, low, alpha=alpha):
        digest.update(high_samples if low is None else np.concatenate([high_samples, low_samples], axis=2))
    return digest.hexdigest()


def _is_seen(whole: Image.Image) -> bool:
    """Return whether alpha lets anything be seen; where it does not, and was ignored, it says nothing here either."""
    return any((high[..., 3] > 0).any() for high, _ in _bands(whole, alpha=True))


def _bands(whole: Image.Image, low: Image.Image | None = None, *, alpha: bool) -> Iterator[tuple[_Samples, _Samples]]:
    """Yield, band by band, the high and the low bytes as R, G, B, A; all zero where a pixel is fully transparent.

    Without ``low`` the low bytes are those of no pixel.
    """
    lows = bands_of(low) if low is not None else None
    for band in bands_of(whole):
        high_samples = _rgba(band, alpha=alpha)
        low_samples = high_samples[:0] if lows is None else _rgba(next(lows), alpha=alpha)
        clear = high_samples[..., 3] == 0
        if lows is not None:
            clear &= low_samples[..., 3] == 0
            low_samples[clear] = 0
        high_samples[clear] = 0
        yield high_samples, low_samples


def _rgba(band: Image.Image, *, alpha: bool) -> _Samples:
    return np.array(band.convert("RGBA") if alpha else rgb_of(band, None).convert("RGBA"))
