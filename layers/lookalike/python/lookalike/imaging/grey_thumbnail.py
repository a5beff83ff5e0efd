"""Decodes stored originals to small grey images, for keypoint detection."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lookalike.domain.picture import Grey, Pixels
from lookalike.errors import PictureError
from lookalike.imaging.decode import FORMATS
from lookalike.imaging.exif_orientation import upright
from lookalike.imaging.file_headers import open_picture_file
from lookalike.imaging.pixel_budget import allocate
from lookalike.imaging.to_rgb import DECODE_ERRORS, render


def grey_thumbnail(data: bytes, side: int, allocate: Callable[[int, int], Pixels] = allocate) -> Grey | None:
    """Return the first frame as uint8 of shape (height, width), upright; None if it cannot be decoded.

    The longer side is below ``2 * side`` pixels. A JPEG is decoded at the smallest of its scales (1/8 to 1) that
    suffices. ``allocate`` is called with the picture's full size, and its array is held while decoding takes memory.
    """
    try:
        file = open_picture_file(data, FORMATS)
        held = allocate(file.height, file.width)
        image = file.image()
        image.draft("L", (side, side))
        whole = render(file, image).rgb().convert("L")
        whole.thumbnail((2 * side - 1, 2 * side - 1))
        grey = np.asarray(upright(whole, file.exif))
        del held
    except (*DECODE_ERRORS, PictureError):
        return None
    return grey
