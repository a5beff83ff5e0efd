"""The file of a sealed segment: a header of 8 KiB, then sections of numbers, which can be mapped into memory.

========  =====================================================================================================
offset    content
========  =====================================================================================================
0         ``lookseg`` and a zero byte
8         version of the format, uint32 little-endian, as all numbers are
12        length of the header's JSON
16        CRC-32 of the JSON
20        the JSON, in UTF-8; zeros up to 8192
8192      the sections, each at a multiple of 64 bytes; the file ends with the last one
========  =====================================================================================================

The JSON names the library, the model, the kind, the number of rows, what the codes were made with, the form of records,
and of each section its name, type, shape, offset and CRC-32. Sections that are too large to be compared when a file is
opened have no CRC-32 but ``checked by``: the section with the CRC-32 of each of their blocks of 16 KiB. Readers leave out
sections that they do not know, so that a store which scans other codes adds its own.

The file's name is that of its content: the first 32 hexadecimal digits of the header's SHA-256. As the header holds
all checksums, it names every byte.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.segments.checked_blocks import CheckedBlocks, block_sums

#: Version of the format that is written, and the only one that is read.
VERSION = 1

#: Bytes of the header. The first section begins behind it.
HEADER_BYTES = 8192

#: End of a segment's file name.
SUFFIX = ".segment"

_MAGIC = b"lookseg\0"
_PREFIX = struct.Struct("<8sIII")
_ALIGNMENT = 64
_BYTES_AT_A_TIME = 1 << 20
_CHECKED_BY = "checked by"

Array = NDArray[Any]


class UnusableFileError(Exception):
    """A file cannot be used: it is missing, damaged, or of another version. The text says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment's file says of itself.

    Attributes
    ----------
    codes : what the codes were made with; files of other codes are made again.
    records : the form of records.
    """

    library: str
    model: str
    kind: str
    rows: int
    codes: str
    records: str


@dataclass(frozen=True, slots=True)
class SectionPlace:
    """Where a section lies in a file, and what it is compared with.

    Attributes
    ----------
    size : bytes.
    crc32 : of all bytes; None if they are compared by blocks.
    sums : name of the section with the blocks' CRC-32; empty if all bytes have one.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    size: int
    crc32: int | None
    sums: str

    def array(self, data: bytes | memoryview) -> Array:
        """Return the section's bytes as its array. Raises UnusableFileError if they are not those that were written."""
        if len(data) != self.size:
            raise UnusableFileError(f"its section {self.name} is too short")
        if self.crc32 is not None and zlib.crc32(data) != self.crc32:
            raise UnusableFileError(f"its section {self.name} is damaged")
        return np.frombuffer(data, self.dtype).reshape(self.shape) if self.size else np.empty(self.shape, self.dtype)


@dataclass(frozen=True, slots=True)
class Described:
    """What a file's header says: the header, the file's size in bytes, and its sections."""

    header: Header
    size: int
    sections: Mapping[str, SectionPlace]


@dataclass(frozen=True, slots=True, eq=False)
class SegmentFile:
    """A file's sections, and all of its bytes. The sections that are in ``checked`` are compared as they are read."""

    path: Path
    header: Header
    sections: Mapping[str, Array]
    checked: Mapping[str, CheckedBlocks]
    memory: NDArray[np.uint8]


def write_sections(file: BinaryIO, header: Header, sections: Mapping[str, Array], large: Sequence[str]) -> str:
    """Write a whole segment to an empty file; return its name. Raises OSError.

    Parameters
    ----------
    large : names of the sections that are compared by blocks.
    """
    everything = dict(sections)
    for name in large:
        everything[_sums_of(name)] = block_sums(_bytes_of(sections[name]))
    described, offset = [], HEADER_BYTES
    file.write(bytes(HEADER_BYTES))
    for name, array in everything.items():
        data = _bytes_of(array)
        checked = {_CHECKED_BY: _sums_of(name)} if name in large else {"crc32": zlib.crc32(data)}
        described.append(
            {"name": name, "type": array.dtype.str, "shape": list(array.shape), "offset": offset, **checked}
        )
        file.writelines(data[start : start + _BYTES_AT_A_TIME] for start in range(0, len(data), _BYTES_AT_A_TIME))
        end = offset + len(data)
        offset = -(-end // _ALIGNMENT) * _ALIGNMENT
        file.write(bytes(offset - end))
    fields = {name: getattr(header, name) for name in Header.__slots__}
    text = json.dumps({**fields, "bytes": offset, "sections": described}, ensure_ascii=False).encode()
    file.seek(0)
    file.write(_PREFIX.pack(_MAGIC, VERSION, len(text), zlib.crc32(text)) + text)
    return f"{_name_of(text)}{SUFFIX}"


def open_segment(path: Path, library: str) -> SegmentFile:
    """Map a file into memory and compare what is not compared later. Raises UnusableFileError."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < HEADER_BYTES:
                raise UnusableFileError("it is too short")
            # Private: what is written to the mapping is seen by nobody, and the file stays as it is.
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    except FileNotFoundError as error:
        raise UnusableFileError("it is missing") from error
    except (OSError, ValueError) as error:
        raise UnusableFileError(f"it cannot be read ({error})") from error
    try:
        return _opened(mapped, path, library, size)
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableFileError(f"it makes no sense ({error})") from error


def describe(head: bytes | memoryview, name: str) -> Described:
    """Return what a file's first :data:`HEADER_BYTES` bytes say, given its name. Raises UnusableFileError."""
    try:
        said = _said_by(memoryview(head), name)
        sections = {one["name"]: _place(one) for one in said["sections"]}
        return Described(Header(**{field: said[field] for field in Header.__slots__}), said["bytes"], sections)
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise UnusableFileError(f"it makes no sense ({error})") from error


def _opened(mapped: memoryview, path: Path, library: str, size: int) -> SegmentFile:
    described = describe(mapped[:HEADER_BYTES], path.name)
    if described.size != size:
        raise UnusableFileError("it is too short" if size < described.size else "it is too long")
    if described.header.library != library:
        raise UnusableFileError("it is another library's")
    sections = {
        name: place.array(mapped[place.offset : place.offset + place.size])
        for name, place in described.sections.items()
    }
    checked = {
        name: CheckedBlocks(memoryview(_bytes_of(sections[name])), sections[place.sums], library, path.name)
        for name, place in described.sections.items()
        if place.sums
    }
    return SegmentFile(path, described.header, sections, checked, np.frombuffer(mapped, np.uint8))


def _said_by(head: memoryview, name: str) -> dict[str, Any]:
    magic, version, length, checksum = _PREFIX.unpack_from(head)
    if magic != _MAGIC:
        raise UnusableFileError("it is no segment")
    if version != VERSION:
        raise UnusableFileError(f"it has version {version} of the format, and this lookalike reads {VERSION}")
    text = bytes(head[_PREFIX.size : _PREFIX.size + min(length, HEADER_BYTES)])
    if zlib.crc32(text) != checksum:
        raise UnusableFileError("its header is damaged")
    if f"{_name_of(text)}{SUFFIX}" != name:
        raise UnusableFileError("it is another file under this name")
    said: dict[str, Any] = json.loads(text)
    return said


def _place(said: Mapping[str, Any]) -> SectionPlace:
    dtype, shape = np.dtype(said["type"]), tuple(map(int, said["shape"]))
    size = int(np.prod(shape)) * dtype.itemsize
    sums = said.get(_CHECKED_BY, "")
    return SectionPlace(said["name"], dtype, shape, int(said["offset"]), size, None if sums else said["crc32"], sums)


def _sums_of(name: str) -> str:
    return f"{name}.crc32"


def _name_of(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32]


def _bytes_of(array: Array) -> memoryview:
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
