"""A stored original once more, small and grey: enough to find corners in."""

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
    """The first frame as grey values of shape (height, width), upright; None if it cannot be decoded.

    Its longer side is below ``2 * side`` pixels. A JPEG is decoded at an eighth to all of its size, as that asks for.
    ``allocate`` is asked for the whole picture's size, and what it gives is kept as long as there is more than the result.
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
