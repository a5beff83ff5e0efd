"""Renders decoded pictures as RGB.

The ordinary rendering composites transparency on white, and takes the first frame and the high byte of 16-bit samples.
Identity depends on it. It turns some files into a single colour although they show something, so that two such files
would be the same picture. Those are rendered in the first of these ways that gives more than one colour:

1. on a dark background, for white ink on a transparent one;
2. the frames after the first, each on the single colour that those before it show, then on the dark background;
3. without alpha, where everything is fully transparent;
4. the low bytes of 16-bit samples.

A picture of a single colour in all these ways keeps its ordinary rendering. So does every picture with more than one
colour in it, even where a part is invisible: digests in libraries must not change.
:mod:`~lookalike.imaging.hidden_content` digests the invisible part.
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

#: Exceptions that the header readers and Pillow's decoders were seen to raise on millions of broken files.
DECODE_ERRORS = (IndexError, KeyError, OSError, SyntaxError, ValueError, struct.error)

#: What is said of a file on which they are raised: their own words are of decoders, and help nobody.
BROKEN = "broken: cut short, or not as its format has it"

Colour = tuple[int, int, int]

_WHITE: Colour = (255, 255, 255)

# An unusual colour, so that white ink on transparency is not taken for an opaque white drawing on black.
_DARK: Colour = (21, 23, 26)

#: Pixels of an animation whose later frames are decoded. WebP takes 32 bytes a pixel for that, so no more memory than
#: for the largest still picture.
_MAX_CANVAS_PIXELS = 2048 * 2048

#: Later frames that are decoded.
_MAX_FRAMES = 256

#: Pixels of all decoded later frames together: those of one more still picture of the largest size.
_MAX_FRAME_PIXELS = 4096 * 4096

#: Rows converted to RGB at a time, so that no second copy of the whole picture is made.
_BAND_ROWS = 64


@dataclass(frozen=True, slots=True)
class Rendering:
    """A decoded picture and the way it becomes RGB.

    Attributes
    ----------
    image : the decoded image, in the mode of its file.
    background : the colour under transparent pixels; None ignores alpha.
    whole : the image before conversion, with alpha or 16-bit samples; None if ``image`` has all of it.
    """

    image: Image.Image
    background: Colour | None = _WHITE
    whole: Image.Image | None = None

    def upright(self, exif: bytes) -> Rendering:
        """Return the rendering with EXIF orientation applied."""
        whole = None if self.whole is None else upright(self.whole, exif)
        return replace(self, image=upright(self.image, exif), whole=whole)

    def rgb(self) -> Image.Image:
        """Return the whole picture in mode RGB."""
        return flatten(self.image, self.background)

    def bands(self) -> Iterator[Image.Image]:
        """Yield the picture in mode RGB, from top to bottom, a band of rows at a time."""
        for band in row_bands(self.image):
            yield flatten(band, self.background)

    def single_colour(self) -> Colour | None:
        """Return the colour that all pixels have; None if they differ."""
        colour = b""
        for band in self.bands():
            data = band.tobytes()
            colour = colour or data[:3]
            if data != colour * (len(data) // 3):
                return None
        red, green, blue = colour
        return red, green, blue


def render(file: PictureFile, image: Image.Image) -> Rendering:
    """Return the first rendering of a file's ``image`` with more than one colour, or its ordinary one if none has.

    Raises DECODE_ERRORS, and NotAPicture for an animation of a single colour up to the point where it is broken.
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
    """Yield the other renderings of a picture whose ordinary one is a ``single_colour``."""
    if has_alpha(image):
        yield Rendering(image, _DARK)
    yield from _frame_renderings(file, single_colour, transparent=has_alpha(image))
    if has_alpha(image):
        yield Rendering(image, None)
    low = low_bytes(file)
    if low is not None:
        yield Rendering(low, None, image)


def _frame_renderings(file: PictureFile, single_colour: Colour, *, transparent: bool) -> Iterator[Rendering]:
    """Yield the renderings of later frames. Each assumes that all renderings before it are a single colour."""
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
    """Return the frame's image on a canvas of one colour, in mode RGB."""
    canvas = Image.new("RGB", (file.width, file.height), background)
    canvas.paste(flatten(image, background), (frame.left, frame.top))
    return canvas


def _on_transparent_canvas(file: PictureFile, frame: Frame, image: Image.Image) -> Image.Image:
    """Return the frame's image on a transparent canvas, in mode RGBA."""
    canvas = Image.new("RGBA", (file.width, file.height))
    canvas.paste(image.convert("RGBA"), (frame.left, frame.top))
    return canvas


def has_alpha(image: Image.Image) -> bool:
    """Return whether the image has transparency of any sort."""
    return image.mode in ("LA", "RGBA") or "transparency" in image.info


def row_bands(image: Image.Image) -> Iterator[Image.Image]:
    """Yield the image from top to bottom, a band of rows at a time."""
    width, height = image.size
    for top in range(0, height, _BAND_ROWS):
        yield image.crop((0, top, width, min(top + _BAND_ROWS, height)))


def flatten(image: Image.Image, background: Colour | None) -> Image.Image:
    """Return the image in mode RGB, composited on the background; None ignores alpha."""
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
