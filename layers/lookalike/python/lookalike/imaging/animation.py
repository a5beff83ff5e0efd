"""Extracts the later frames of an animated picture file (GIF, APNG, animated WebP).

Each frame becomes a still picture file of its own, decoded like any other. Frames are not composited on those before.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lookalike.errors import NotAPicture
from lookalike.imaging.headers import gif, png, webp
from lookalike.imaging.picture_file import PictureFile


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: a still picture, and the position of its upper left corner on the canvas, in pixels."""

    still: PictureFile
    left: int
    top: int


def later_frames(file: PictureFile) -> Iterator[Frame]:
    """Yield the frames after the first, in order; of a PNG, all frames but the still picture.

    Raises NotAPicture, IndexError or struct.error where the file is broken or ends before the animation does, and
    NotAPicture for a frame that reaches beyond the canvas.
    """
    for frame in _READERS.get(file.format, _no_frames)(file.data):
        right, bottom = frame.left + frame.still.width, frame.top + frame.still.height
        if right > file.width or bottom > file.height:
            raise NotAPicture(f"{file.format}: a frame is not within the picture")
        yield frame


def _no_frames(_: bytes) -> Iterator[Frame]:
    """Return no frames, for formats without animation."""
    return iter(())


_APNG_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"IDAT"})


def _apng(data: bytes) -> Iterator[Frame]:
    """Yield the frames of an animated PNG (W3C Recommendation, third edition, 11.3.6)."""
    shared: dict[bytes, bytes] = {}
    control, pixels = b"", list[bytes]()
    controls_with_pixels = set[bytes]()
    for kind, content in png.chunks(data, _APNG_CHUNKS):
        if kind in (b"IDAT", b"fdAT") and control:
            controls_with_pixels.add(control)
        if kind == b"fdAT":
            pixels.append(content[4:])  # after the sequence number
        elif kind == b"fcTL":
            if pixels:
                yield _apng_frame(shared, control, b"".join(pixels))
            control, pixels = content, []
        else:
            shared.setdefault(kind, content)
    (count,) = struct.unpack_from(">I", shared.get(b"acTL", bytes(4)))
    if len(controls_with_pixels) < count:
        raise NotAPicture(f"PNG: {len(controls_with_pixels)} of {count} frames")
    if pixels:
        yield _apng_frame(shared, control, b"".join(pixels))


def _apng_frame(shared: dict[bytes, bytes], control: bytes, pixels: bytes) -> Frame:
    width, height, left, top = struct.unpack_from(">IIII", control, 4)
    header = struct.pack(">II", width, height) + shared[b"IHDR"][8:]
    return Frame(png.still(header, shared.get(b"PLTE", b""), shared.get(b"tRNS", b""), pixels), left, top)


def _gif(data: bytes) -> Iterator[Frame]:
    """Yield the images of a GIF after the first, each on a screen of its own size."""
    version, flags_and_palette = data[:6], data[10 : gif.screen_end(data)]
    _, position = gif.next_image(data, gif.screen_end(data))
    position = gif.image_end(data, position)
    while data[position] != gif.TRAILER:
        control, position = gif.next_image(data, position)
        end = gif.image_end(data, position)
        left, top, sides = struct.unpack_from("<HH4s", data, position + 1)
        image = data[position : position + 1] + bytes(4) + data[position + 5 : end]
        yield Frame(gif.read(version + sides + flags_and_palette + control + image + b";"), left, top)
        position = end


def _webp(data: bytes) -> Iterator[Frame]:
    """Yield the frames of an animated WebP after the first (RFC 9649, 2.7.1.1)."""
    (length,) = struct.unpack_from("<I", data, 4)
    frames = [content for kind, content, _ in webp.chunks(data, webp.FIRST_CHUNK_AT) if kind == b"ANMF"]
    for content in frames[1:]:
        left, top = (2 * int.from_bytes(half, "little") for half in (content[:3], content[3:6]))
        yield Frame(_webp_frame(content[6:12], content[16:]), left, top)
    if frames and length + 8 > len(data):
        raise NotAPicture("WEBP: cut short")


def _webp_frame(sides: bytes, chunks: bytes) -> PictureFile:
    parts = {kind: content for kind, content, whole in webp.chunks(chunks, 0) if whole}
    extended = {b"VP8X": bytes((_ALPHA_FLAG, 0, 0, 0)) + sides} if b"ALPH" in parts else {}
    image = {kind: parts[kind] for kind in (b"ALPH", b"VP8 ", b"VP8L") if kind in parts}
    return webp.read(webp.file_of((extended | image).items()))


_ALPHA_FLAG = 0x10
_READERS: dict[str, Callable[[bytes], Iterator[Frame]]] = {"PNG": _apng, "GIF": _gif, "WEBP": _webp}
