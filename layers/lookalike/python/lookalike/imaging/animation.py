"""The later frames of an animated picture file (GIF, APNG, animated WebP).

Every frame is cut out as a still picture of its own, so that it is decoded as any other, and nothing is kept of the
frames before it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lookalike.errors import NotAPicture
from lookalike.imaging.file_headers import (
    GIF_TRAILER,
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
    """Yield the frames behind the first, in order; of a PNG, those that the still picture is not one of.

    Raises NotAPicture, IndexError or struct.error where the file is broken or ends before the animation does, and
    NotAPicture for a frame that is not within the picture.
    """
    for frame in _READERS.get(container.format, _none)(container.file):
        right, bottom = frame.left + frame.still.width, frame.top + frame.still.height
        if right > container.width or bottom > container.height:
            raise NotAPicture(f"{container.format}: a frame is not within the picture")
        yield frame


def _none(_: bytes) -> Iterator[Frame]:
    """Return the later frames of a format that has none."""
    return iter(())


_ANIMATED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"IDAT"})


def _apng(file: bytes) -> Iterator[Frame]:
    """Yield the frames of an animated PNG (W3C Recommendation, third edition, 11.3.6)."""
    shared: dict[bytes, bytes] = {}
    control, pixels = b"", list[bytes]()
    begun = set[bytes]()  # the controls of frames of which there are pixels
    for kind, content in png_chunks(file, _ANIMATED):
        if kind in (b"IDAT", b"fdAT") and control:
            begun.add(control)
        if kind == b"fdAT":
            pixels.append(content[4:])  # behind the sequence number
        elif kind == b"fcTL":
            if pixels:
                yield _apng_frame(shared, control, b"".join(pixels))
            control, pixels = content, []
        else:
            shared.setdefault(kind, content)
    (count,) = struct.unpack_from(">I", shared.get(b"acTL", bytes(4)))
    if len(begun) < count:
        raise NotAPicture(f"PNG: {len(begun)} of {count} frames")
    if pixels:
        yield _apng_frame(shared, control, b"".join(pixels))


def _apng_frame(shared: dict[bytes, bytes], control: bytes, pixels: bytes) -> Frame:
    width, height, left, top = struct.unpack_from(">IIII", control, 4)
    header = struct.pack(">II", width, height) + shared[b"IHDR"][8:]
    return Frame(png_still(header, shared.get(b"PLTE", b""), shared.get(b"tRNS", b""), pixels), left, top)


def _gif(file: bytes) -> Iterator[Frame]:
    """Yield the images of a GIF behind the first, each on a screen of its own size."""
    version, flags_and_palette = file[:6], file[10 : gif_screen_end(file)]
    _, position = gif_image(file, gif_screen_end(file))
    position = gif_image_end(file, position)
    while file[position] != GIF_TRAILER:
        control, position = gif_image(file, position)
        end = gif_image_end(file, position)
        left, top, sides = struct.unpack_from("<HH4s", file, position + 1)
        image = file[position : position + 1] + bytes(4) + file[position + 5 : end]
        yield Frame(gif_still(version + sides + flags_and_palette + control + image + b";"), left, top)
        position = end


def _webp(file: bytes) -> Iterator[Frame]:
    """Yield the frames of an animated WebP behind the first (RFC 9649, 2.7.1.1)."""
    (length,) = struct.unpack_from("<I", file, 4)
    frames = [content for kind, content, _ in riff_chunks(file, 12) if kind == b"ANMF"]
    for content in frames[1:]:
        left, top = (2 * int.from_bytes(half, "little") for half in (content[:3], content[3:6]))
        yield Frame(_webp_frame(content[6:12], content[16:]), left, top)
    if frames and length + 8 > len(file):
        raise NotAPicture("WEBP: cut short")


def _webp_frame(sides: bytes, chunks: bytes) -> Container:
    parts = {kind: content for kind, content, whole in riff_chunks(chunks, 0) if whole}
    extended = {b"VP8X": bytes((_ALPHA_FLAG, 0, 0, 0)) + sides} if b"ALPH" in parts else {}
    image = {kind: parts[kind] for kind in (b"ALPH", b"VP8 ", b"VP8L") if kind in parts}
    return webp_still(riff_file((extended | image).items()))


_ALPHA_FLAG = 0x10
_READERS: dict[str, Callable[[bytes], Iterator[Frame]]] = {"PNG": _apng, "GIF": _gif, "WEBP": _webp}
