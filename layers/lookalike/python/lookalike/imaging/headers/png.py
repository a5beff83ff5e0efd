"""PNG chunks and headers (W3C Recommendation, third edition, 5.3 and 11)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from lookalike.errors import NotAPicture
from lookalike.imaging.picture_file import PictureFile

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: Chunks that the pixels of a still picture, or their orientation, depend on.
_STILL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf"})

#: Offsets of bit depth and colour type in a file.
_DEPTH_AT, _COLOUR_AT = 24, 25

#: For the colour types with 16-bit grey (0) and 16-bit grey with alpha (4): the colour type with as many 8-bit samples
#: a pixel, and the channels of that type in which the low bytes of grey and of alpha then stand.
_LOW_CHANNELS = {0: (4, "A"), 4: (6, "GA")}

_PALETTE_TYPE = 3

#: Factors from a grey sample of 1, 2, 4 or 8 bits to one of 8 bits; at 1 bit any value but zero is white.
_GREY_SCALES = {1: 1, 2: 85, 4: 17, 8: 1}


def read(data: bytes) -> PictureFile:
    """Read a PNG file without its texts and profiles; of an animated one, the still picture that it also is.

    Raises NotAPicture or struct.error for a broken file.
    """
    found: dict[bytes, list[bytes]] = {}
    for kind, content in chunks(data):
        found.setdefault(kind, []).append(content)
    header, palette, transparency, exif = (
        b"".join(found.get(kind, [])[:1]) for kind in (b"IHDR", b"PLTE", b"tRNS", b"eXIf")
    )
    return still(header, palette, transparency, b"".join(found.get(b"IDAT", [])), exif)


def chunks(data: bytes, kinds: frozenset[bytes] = _STILL_CHUNKS) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of the chunks of these ``kinds`` before IEND or the end of the file.

    Raises NotAPicture for a chunk that does not match its CRC or is cut short. Only IDAT may be: the decoder notices
    missing pixels.
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
            _check_chunk(kind, content, checksum)
            yield kind, content


def still(header: bytes, palette: bytes, transparency: bytes, pixels: bytes, exif: bytes = b"") -> PictureFile:
    """Return the picture of these chunks' contents: IHDR, PLTE, tRNS, all IDAT, eXIf. Empty: no such chunk."""
    width, height, depth, colour = struct.unpack_from(">IIBB", header)
    # Of 16-bit samples the decoder keeps the high byte only, so a 16-bit colour key would match wrong pixels.
    transparency = b"" if depth == 16 else _transparency_for_8_bits(transparency, depth, colour)
    contents = [(b"IHDR", header), (b"PLTE", palette), (b"tRNS", transparency), (b"IDAT", pixels)]
    kept = [_chunk(kind, content) for kind, content in contents if content]
    return PictureFile("PNG", width, height, b"".join([_SIGNATURE, *kept, _chunk(b"IEND", b"")]), exif)


def low_bytes(file: PictureFile) -> Image.Image | None:
    """Return the picture made of the low bytes of 16-bit samples, alpha included; None for any other file."""
    if file.format != "PNG" or file.first_frame[_DEPTH_AT] != 16:
        return None
    if channels := _LOW_CHANNELS.get(file.first_frame[_COLOUR_AT]):
        colour, names = channels
        pairs = PngImageFile(BytesIO(_as_pairs_of_bytes(file.first_frame, colour)))
        return Image.merge("LA"[: len(names)], [pairs.getchannel(name) for name in names])
    image = file.image()
    (tile,) = image.tile
    # Pillow's name for 16-bit samples whose high byte comes second: it then keeps the low byte of big-endian ones.
    image.tile = [tile._replace(args=f"{image.mode};16L")]
    image.load()
    return image


def _check_chunk(kind: bytes, content: bytes, checksum: bytes) -> None:
    complete = len(checksum) == 4
    if not complete and kind != b"IDAT":
        raise NotAPicture(f"PNG: {kind.decode()} is cut short")
    if complete and checksum != struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))):
        raise NotAPicture(f"PNG: {kind.decode()} does not match its checksum")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))


def _transparency_for_8_bits(content: bytes, depth: int, colour: int) -> bytes:
    """Return the content of tRNS on the scale of 8-bit samples, in which the decoder compares it."""
    if colour == _PALETTE_TYPE or not content:
        return content
    return b"".join(struct.pack(">H", value * _GREY_SCALES[depth]) for (value,) in struct.iter_unpack(">H", content))


def _as_pairs_of_bytes(file: bytes, colour: int) -> bytes:
    """Return a PNG file with two 8-bit samples in place of each 16-bit one; PNG's filters work on bytes anyway."""
    header = file[len(_SIGNATURE) + 8 : len(_SIGNATURE) + 21]
    header = header[:8] + bytes((8, colour)) + header[10:]
    return _SIGNATURE + _chunk(b"IHDR", header) + file[len(_SIGNATURE) + 25 :]
