"""An opened picture file: the facts of its header, and the bytes that are handed to a decoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from lookalike.errors import NotAPicture

_DECODERS: Mapping[str, Callable[[BytesIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "WEBP": WebPImageFile,
}


@dataclass(frozen=True, slots=True)
class PictureFile:
    """An opened picture file.

    Attributes
    ----------
    width, height : the header's, in pixels, before EXIF orientation is applied.
    first_frame : a file of the same format that decodes to the same first frame, without anything else.
    exif : the EXIF block, a TIFF structure; empty if there is none.
    data : the whole file as it was received, later frames of an animation included.
    fault : why the file should not be decoded; empty if it should.
    endings : possible endings of a ``first_frame`` that lacks its own; empty if it is complete. All endings decode to
        the same pixels unless coded data is missing as well.
    """

    format: str
    width: int
    height: int
    first_frame: bytes
    exif: bytes = b""
    data: bytes = b""
    fault: str = ""
    endings: tuple[bytes, ...] = ()

    def check(self) -> None:
        """Raise NotAPicture if pixels are missing, or decoding would cost more than a picture of this size may."""
        if self.fault:
            raise NotAPicture(f"{self.format}: {self.fault}")

    def image(self) -> ImageFile:
        """Open the first frame with Pillow's decoder for this format and no other. Raises NotAPicture."""
        image = self._open(self.first_frame)
        if not self.endings or _decodes(image):
            return image
        coded = self.first_frame.removesuffix(b"\xff")  # the first byte of EOI may be present
        first, *others = (coded + ending for ending in self.endings)
        digest = self._pixel_digest(first)
        if any(self._pixel_digest(other) != digest for other in others):
            raise NotAPicture(f"{self.format}: cut short")
        return self._open(first)

    def _open(self, first_frame: bytes) -> ImageFile:
        image = _DECODERS[self.format](BytesIO(first_frame))
        if image.size != (self.width, self.height):
            raise NotAPicture(f"{self.format}: contradicts itself about its size")
        return image

    def _pixel_digest(self, first_frame: bytes) -> bytes:
        return hashlib.sha256(self._open(first_frame).tobytes()).digest()


def _decodes(image: ImageFile) -> bool:
    """Decode the image in place; return whether that succeeded."""
    try:
        image.load()
    except OSError:
        return False
    return True
