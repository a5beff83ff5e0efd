"""The later frames of an animated picture file (GIF, APNG, animated WebP).

Every frame is cut out as a still picture of its own, so that it is decoded as any other, and nothing is kept of the
frames before it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lookalike.picture.container import (
    Container,
    gif_image,
    gif_image_end,
    gif_screen_end,
    gif_still,
    png_chunks,
    png_still,
    riff_chunks,
    riff_file,
    webp_still,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: a still picture, and where its upper left corner lies on the canvas."""

    still: Container
    left: int
    top: int


def later_frames(container: Container) -> Iterator[Frame]:
    """The frames behind the first, in order; of a PNG, those that the still picture is not one of.

    Raises NotAPicture, IndexError or struct.error where the file is broken.
    """
    return _READERS.get(container.format, _none)(container.file)


def _none(_: bytes) -> Iterator[Frame]:
    """The later frames of a format that has none."""
    return iter(())


_ANIMATED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT"})


def _apng(file: bytes) -> Iterator[Frame]:
    """Frames of an animated PNG (W3C Recommendation, third edition, 11.3.6)."""
    shared: dict[bytes, bytes] = {}
    control, pixels = b"", list[bytes]()
    for kind, content in png_chunks(file, _ANIMATED):
        if kind == b"fdAT":
            pixels.append(content[4:])  # behind the sequence number
        elif kind == b"fcTL":
            if pixels:
                yield _apng_frame(shared, control, b"".join(pixels))
            control, pixels = content, []
        else:
            shared.setdefault(kind, content)
    if pixels:
        yield _apng_frame(shared, control, b"".join(pixels))


def _apng_frame(shared: dict[bytes, bytes], control: bytes, pixels: bytes) -> Frame:
    width, height, left, top = struct.unpack_from(">IIII", control, 4)
    header = struct.pack(">II", width, height) + shared[b"IHDR"][8:]
    return Frame(png_still(header, shared.get(b"PLTE", b""), shared.get(b"tRNS", b""), pixels), left, top)


def _gif(file: bytes) -> Iterator[Frame]:
    """Images of a GIF behind the first, each on a screen of its own size."""
    palette_at = 13
    position = screen_end = gif_screen_end(file)
    first = True
    while position < len(file) and file[position : position + 1] != b";":
        control, position = gif_image(file, position)
        end = gif_image_end(file, position)
        if not first:
            left, top, sides = struct.unpack_from("<HH4s", file, position + 1)
            screen = file[:6] + sides + file[10:palette_at] + file[palette_at:screen_end]
            image = file[position : position + 1] + bytes(4) + file[position + 5 : end]
            yield Frame(gif_still(screen + control + image + b";"), left, top)
        first, position = False, end


def _webp(file: bytes) -> Iterator[Frame]:
    """Frames of an animated WebP behind the first (RFC 9649, 2.7.1.1)."""
    first = True
    for kind, content, whole in riff_chunks(file, 12):
        if kind != b"ANMF" or not whole:
            continue
        if not first:
            x, y, sides = content[:3], content[3:6], content[6:12]
            yield Frame(_webp_frame(sides, content[16:]), *(2 * int.from_bytes(one, "little") for one in (x, y)))
        first = False


def _webp_frame(sides: bytes, chunks: bytes) -> Container:
    parts = [(kind, content) for kind, content, whole in riff_chunks(chunks, 0) if whole]
    alpha = [(kind, content) for kind, content in parts if kind == b"ALPH"]
    image = [(kind, content) for kind, content in parts if kind in (b"VP8 ", b"VP8L")]
    extended = [(b"VP8X", bytes((_ALPHA_FLAG, 0, 0, 0)) + sides)] if alpha else []
    return webp_still(riff_file([*extended, *alpha[:1], *image[:1]]))


_ALPHA_FLAG = 0x10
_READERS: dict[str, Callable[[bytes], Iterator[Frame]]] = {"PNG": _apng, "GIF": _gif, "WEBP": _webp}
