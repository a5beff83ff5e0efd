"""Pictures as they arrive from a disk: too large for a library, or in formats that libraries do not keep.

They are decoded here once and written anew, as a picture that every library takes. So no format but those of
:mod:`~lookalike.imaging.decode` is ever stored as the picture that searches compare with.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np
from PIL import Image, ImageOps
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from lookalike.errors import NotAPicture, PictureSizeError
from lookalike.imaging.decode import Bounds
from lookalike.imaging.file_headers import open_picture_file
from lookalike.imaging.signatures import format_of
from lookalike.imaging.to_rgb import BROKEN, DECODE_ERRORS

#: Bytes of a file as it arrives, and is kept beside the picture that is made of it.
MAX_ARRIVING_BYTES = 64 * 1024 * 1024

#: Pixels of a picture as it arrives: telephones' largest have 108 million. Decoded, three bytes each.
MAX_ARRIVING_PIXELS = 120_000_000

#: Longest side of the picture that is made of it, in pixels: the shortest longest side that any dialect allows.
FITTED_SIDE = 4096

#: Qualities of JPEG that are tried until the file is small enough.
_QUALITIES = (95, 85, 75, 60)

#: Formats without losses, whose pictures are written as PNG if that is small enough.
_LOSSLESS = frozenset({"PNG", "BMP", "GIF", "TIFF"})

_DECODERS: Mapping[str, Callable[[io.BytesIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "WEBP": WebPImageFile,
    "TIFF": TiffImageFile,
    "AVIF": AvifImageFile,
}

#: Brands of ISO base media files (ISO/IEC 14496-12), by format.
_BRANDS = {"AVIF": (b"avif", b"avis"), "HEIC": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")}

#: What decoders raise for broken files, beside what those of libraries' formats raise.
_ERRORS = (*DECODE_ERRORS, EOFError, TypeError)

#: One large picture is decoded at a time: each takes up to 360 MB.
_LARGE = threading.Lock()


def is_arriving(data: bytes) -> bool:
    """Whether the data begin like a picture of a format that is written anew."""
    return arriving_format(data) is not None


def arriving_format(data: bytes) -> str | None:
    """Return TIFF, AVIF or HEIC; None for any other data."""
    if data.startswith((b"II*\0", b"MM\0*")):
        return "TIFF"
    if data[4:8] != b"ftyp":
        return None
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(len(data), 64), 4))}
    return next((name for name, known in _BRANDS.items() if brands & set(known)), None)


def fitted(data: bytes, bounds: Bounds) -> bytes | None:
    """Return a file of the same picture that the bounds allow; None if they allow this one, or nothing can be made of it.

    Its longer side has 4096 pixels at most; it is upright, opaque (on white), without metadata, and of an animation the first frame.
    What is no picture is left to the caller, whose decoder says so. Raises PictureSizeError if the file or the picture is
    larger than may arrive, and NotAPicture if a TIFF, AVIF or HEIC cannot be decoded.
    """
    name = format_of(data)
    if name is None:
        arriving = arriving_format(data)
        return None if arriving is None else _written(data, arriving, bounds)
    if len(data) <= bounds.max_bytes and not _is_too_large(data, bounds):
        return None
    return _written(data, name, bounds)


def _is_too_large(data: bytes, bounds: Bounds) -> bool:
    try:
        file = open_picture_file(data, bounds.formats)
    except (*DECODE_ERRORS, NotAPicture):
        return False
    return max(file.width, file.height) > bounds.max_side or file.width * file.height > bounds.max_pixels


def _written(data: bytes, name: str, bounds: Bounds) -> bytes:
    if len(data) > MAX_ARRIVING_BYTES:
        raise PictureSizeError(f"{len(data)} bytes, more than {MAX_ARRIVING_BYTES}")
    try:
        with _LARGE, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken metadata, which is not read
            image = _opened(data, name)
            return _encoded(_opaque(image), bounds.max_bytes, lossless=name in _LOSSLESS)
    except _ERRORS as reason:
        raise NotAPicture(f"{name}: {BROKEN}") from reason


def _opened(data: bytes, name: str) -> Image.Image:
    image = _heic(data) if name == "HEIC" else _DECODERS[name](io.BytesIO(data))
    _check_pixels(*image.size)
    if isinstance(image, JpegImageFile):
        image.draft("RGB", (FITTED_SIDE, FITTED_SIDE))
    upright = ImageOps.exif_transpose(image)
    upright.load()
    return upright


def _heic(data: bytes) -> Image.Image:
    """Open a picture of the HEIF family upright, for which a package of its own is needed. Raises NotAPicture without it.

    Raises PictureSizeError before anything is decoded, as all of it is then.
    """
    if find_spec("pillow_heif") is None:
        raise NotAPicture("HEIC is read where pillow-heif is installed: pip install 'pillow-heif==1.8.1'")
    import pillow_heif  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - an extra

    file = pillow_heif.open_heif(io.BytesIO(data))
    _check_pixels(*file.size)
    opened: Image.Image = file.to_pillow()
    return opened


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_ARRIVING_PIXELS:
        raise PictureSizeError(f"{width}×{height} pixels, more than {MAX_ARRIVING_PIXELS}")


def _opaque(image: Image.Image) -> Image.Image:
    """Return the picture in RGB, on white, its longer side within FITTED_SIDE."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = _stretched(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        above = image.convert("RGBA")
        image = Image.new("RGBA", above.size, "white")
        image.alpha_composite(above)
    image = image.convert("RGB")
    image.thumbnail((FITTED_SIDE, FITTED_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image


def _stretched(image: Image.Image) -> Image.Image:
    """Return a picture of 32 bits a sample in grey: its values from least to greatest."""
    values = np.nan_to_num(np.asarray(image, np.float64))
    least, greatest = float(np.min(values)), float(np.max(values))
    scale = 255 / (greatest - least) if greatest > least else 0.0
    return Image.fromarray(((values - least) * scale).astype(np.uint8))


def _encoded(image: Image.Image, max_bytes: int, *, lossless: bool) -> bytes:
    """Return a file of the pixels alone. Raises PictureSizeError if none is small enough."""
    pixels = Image.frombuffer("RGB", image.size, image.tobytes())
    if lossless:
        file = io.BytesIO()
        pixels.save(file, "PNG", compress_level=3)
        if file.tell() <= max_bytes:
            return file.getvalue()
    for quality in _QUALITIES:
        file = io.BytesIO()
        pixels.save(file, "JPEG", quality=quality, subsampling=0 if quality == _QUALITIES[0] else 2)
        if file.tell() <= max_bytes:
            return file.getvalue()
    raise PictureSizeError(f"{file.tell()} bytes once it is scaled down, more than {max_bytes}")
