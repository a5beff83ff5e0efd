"""What a picture file says of itself, and the part of it that is decoded.

A picture's header is read here, before any decoder sees a byte: which format it is (by content, never by a
name), its size, its EXIF block. Of JPEG and PNG, what pixels do not depend on is cut out: texts, colour profiles,
thumbnails, comments, further pictures; of GIF, what stands before the first image. So it can neither eat memory nor
make a decoder stumble or warn. What is left in (later frames of a GIF, anything in BMP and WebP) costs no more than
the file weighs: it is never decoded.

A broken file raises :class:`~lookalike.errors.NotAPicture`, or, where reading it ran past its end,
IndexError or struct.error; :mod:`~lookalike.picture.decode` makes one of the three.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from lookalike.errors import NotAPicture


@dataclass(frozen=True, slots=True)
class Container:
    """An opened picture file.

    ``width`` and ``height`` are the header's, in pixels, before orientation. ``essence`` is a file of the same
    format that decodes to the same first frame, without what the decoder might stumble over. ``exif`` is a TIFF structure or empty.
    """

    format: str
    width: int
    height: int
    essence: bytes
    exif: bytes = b""

    def image(self) -> ImageFile:
        """The picture, to be decoded by Pillow's decoder for this format and no other."""
        image = _DECODERS[self.format](BytesIO(self.essence))
        if image.size != (self.width, self.height):
            raise NotAPicture(f"{self.format}: contradicts itself about its size")
        return image


def open_container(data: bytes, formats: frozenset[str]) -> Container:
    """Read a picture file's header. Only ``formats`` (of JPEG, PNG, BMP, GIF, WEBP) are looked at.

    Raises NotAPicture for all else, and IndexError or struct.error where the file ends too early.
    """
    for name, signature, reader in _READERS:
        if name in formats and signature.match(data):
            return reader(data)
    raise NotAPicture(f"not one of {', '.join(sorted(formats))}")


# JPEG: ITU-T T.81, annex B

_EOI, _SOS, _APP0, _APP1, _APP14 = 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0…SOF15; the three are DHT, JPG, DAC
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})  # DHT, DAC, DQT, DRI
# What ends a stretch of coded data: neither stuffing (00), nor TEM (01), nor a restart (D0…D7).
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
# Every scan is a pass over the whole picture, so a small file can ask for hours of work. libjpeg's own
# progressive script has 10 scans.
_MAX_SCANS = 64
# The longest of colour profiles takes 255 segments.
_MAX_SEGMENTS = 4096


class _Segment(NamedTuple):
    marker: int
    start: int
    parameters: bytes
    end: int


def _segments(data: bytes) -> Iterator[_Segment]:
    """The segments of the first image; the last is EOI, which stands at the end of the file if it is missing."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(data, position)
        if found is None:
            yield _Segment(_EOI, len(data), b"", len(data))
            return
        marker, start, position = found[1][0], found.start(), found.end()
        if marker == _EOI:
            yield _Segment(_EOI, start, b"", position)
            return
        (length,) = struct.unpack_from(">H", data, position)
        yield _Segment(marker, start, data[position + 2 : position + length], position + length)
        position += length
    raise NotAPicture("JPEG: too many segments")


def _shapes_jpeg(segment: _Segment) -> bool:
    """Whether pixels depend on it: frame, tables, and the two segments that tell the colour space."""
    return (
        segment.marker in _FRAMES | _TABLES
        or (segment.marker == _APP0 and segment.parameters.startswith(b"JFIF\0"))
        or (segment.marker == _APP14 and segment.parameters.startswith(b"Adobe"))
    )


def _jpeg(data: bytes) -> Container:
    """The first image of the file (phones append others, MPO)."""
    segments = list(_segments(data))
    scans = [segment.start for segment in segments if segment.marker == _SOS]
    if not 1 <= len(scans) <= _MAX_SCANS:
        raise NotAPicture(f"JPEG: {len(scans)} scans")
    header = [segment for segment in segments if segment.start < scans[0]]
    frames = [segment.parameters for segment in header if segment.marker in _FRAMES]
    if len(frames) != 1:
        raise NotAPicture(f"JPEG: {len(frames)} frames")
    height, width = struct.unpack_from(">HH", frames[0], 1)
    essence = [data[segment.start : segment.end] for segment in header if _shapes_jpeg(segment)]
    exif = [s.parameters[6:] for s in header if s.marker == _APP1 and s.parameters.startswith(b"Exif\0\0")]
    return Container(
        "JPEG", width, height, b"".join([data[:2], *essence, data[scans[0] : segments[-1].end]]), b"".join(exif[:1])
    )


# PNG: W3C Recommendation, third edition, 5.3 and 11

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3  # the colour type
_SCALES = {1: 1, 2: 85, 4: 17, 8: 1}  # from a grey sample of so many bits to one of 8; at 1 bit any non-zero is white


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of the chunks before IEND that matter here, each as its CRC says."""
    position = len(_SIGNATURE)
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        (crc,) = struct.unpack_from(">I", data, position + 8 + length)
        position += 12 + length
        if kind == b"IEND":
            return
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf"):
            if crc != zlib.crc32(content, zlib.crc32(kind)):
                raise NotAPicture(f"PNG: {kind.decode()} does not match its checksum")
            yield kind, content


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))


def _colour_key(content: bytes, depth: int, colour: int) -> bytes:
    """The transparency chunk on the scale of 8-bit samples, where the decoder looks for it.

    Nothing where there is none, nor for 16-bit samples, of which the decoder keeps the high byte only.
    """
    if colour == _PALETTE or not content:
        return content
    return b"".join(struct.pack(">H", value * _SCALES[depth]) for (value,) in struct.iter_unpack(">H", content))


def _png(data: bytes) -> Container:
    """The picture without its texts and profiles; of an animated one, the still picture that it also is."""
    chunks: dict[bytes, list[bytes]] = {}
    for kind, content in _chunks(data):
        chunks.setdefault(kind, []).append(content)
    header, palette, key, exif = (b"".join(chunks.get(kind, [])[:1]) for kind in (b"IHDR", b"PLTE", b"tRNS", b"eXIf"))
    width, height, depth, colour = struct.unpack_from(">IIBB", header)
    key = b"" if depth == 16 else _colour_key(key, depth, colour)
    essence = [(b"IHDR", header), (b"PLTE", palette), (b"tRNS", key), (b"IDAT", b"".join(chunks.get(b"IDAT", [])))]
    kept = [_chunk(kind, content) for kind, content in essence if content]
    return Container("PNG", width, height, b"".join([_SIGNATURE, *kept, _chunk(b"IEND", b"")]), exif)


# GIF: CompuServe, Graphics Interchange Format 89a

_EXTENSION, _IMAGE, _TRAILER, _GRAPHIC_CONTROL = 0x21, 0x2C, 0x3B, 0xF9


def _table_length(flags: int) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif(data: bytes) -> Container:
    """Screen, palette, transparency and the first image; like every viewer, the screen grows with the image."""
    screen_width, screen_height, flags = struct.unpack_from("<HHB", data, 6)
    screen_end = position = 13 + _table_length(flags)
    control = b""
    while data[position] != _IMAGE:
        if data[position] == _TRAILER:
            raise NotAPicture("GIF: no image in it")
        if data[position] != _EXTENSION:
            raise NotAPicture("GIF: neither image nor extension")
        if data[position + 1] == _GRAPHIC_CONTROL and data[position + 2] == 4:
            control = data[position : position + 7] + b"\0"
        position += 2
        while data[position]:
            position += data[position] + 1
        position += 1
    left, top, width, height = struct.unpack_from("<HHHH", data, position + 1)
    essence = data[:screen_end] + control + data[position:]
    return Container("GIF", max(screen_width, left + width), max(screen_height, top + height), essence)


# BMP: Microsoft, BITMAPCOREHEADER and BITMAPINFOHEADER

_CORE_HEADER = 12


def _bmp(data: bytes) -> Container:
    """A file that has nothing to leave out."""
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == _CORE_HEADER else "<ii", data, 18)
    return Container("BMP", width, abs(height), data)


# WebP: RFC 9649, 2.3 to 2.7


def _webp(data: bytes) -> Container:
    """The file as it is: its decoder reads one frame, and nothing of the rest."""
    kind = data[12:16]
    if kind == b"VP8X":
        (sides,) = struct.unpack_from("<Q", data[24:30] + b"\0\0")
        return Container("WEBP", (sides & 0xFFFFFF) + 1, (sides >> 24) + 1, data, _webp_exif(data))
    if kind == b"VP8L":
        (sides,) = struct.unpack_from("<I", data, 21)
        return Container("WEBP", (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1, data)
    width, height = struct.unpack_from("<HH", data, 26)
    return Container("WEBP", width & 0x3FFF, height & 0x3FFF, data)


def _webp_exif(data: bytes) -> bytes:
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            return data[position + 8 : position + 8 + length].removeprefix(b"Exif\0\0")
        position += 8 + length + length % 2
    return b""


_READERS: tuple[tuple[str, re.Pattern[bytes], Callable[[bytes], Container]], ...] = (
    ("JPEG", re.compile(rb"\xff\xd8\xff"), _jpeg),
    ("PNG", re.compile(re.escape(_SIGNATURE)), _png),
    ("GIF", re.compile(rb"GIF8[79]a"), _gif),
    ("BMP", re.compile(rb"BM"), _bmp),
    ("WEBP", re.compile(rb"RIFF....WEBPVP8[ LX]", re.DOTALL), _webp),
)
_DECODERS: dict[str, Callable[[BytesIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "WEBP": WebPImageFile,
}
