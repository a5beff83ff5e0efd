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
from lookalike.imaging.file_headers import Container

#: Everything that our reading of headers and Pillow's decoders were seen to raise on millions of broken files.
BROKEN = (IndexError, KeyError, OSError, SyntaxError, ValueError, struct.error)

Colour = tuple[int, int, int]

_WHITE: Colour = (255, 255, 255)

# No picture that is opaque has just this ground, so white ink on it is not taken for a white drawing on black.
_DARK: Colour = (21, 23, 26)

# Later frames are looked at of animations of up to so many pixels (WebP takes 32 bytes a pixel for that, so no more
# memory than the largest still). At most so many frames, and so many pixels of all of them together: as one more still
# of the largest size has.
_MAX_CANVAS = 2048 * 2048
_MAX_FRAMES = 256
_MAX_FRAME_PIXELS = 4096 * 4096

#: Rows that are turned to RGB at a time, so that no second copy of the whole picture is made.
_BAND = 64


@dataclass(frozen=True, slots=True)
class Reading:
    """A decoded picture, and the ``ground`` that what is transparent is laid on; None: alpha is ignored.

    ``whole`` is the picture as its file has it, with alpha and high bytes, where ``image`` is not.
    """

    image: Image.Image
    ground: Colour | None = _WHITE
    whole: Image.Image | None = None

    def upright(self, exif: bytes) -> Reading:
        """The picture turned as its EXIF block asks."""
        whole = None if self.whole is None else upright(self.whole, exif)
        return replace(self, image=upright(self.image, exif), whole=whole)

    def rgb(self) -> Image.Image:
        """The whole picture in mode RGB."""
        return rgb_of(self.image, self.ground)

    def bands(self) -> Iterator[Image.Image]:
        """The picture in mode RGB, from top to bottom, a band of rows at a time."""
        for band in bands_of(self.image):
            yield rgb_of(band, self.ground)

    def sheet(self) -> Colour | None:
        """Return the one colour that all pixels have; None if they differ."""
        colour = b""
        for band in self.bands():
            data = band.tobytes()
            colour = colour or data[:3]
            if data != colour * (len(data) // 3):
                return None
        red, green, blue = colour
        return red, green, blue


def reading(container: Container, image: Image.Image) -> Reading:
    """Return the reading of a container's ``image`` that shows something, or its ordinary one if none does.

    Raises what decoders raise, and NotAPicture for an animation that shows nothing before it is broken or cut short.
    """
    ordinary = Reading(image)
    if container.format == "JPEG":  # has no alpha, no frames, and 8 bits
        return ordinary
    sheet = ordinary.sheet()
    if sheet is None:
        return ordinary
    other = next((one for one in _others(container, image, sheet) if one.sheet() is None), None)
    return ordinary if other is None else other


def _others(container: Container, image: Image.Image, sheet: Colour) -> Iterator[Reading]:
    """Yield the other readings of a picture whose ordinary one is a flat ``sheet``."""
    if has_alpha(image):
        yield Reading(image, _DARK)
    yield from _of_frames(container, sheet, transparent=has_alpha(image))
    if has_alpha(image):
        yield Reading(image, None)
    low = container.low_bytes()
    if low is not None:
        yield Reading(low, None, image)


def _of_frames(container: Container, sheet: Colour, *, transparent: bool) -> Iterator[Reading]:
    """Yield the readings of later frames. The caller asks for the next one only if all before it are flat."""
    pixels = max(1, container.width * container.height)
    count = min(_MAX_FRAMES, _MAX_FRAME_PIXELS // pixels) if pixels <= _MAX_CANVAS else 0
    for frame in islice(later_frames(container), count):
        image = frame.still.image()
        laid = _laid(container, frame, image, sheet)
        whole = _on_nothing(container, frame, image) if transparent else None
        yield Reading(laid, whole=whole)
        if transparent or has_alpha(image):
            yield Reading(_laid(container, frame, image, _DARK), whole=whole)
        sheet = Reading(laid.crop((0, 0, 1, 1))).sheet() or sheet


def _laid(container: Container, frame: Frame, image: Image.Image, ground: Colour) -> Image.Image:
    """Return the frame's image on a canvas of one colour."""
    canvas = Image.new("RGB", (container.width, container.height), ground)
    canvas.paste(rgb_of(image, ground), (frame.left, frame.top))
    return canvas


def _on_nothing(container: Container, frame: Frame, image: Image.Image) -> Image.Image:
    """Return the frame's image on a transparent canvas."""
    canvas = Image.new("RGBA", (container.width, container.height))
    canvas.paste(image.convert("RGBA"), (frame.left, frame.top))
    return canvas


def has_alpha(image: Image.Image) -> bool:
    """Return whether pixels of the image may be transparent."""
    return image.mode in ("LA", "RGBA") or "transparency" in image.info


def bands_of(image: Image.Image) -> Iterator[Image.Image]:
    """Yield the image from top to bottom, a band of rows at a time."""
    width, height = image.size
    for top in range(0, height, _BAND):
        yield image.crop((0, top, width, min(top + _BAND, height)))


def rgb_of(image: Image.Image, ground: Colour | None) -> Image.Image:
    """Return the picture in mode RGB, on that ground; None: without its alpha."""
    if image.mode == "I;16":
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if has_alpha(image):
        picture = image if image.mode == "RGBA" else image.convert("RGBA")
        if ground is None:
            return picture.convert("RGB")
        opaque = Image.new("RGB", picture.size, ground)
        opaque.paste(picture, mask=picture)
        return opaque
    return image.convert("RGB") if image.mode != "RGB" else image
