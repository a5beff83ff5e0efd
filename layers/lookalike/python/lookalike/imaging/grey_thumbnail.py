"""A stored original once more, small and grey: enough to find corners in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lookalike.domain.picture import Grey, Pixels
from lookalike.errors import PictureError
from lookalike.imaging.decode import FORMATS
from lookalike.imaging.exif_orientation import upright
from lookalike.imaging.file_headers import open_container
from lookalike.imaging.pixel_budget import blank
from lookalike.imaging.to_rgb import BROKEN, reading


def glance(data: bytes, side: int, room: Callable[[int, int], Pixels] = blank) -> Grey | None:
    """The first frame as grey values of shape (height, width), upright; None if it cannot be decoded.

    Its longer side is below ``2 * side`` pixels. A JPEG is decoded at an eighth to all of its size, as that asks for.
    ``room`` is asked for the whole picture's size, and what it gives is kept as long as there is more than the result.
    """
    try:
        container = open_container(data, FORMATS)
        held = room(container.height, container.width)
        image = container.image()
        image.draft("L", (side, side))
        whole = reading(container, image).rgb().convert("L")
        whole.thumbnail((2 * side - 1, 2 * side - 1))
        grey = np.asarray(upright(whole, container.exif))
        del held
    except (*BROKEN, PictureError):
        return None
    return grey
