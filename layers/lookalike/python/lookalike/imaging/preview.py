"""Small copies of stored originals for people to look at."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from enum import StrEnum

from PIL import Image

from lookalike.domain.picture import Pixels
from lookalike.errors import PictureError
from lookalike.imaging.decode import FORMATS
from lookalike.imaging.exif_orientation import upright
from lookalike.imaging.file_headers import open_picture_file
from lookalike.imaging.pixel_budget import allocate
from lookalike.imaging.to_rgb import DECODE_ERRORS, render


class PreviewFormat(StrEnum):
    """A format of previews."""

    JPEG = "JPEG"
    WEBP = "WEBP"


#: How each format is written. WebP takes a quarter less space. Its method 2 of 6 takes 3 ms for a thumbnail of 320 pixels
#: where 4 takes 7 and saves 4 %; of 1600 pixels, WebP takes 40 ms and more, and JPEG 5.
_OPTIONS: Mapping[PreviewFormat, Mapping[str, int]] = {
    PreviewFormat.JPEG: {"quality": 85},
    PreviewFormat.WEBP: {"quality": 80, "method": 2},
}


def preview(
    data: bytes, side: int, form: PreviewFormat, allocate: Callable[[int, int], Pixels] = allocate
) -> bytes | None:
    """Return a file of the picture's first frame, upright, its longer side ``side`` pixels at most; None if it is broken.

    Nothing but pixels is in it. Transparency is shown on white. ``allocate`` is called with the picture's full size, and
    its array is held while decoding takes memory.
    """
    try:
        file = open_picture_file(data, FORMATS)
        held = allocate(file.height, file.width)
        image = file.image()
        image.draft("RGB", _fitted(file.width, file.height, side))
        whole = render(file, image).rgb()
        whole.thumbnail((side, side))
        written = _written(upright(whole, file.exif), form)
        del held
    except (*DECODE_ERRORS, PictureError):
        return None
    return written


def _fitted(width: int, height: int, side: int) -> tuple[int, int]:
    """Return a picture's size once its longer side has ``side`` pixels: a JPEG is decoded at a scale that suffices for it."""
    longer = max(width, height)
    return max(1, width * side // longer), max(1, height * side // longer)


def _written(image: Image.Image, form: PreviewFormat) -> bytes:
    """Return a file of the pixels alone."""
    file = io.BytesIO()
    Image.frombuffer("RGB", image.size, image.tobytes()).save(file, form, **_OPTIONS[form])
    return file.getvalue()
