"""Decodes stored originals at a reduced size, for the stages of verification that look at pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lookalike.domain.picture import Pixels
from lookalike.errors import PictureError
from lookalike.imaging.decode import FORMATS
from lookalike.imaging.exif_orientation import upright
from lookalike.imaging.file_headers import open_picture_file
from lookalike.imaging.pixel_budget import allocate
from lookalike.imaging.to_rgb import DECODE_ERRORS, render

#: Pixels: shortest longer side of a rendition, if the picture has as many.
RENDITION_SIDE = 480


def rendition(data: bytes, side: int, allocate: Callable[[int, int], Pixels] = allocate) -> Pixels | None:
    """Return the first frame, uint8 RGB (height, width, 3), upright; None if it cannot be decoded.

    The longer side is below ``2 * side`` pixels; it is at least ``side``, or the picture's own if that is shorter. A JPEG is decoded at the smallest of its scales (1/8 to 1) that
    suffices. ``allocate`` is called with the picture's full size, and its array is held while decoding takes memory.
    """
    try:
        file = open_picture_file(data, FORMATS)
        held = allocate(file.height, file.width)
        image = file.image()
        image.draft("RGB", (side, side))
        whole = render(file, image).rgb()
        whole.thumbnail((2 * side - 1, 2 * side - 1))
        pixels = np.asarray(upright(whole, file.exif))
        del held
    except (*DECODE_ERRORS, PictureError):
        return None
    return pixels
