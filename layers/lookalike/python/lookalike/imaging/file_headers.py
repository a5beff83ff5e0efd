"""What a picture file says of itself, and the part of it that is decoded.

A picture's header is read here, before any decoder sees a byte: which format it is (by content, never by a
name), its size, its EXIF block. Of JPEG and PNG, what pixels do not depend on is cut out: texts, colour profiles,
thumbnails, comments, further pictures; of GIF, what stands before the first image. So it can neither eat memory nor
make a decoder stumble or warn. What is left in (later frames of a GIF, anything in BMP and WebP) costs no more than
the file weighs: it is never decoded.

A file that lacks only what stands behind its last pixel (a trailer, a checksum, padding, a text) is whole: what it
lacks is put back for the decoder. Where pixels may be missing nothing is put back, and the decoder refuses the file.

A broken file raises :class:`~lookalike.errors.NotAPicture`, or, where reading it ran past its end,
IndexError or struct.error; :mod:`~lookalike.imaging.decode` makes one of the three.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import NamedTuple

from PIL import Image
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
    format that decodes to the same first frame, without what the decoder might stumble over. ``exif`` is a TIFF
    structure or empty. ``file`` is the file as it came, with the later frames of an animation. ``fault`` says why the
    picture should not be decoded, or is empty. ``fillings`` are given where ``essence`` lacks its end: ways to end it,
    all of which decode to the same pixels if no coded data is missing.
    """

    format: str
    width: int
    height: int
    essence: bytes
    exif: bytes = b""
    file: bytes = b""
    fault: str = ""
    fillings: tuple[bytes, ...] = ()

    def check(self) -> None:
        """Raise NotAPicture if decoding takes more work than a picture of this size is worth, or pixels are missing."""
        if self.fault:
            raise NotAPicture(f"{self.format}: {self.fault}")

    def image(self) -> ImageFile:
        """The picture, to be decoded by Pillow's decoder for this format and no other."""
        image = self._open(self.essence)
        if not self.fillings or _loads(image):
            return image
        coded = self.essence.removesuffix(b"\xff")  # of EOI the first byte may be there
        first, *others = (coded + filling for filling in self.fillings)
        digest = self._digest(first)
        if any(self._digest(other) != digest for other in others):
            raise NotAPicture(f"{self.format}: cut short")
        return self._open(first)

    def _open(self, essence: bytes) -> ImageFile:
        image = _DECODERS[self.format](BytesIO(essence))
        if image.size != (self.width, self.height):
            raise NotAPicture(f"{self.format}: contradicts itself about its size")
        return image

    def _digest(self, essence: bytes) -> bytes:
        return hashlib.sha256(self._open(essence).tobytes()).digest()

    def low_bytes(self) -> Image.Image | None:
        """Return the picture that the low bytes of 16-bit samples make, alpha's too; None if they have 8 bits."""
        if self.format != "PNG" or self.essence[_DEPTH_AT] != 16:
            return None
        if channel := _LOW_CHANNELS.get(self.essence[_COLOUR_AT]):
            colour, names = channel
            bytes_of_samples = _DECODERS["PNG"](BytesIO(_with_8_bits(self.essence, colour)))
            return Image.merge("LA"[: len(names)], [bytes_of_samples.getchannel(name) for name in names])
        image = self.image()
        (tile,) = image.tile
        # Pillow's name for 16-bit samples whose high byte comes second: of those here it is the low byte.
        image.tile = [tile._replace(args=f"{image.mode};16L")]
        image.load()
        return image


def open_container(data: bytes, formats: frozenset[str]) -> Container:
    """Read a picture file's header. Only ``formats`` (of JPEG, PNG, BMP, GIF, WEBP) are looked at.

    Raises NotAPicture for all else, and IndexError or struct.error where the file ends too early.
    """
    for name, signature, reader in _READERS:
        if name in formats and signature.match(data):
            return replace(reader(data), file=data)
    raise NotAPicture(f"not one of {', '.join(sorted(formats))}")


def _loads(image: ImageFile) -> bool:
    """Return whether the image can be decoded; if so, it is from now on."""
    try:
        image.load()
    except OSError:
        return False
    return True


def is_signed(data: bytes) -> bool:
    """Return whether the data begin as a picture file of a format that is decoded does."""
    return any(signature.match(data) for _, signature, _ in _READERS)


# JPEG: ITU-T T.81, annex B

_EOI, _SOS, _DRI, _APP0, _APP1, _APP14 = 0xD9, 0xDA, 0xDD, 0xE0, 0xE1, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0…SOF15; the three are DHT, JPG, DAC
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})  # DHT, DAC, DQT, DRI
_CODES_PER_BLOCK = {0xC0: 2, 0xC1: 2, 0xC2: 1}  # baseline, extended sequential, progressive; all with Huffman codes
_SEQUENTIAL = frozenset({0xC0, 0xC1})
# What may stand in the place of a missing EOI: coded data that begins with each of the eight combinations of three bits
# and goes on as if at random for as long as the largest unit (10 blocks of 64 codes with their bits) can need, then EOI.
# If pixels depend on which, the file lacks more than EOI.
_UNIT_BYTES = 2080
_FILLINGS = tuple(
    bytes((first,)) + hashlib.shake_256(bytes((first,))).digest(_UNIT_BYTES).replace(b"\xff", b"\xff\0") + b"\xff\xd9"
    for first in range(0x0F, 0x100, 0x20)
)
# So often a larger picture would take too long to decode.
_MAX_OPEN_PIXELS = 8 << 20
# What ends a stretch of coded data: neither stuffing (00), nor TEM (01), nor a restart (D0…D7).
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
# Every scan is a pass over the whole picture, so a small file can ask for minutes of work. libjpeg's own progressive
# script has 10 scans, the longest that mozjpeg's search can end with 16. 20 are allowed at any size; a smaller picture
# may have more, up to as much work as 20 scans of the largest.
_SCANS = 20
_MAX_SCANS = 64
_LARGEST = 4096 * 4096
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


def _max_scans(pixels: int) -> int:
    """Return how many scans a picture of so many pixels may have."""
    return max(_SCANS, min(_MAX_SCANS, _SCANS * _LARGEST // max(pixels, 1)))


def _factors(frame: _Segment) -> Sequence[tuple[int, int]]:
    """Return the sampling factors of each component, horizontal and vertical."""
    return [(byte >> 4, byte & 15) for byte in frame.parameters[7 : 6 + 3 * frame.parameters[5] : 3]]


def _largest_factors(frame: _Segment) -> tuple[int, int]:
    across, down = zip((1, 1), *_factors(frame), strict=True)
    return max(across), max(down)


def _min_data_bytes(frame: _Segment) -> int:
    """Return the least number of bytes that coded data of this frame can have; 0 unless it is Huffman coded.

    A code has one bit or more. A block has two of them in a sequential frame (DC, end of block), and in a progressive
    frame one: in the first DC scan. A single code of another scan can stand for thousands of blocks.
    """
    if frame.marker not in _CODES_PER_BLOCK:
        return 0
    height, width = struct.unpack_from(">HH", frame.parameters, 1)
    across, down = _largest_factors(frame)
    blocks: int = sum(
        -(-width * horizontal // (8 * across)) * -(-height * vertical // (8 * down))
        for horizontal, vertical in _factors(frame)
    )
    return blocks * _CODES_PER_BLOCK[frame.marker] // 8


def _jpeg(data: bytes) -> Container:
    """The first image of the file (phones append others, MPO)."""
    segments = list(_segments(data))
    scans = [segment.start for segment in segments if segment.marker == _SOS]
    if not 1 <= len(scans) <= _MAX_SCANS:
        raise NotAPicture(f"JPEG: {len(scans)} scans")
    header = [segment for segment in segments if segment.start < scans[0]]
    frames = [segment for segment in header if segment.marker in _FRAMES]
    if len(frames) != 1:
        raise NotAPicture(f"JPEG: {len(frames)} frames")
    height, width = struct.unpack_from(">HH", frames[0].parameters, 1)
    fault = ""
    if len(scans) > _max_scans(width * height):
        fault = f"{len(scans)} scans of {width}×{height} pixels"
    elif segments[-1].end - scans[0] < _min_data_bytes(frames[0]):
        fault = f"no more than {segments[-1].end - scans[0]} bytes for {width}×{height} pixels"
    exif = [s.parameters[6:] for s in header if s.marker == _APP1 and s.parameters.startswith(b"Exif\0\0")]
    essence = [data[segment.start : segment.end] for segment in header if _shapes_jpeg(segment)]
    coded = data[scans[0] : segments[-1].end]
    fillings: tuple[bytes, ...] = ()
    open_ended = segments[-1].start == segments[-1].end and width * height <= _MAX_OPEN_PIXELS
    if open_ended and _may_lack_only_its_end(segments, frames[0], coded):
        fillings = _FILLINGS
    essence = [data[:2], *essence, coded]
    return Container("JPEG", width, height, b"".join(essence), b"".join(exif[:1]), fault=fault, fillings=fillings)


def _may_lack_only_its_end(segments: Sequence[_Segment], frame: _Segment, coded: bytes) -> bool:
    """Return whether all of the last stretch of coded data has begun: that of one sequential scan of all components.

    Of several scans, and so of a progressive frame, the last may be missing, and nobody knows.
    """
    if frame.marker not in _SEQUENTIAL:
        return False
    scans = [segment for segment in segments if segment.marker == _SOS]
    if len(scans) > 1 or scans[0].parameters[0] != frame.parameters[5]:
        return False
    interval = 0
    for segment in segments:
        if segment.marker == _DRI:
            (interval,) = struct.unpack_from(">H", segment.parameters)
    height, width = struct.unpack_from(">HH", frame.parameters, 1)
    across, down = _largest_factors(frame) if frame.parameters[5] > 1 else (1, 1)
    units: int = -(-width // (8 * across)) * -(-height // (8 * down))
    return not interval or len(_RESTART.findall(coded)) == (units - 1) // interval


# PNG: W3C Recommendation, third edition, 5.3 and 11

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_STILL = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf"})
_DEPTH_AT, _COLOUR_AT = 24, 25  # bytes of the file
# Of 16-bit grey, and of 16-bit grey with alpha: the colour type of 8-bit samples that has as many bytes a pixel, and
# which of its channels the low bytes of grey, and of alpha, are.
_LOW_CHANNELS = {0: (4, "A"), 4: (6, "GA")}
_PALETTE = 3  # the colour type
_SCALES = {1: 1, 2: 85, 4: 17, 8: 1}  # from a grey sample of so many bits to one of 8; at 1 bit any non-zero is white


def png_chunks(data: bytes, kinds: frozenset[bytes] = _STILL) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of the chunks of these ``kinds`` before IEND or the end of the file, each as its CRC says.

    Of IDAT chunks the last may be cut short: the decoder sees whether all pixels are in what is there.
    """
    position = len(_SIGNATURE)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        checksum = data[position + 8 + length : position + 12 + length]
        position += 12 + length
        if kind == b"IEND":
            return
        if kind in kinds:
            whole = len(checksum) == 4
            if not whole and kind != b"IDAT":
                raise NotAPicture(f"PNG: {kind.decode()} is cut short")
            if whole and checksum != struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))):
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
    for kind, content in png_chunks(data):
        chunks.setdefault(kind, []).append(content)
    header, palette, key, exif = (b"".join(chunks.get(kind, [])[:1]) for kind in (b"IHDR", b"PLTE", b"tRNS", b"eXIf"))
    return png_still(header, palette, key, b"".join(chunks.get(b"IDAT", [])), exif)


def png_still(header: bytes, palette: bytes, key: bytes, pixels: bytes, exif: bytes = b"") -> Container:
    """Return the picture of these chunks' contents: IHDR, PLTE, tRNS, all of IDAT, eXIf. Empty: there is no such chunk."""
    width, height, depth, colour = struct.unpack_from(">IIBB", header)
    key = b"" if depth == 16 else _colour_key(key, depth, colour)
    essence = [(b"IHDR", header), (b"PLTE", palette), (b"tRNS", key), (b"IDAT", pixels)]
    kept = [_chunk(kind, content) for kind, content in essence if content]
    return Container("PNG", width, height, b"".join([_SIGNATURE, *kept, _chunk(b"IEND", b"")]), exif)


def _with_8_bits(essence: bytes, colour: int) -> bytes:
    """Return a PNG file that has two 8-bit samples for each 16-bit one: PNG's filters work on bytes, whatever they mean."""
    header = essence[len(_SIGNATURE) + 8 : len(_SIGNATURE) + 21]
    header = header[:8] + bytes((8, colour)) + header[10:]
    return _SIGNATURE + _chunk(b"IHDR", header) + essence[len(_SIGNATURE) + 25 :]


# GIF: CompuServe, Graphics Interchange Format 89a

GIF_TRAILER = 0x3B
_EXTENSION, _IMAGE, _GRAPHIC_CONTROL = 0x21, 0x2C, 0xF9


def _table_length(flags: int) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _past_blocks(data: bytes, position: int) -> int:
    """Return where the chain of data blocks that begins at ``position`` ends."""
    while data[position]:
        position += data[position] + 1
    return position + 1


def gif_screen_end(data: bytes) -> int:
    """Return where the screen and its palette end."""
    return 13 + _table_length(data[10])


def gif_image(data: bytes, position: int) -> tuple[bytes, int]:
    """Return the graphic control of the next image, empty if it has none, and where the image begins."""
    control = b""
    while data[position] != _IMAGE:
        if data[position] == GIF_TRAILER:
            raise NotAPicture("GIF: no image in it")
        if data[position] != _EXTENSION:
            raise NotAPicture("GIF: neither image nor extension")
        if data[position + 1] == _GRAPHIC_CONTROL and data[position + 2] == 4:
            control = data[position : position + 7] + b"\0"
        position = _past_blocks(data, position + 2)
    return control, position


def gif_image_end(data: bytes, position: int) -> int:
    """Return where the image that begins at ``position`` ends."""
    return _past_blocks(data, position + 11 + _table_length(data[position + 9]))


def gif_still(data: bytes) -> Container:
    """Screen, palette, transparency and the first image; like every viewer, the screen grows with the image."""
    screen_width, screen_height = struct.unpack_from("<HH", data, 6)
    screen_end = gif_screen_end(data)
    control, position = gif_image(data, screen_end)
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

_WEBP_IMAGES = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
_EXIF_FLAG = 0x08


def riff_chunks(data: bytes, position: int) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield type and content of the chunks from ``position`` on, and whether they are whole: the last may be cut."""
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        content = data[position + 8 : position + 8 + length]
        yield kind, content, len(content) == length
        position += 8 + length + length % 2


def riff_file(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a WebP file of these chunks."""
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2) for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def webp_still(data: bytes) -> Container:
    """The file, of which its decoder reads one frame and nothing of the rest."""
    essence, exif, kind = _mended_webp(data), b"", data[12:16]
    if kind == b"VP8X":
        (sides,) = struct.unpack_from("<Q", data[24:30] + b"\0\0")
        width, height = (sides & 0xFFFFFF) + 1, (sides >> 24) + 1
        exif = _webp_exif(essence)
    elif kind == b"VP8L":
        (sides,) = struct.unpack_from("<I", data, 21)
        width, height = (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    lost = kind == b"VP8X" and essence is not data and data[20] & _EXIF_FLAG and not exif
    return Container("WEBP", width, height, essence, exif, fault="its EXIF block is missing" if lost else "")


def _mended_webp(data: bytes) -> bytes:
    """Return the file; where it is not as long as it says but all of its image is there, a new file of its whole chunks."""
    (length,) = struct.unpack_from("<I", data, 4)
    image_end = _webp_image_end(data)
    if image_end is None or image_end <= length + 8 <= len(data):
        return data
    return riff_file((kind, content) for kind, content, whole in riff_chunks(data, 12) if whole)


def _webp_image_end(data: bytes) -> int | None:
    """Return where the image, or the first of an animation, ends; None if not all of it is there."""
    end = 12
    for kind, content, whole in riff_chunks(data, end):
        end += 8 + len(content) + len(content) % 2
        if kind in _WEBP_IMAGES:
            return end if whole else None
    return None


def _webp_exif(data: bytes) -> bytes:
    for kind, content, _ in riff_chunks(data, 12):
        if kind == b"EXIF":
            return content.removeprefix(b"Exif\0\0")
    return b""


_READERS: tuple[tuple[str, re.Pattern[bytes], Callable[[bytes], Container]], ...] = (
    ("JPEG", re.compile(rb"\xff\xd8\xff"), _jpeg),
    ("PNG", re.compile(re.escape(_SIGNATURE)), _png),
    ("GIF", re.compile(rb"GIF8[79]a"), gif_still),
    ("BMP", re.compile(rb"BM"), _bmp),
    ("WEBP", re.compile(rb"RIFF....WEBPVP8[ LX]", re.DOTALL), webp_still),
)
_DECODERS: dict[str, Callable[[BytesIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "WEBP": WebPImageFile,
}
