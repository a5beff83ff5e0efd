"""JPEG segments and headers (ITU-T T.81, annex B)."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lookalike.errors import NotAPicture
from lookalike.imaging.picture_file import PictureFile

_EOI, _SOS, _DRI, _APP0, _APP1, _APP14 = 0xD9, 0xDA, 0xDD, 0xE0, 0xE1, 0xEE

#: SOF0…SOF15 without DHT, JPG and DAC, which lie between them.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

#: DHT, DAC, DQT, DRI.
_TABLE_MARKERS = frozenset({0xC4, 0xCC, 0xDB, 0xDD})

#: Huffman codes that each block needs at least, by frame: baseline, extended sequential, progressive.
_MIN_CODES_PER_BLOCK = {0xC0: 2, 0xC1: 2, 0xC2: 1}

_SEQUENTIAL = frozenset({0xC0, 0xC1})

#: Bytes that the largest coding unit can need: 10 blocks of 64 codes with their bits.
_MAX_UNIT_BYTES = 2080

#: Replacements of a missing EOI: coded data that begins with each combination of three bits and goes on pseudo-randomly
#: for the length of the largest unit, then EOI. If the pixels depend on the choice, more than EOI is missing.
_ENDINGS = tuple(
    bytes((first,))
    + hashlib.shake_256(bytes((first,))).digest(_MAX_UNIT_BYTES).replace(b"\xff", b"\xff\0")
    + b"\xff\xd9"
    for first in range(0x0F, 0x100, 0x20)
)

#: Pixels of the largest picture that is decoded once for each ending; a larger one would take too long.
_MAX_PIXELS_WITHOUT_END = 8 << 20

#: A marker that ends a run of coded data: not stuffing (00), not TEM (01), not a restart (D0…D7).
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")

#: Scans that a picture of any size may have. Every scan is a pass over the whole picture, so a small file could ask for
#: minutes of work. libjpeg's own progressive script has 10 scans; mozjpeg's search ends with 16 at most.
_SCANS_AT_ANY_SIZE = 20

#: Scans of a smaller picture: as much work as ``_SCANS_AT_ANY_SIZE`` scans of the largest, and no more than this.
_MAX_SCANS = 64
_LARGEST_PIXELS = 4096 * 4096

#: Segments of a file. The longest colour profile takes 255.
_MAX_SEGMENTS = 4096


class _Segment(NamedTuple):
    """A marker segment; ``start`` and ``end`` are offsets in the file."""

    marker: int
    start: int
    parameters: bytes
    end: int


def read(data: bytes) -> PictureFile:
    """Read the first image of a JPEG file; phones append others (MPO).

    Raises NotAPicture, IndexError or struct.error for a broken file.
    """
    segments = list(_segments(data))
    scans = [segment.start for segment in segments if segment.marker == _SOS]
    if not 1 <= len(scans) <= _MAX_SCANS:
        raise NotAPicture(f"JPEG: {len(scans)} scans")
    header = [segment for segment in segments if segment.start < scans[0]]
    frames = [segment for segment in header if segment.marker in _FRAME_MARKERS]
    if len(frames) != 1:
        raise NotAPicture(f"JPEG: {len(frames)} frames")
    coded = data[scans[0] : segments[-1].end]
    width, height = _size(frames[0])
    kept = [data[segment.start : segment.end] for segment in header if _affects_pixels(segment)]
    exif = [s.parameters[6:] for s in header if s.marker == _APP1 and s.parameters.startswith(b"Exif\0\0")]
    return PictureFile(
        "JPEG",
        width,
        height,
        b"".join([data[:2], *kept, coded]),
        b"".join(exif[:1]),
        fault=_fault(frames[0], len(scans), len(coded)),
        endings=_endings(segments, frames[0], coded),
    )


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield the segments of the first image. The last is EOI, at the end of the file if it is missing."""
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


def _affects_pixels(segment: _Segment) -> bool:
    """Return whether pixels depend on a segment: frame, tables, and the two that give the colour space."""
    return (
        segment.marker in _FRAME_MARKERS | _TABLE_MARKERS
        or (segment.marker == _APP0 and segment.parameters.startswith(b"JFIF\0"))
        or (segment.marker == _APP14 and segment.parameters.startswith(b"Adobe"))
    )


def _size(frame: _Segment) -> tuple[int, int]:
    """Return width and height in pixels."""
    height, width = struct.unpack_from(">HH", frame.parameters, 1)
    return width, height


def _fault(frame: _Segment, scans: int, coded_bytes: int) -> str:
    """Return why the picture should not be decoded; empty if it should."""
    width, height = _size(frame)
    if scans > _max_scans(width * height):
        return f"{scans} scans of {width}×{height} pixels"
    if coded_bytes < _min_coded_bytes(frame):
        return f"no more than {coded_bytes} bytes for {width}×{height} pixels"
    return ""


def _max_scans(pixels: int) -> int:
    """Return how many scans a picture of this many pixels may have."""
    return max(_SCANS_AT_ANY_SIZE, min(_MAX_SCANS, _SCANS_AT_ANY_SIZE * _LARGEST_PIXELS // max(pixels, 1)))


def _sampling_factors(frame: _Segment) -> Sequence[tuple[int, int]]:
    """Return the sampling factors of each component, horizontal and vertical."""
    return [(byte >> 4, byte & 15) for byte in frame.parameters[7 : 6 + 3 * frame.parameters[5] : 3]]


def _max_sampling_factors(frame: _Segment) -> tuple[int, int]:
    across, down = zip((1, 1), *_sampling_factors(frame), strict=True)
    return max(across), max(down)


def _min_coded_bytes(frame: _Segment) -> int:
    """Return the smallest size that coded data of this frame can have; 0 unless it is Huffman coded.

    A code has one bit or more. A block needs two codes in a sequential frame (DC, end of block) and one in a
    progressive frame, in the first DC scan. In other scans a single code can stand for thousands of blocks.
    """
    if frame.marker not in _MIN_CODES_PER_BLOCK:
        return 0
    width, height = _size(frame)
    across, down = _max_sampling_factors(frame)
    blocks: int = sum(
        -(-width * horizontal // (8 * across)) * -(-height * vertical // (8 * down))
        for horizontal, vertical in _sampling_factors(frame)
    )
    return blocks * _MIN_CODES_PER_BLOCK[frame.marker] // 8


def _endings(segments: Sequence[_Segment], frame: _Segment, coded: bytes) -> tuple[bytes, ...]:
    """Return the endings to try for a picture that lacks EOI and perhaps nothing else; none for any other."""
    width, height = _size(frame)
    lacks_end = segments[-1].start == segments[-1].end and width * height <= _MAX_PIXELS_WITHOUT_END
    return _ENDINGS if lacks_end and _lacks_only_its_end(segments, frame, coded) else ()


def _lacks_only_its_end(segments: Sequence[_Segment], frame: _Segment, coded: bytes) -> bool:
    """Return whether the last restart interval of a single sequential scan of all components has begun.

    Of several scans, and so of a progressive frame, the last may be missing without a trace.
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
    width, height = _size(frame)
    across, down = _max_sampling_factors(frame) if frame.parameters[5] > 1 else (1, 1)
    units: int = -(-width // (8 * across)) * -(-height // (8 * down))
    return not interval or len(_RESTART.findall(coded)) == (units - 1) // interval
