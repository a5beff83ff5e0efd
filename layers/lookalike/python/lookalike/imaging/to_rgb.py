"""Turns decoded pictures into RGB such that they show what their files show.

Transparency is laid on white, the first frame counts, and of 16-bit samples the high byte: that is the ordinary
reading, and identity rests on it. But it turns some files into one flat sheet although they show something, and two
such files would be the same picture. These are read in another way, the first of the following that shows anything:

1. on a dark ground, for white ink on a transparent one;
2. the frames behind the first, each laid on the sheet that those before it show, then on a dark ground;
3. without alpha, where alpha says that nothing is there;
4. by the low bytes of 16-bit samples.

A picture that shows nothing in any of these ways keeps its ordinary reading. So does every picture that the ordinary
reading does not leave blank, even where it hides a part of it: digests that libraries hold must not change. What it
hides, :mod:`~lookalike.imaging.hidden_content` tells.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from PIL import Image

from lookalike.imaging.animation import Frame, later_frames
from lookalike.imaging.exif_orientation import upright
from lookalike.imaging.headers.png import low_bytes
from lookalike.imaging.picture_file import PictureFile

#: Everything that our reading of headers and Pillow's decoders were seen to raise on millions of broken files.
DECODE_ERRORS = (IndexError, KeyError, OSError, SyntaxError, ValueError, struct.error)

Colour = tuple[int, int, int]

_WHITE: Colour = (255, 255, 255)

# No picture that is opaque has just this ground, so white ink on it is not taken for a white drawing on black.
_DARK: Colour = (21, 23, 26)

# Later frames are looked at of animations of up to so many pixels (WebP takes 32 bytes a pixel for that, so no more
# memory than the largest still). At most so many frames, and so many pixels of all of them together: as one more still
# of the largest size has.
_MAX_CANVAS_PIXELS = 2048 * 2048
_MAX_FRAMES = 256
_MAX_FRAME_PIXELS = 4096 * 4096

#: Rows that are turned to RGB at a time, so that no second copy of the whole picture is made.
_BAND_ROWS = 64


@dataclass(frozen=True, slots=True)
class Rendering:
    """A decoded picture, and the ``background`` that what is transparent is laid on; None: alpha is ignored.

    ``whole`` is the picture as its file has it, with alpha and high bytes, where ``image`` is not.
    """

    image: Image.Image
    background: Colour | None = _WHITE
    whole: Image.Image | None = None

    def upright(self, exif: bytes) -> Rendering:
        """The picture turned as its EXIF block asks."""
        whole = None if self.whole is None else upright(self.whole, exif)
        return replace(self, image=upright(self.image, exif), whole=whole)

    def rgb(self) -> Image.Image:
        """The whole picture in mode RGB."""
        return flatten(self.image, self.background)

    def bands(self) -> Iterator[Image.Image]:
        """The picture in mode RGB, from top to bottom, a band of rows at a time."""
        for band in row_bands(self.image):
            yield flatten(band, self.background)

    def single_colour(self) -> Colour | None:
        """Return the one colour that all pixels have; None if they differ."""
        colour = b""
        for band in self.bands():
            data = band.tobytes()
            colour = colour or data[:3]
            if data != colour * (len(data) // 3):
                return None
        red, green, blue = colour
        return red, green, blue


def render(file: PictureFile, image: Image.Image) -> Rendering:
    """Return the reading of a container's ``image`` that shows something, or its ordinary one if none does.

    Raises what decoders raise, and NotAPicture for an animation that shows nothing before it is broken or cut short.
    """
    ordinary = Rendering(image)
    if file.format == "JPEG":  # has no alpha, no frames, and 8 bits
        return ordinary
    single_colour = ordinary.single_colour()
    if single_colour is None:
        return ordinary
    other = next((one for one in _alternatives(file, image, single_colour) if one.single_colour() is None), None)
    return ordinary if other is None else other


def _alternatives(file: PictureFile, image: Image.Image, single_colour: Colour) -> Iterator[Rendering]:
    """Yield the other readings of a picture whose ordinary one is a flat ``single_colour``."""
    if has_alpha(image):
        yield Rendering(image, _DARK)
    yield from _frame_renderings(file, single_colour, transparent=has_alpha(image))
    if has_alpha(image):
        yield Rendering(image, None)
    low = low_bytes(file)
    if low is not None:
        yield Rendering(low, None, image)


def _frame_renderings(file: PictureFile, single_colour: Colour, *, transparent: bool) -> Iterator[Rendering]:
    """Yield the readings of later frames. The caller asks for the next one only if all before it are flat."""
    pixels = max(1, file.width * file.height)
    count = min(_MAX_FRAMES, _MAX_FRAME_PIXELS // pixels) if pixels <= _MAX_CANVAS_PIXELS else 0
    for frame in islice(later_frames(file), count):
        image = frame.still.image()
        laid = _on_canvas(file, frame, image, single_colour)
        whole = _on_transparent_canvas(file, frame, image) if transparent else None
        yield Rendering(laid, whole=whole)
        if transparent or has_alpha(image):
            yield Rendering(_on_canvas(file, frame, image, _DARK), whole=whole)
        single_colour = Rendering(laid.crop((0, 0, 1, 1))).single_colour() or single_colour


def _on_canvas(file: PictureFile, frame: Frame, image: Image.Image, background: Colour) -> Image.Image:
    """Return the frame's image on a canvas of one colour."""
    canvas = Image.new("RGB", (file.width, file.height), background)
    canvas.paste(flatten(image, background), (frame.left, frame.top))
    return canvas


def _on_transparent_canvas(file: PictureFile, frame: Frame, image: Image.Image) -> Image.Image:
    """Return the frame's image on a transparent canvas."""
    canvas = Image.new("RGBA", (file.width, file.height))
    canvas.paste(image.convert("RGBA"), (frame.left, frame.top))
    return canvas


def has_alpha(image: Image.Image) -> bool:
    """Return whether pixels of the image may be transparent."""
    return image.mode in ("LA", "RGBA") or "transparency" in image.info


def row_bands(image: Image.Image) -> Iterator[Image.Image]:
    """Yield the image from top to bottom, a band of rows at a time."""
    width, height = image.size
    for top in range(0, height, _BAND_ROWS):
        yield image.crop((0, top, width, min(top + _BAND_ROWS, height)))


def flatten(image: Image.Image, background: Colour | None) -> Image.Image:
    """Return the picture in mode RGB, on that ground; None: without its alpha."""
    if image.mode == "I;16":
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if has_alpha(image):
        picture = image if image.mode == "RGBA" else image.convert("RGBA")
        if background is None:
            return picture.convert("RGB")
        opaque = Image.new("RGB", picture.size, background)
        opaque.paste(picture, mask=picture)
        return opaque
    return image.convert("RGB") if image.mode != "RGB" else image
