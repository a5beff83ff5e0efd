"""Segments as objects in S3: written once, and read section by section."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from numpy.typing import NDArray

from lookalike.stores.aws.s3_objects import NOT_FOUND_CODES, error_code, errors_as_unavailable
from lookalike.stores.aws.segment_manifest import SegmentRef
from lookalike.stores.segments.checked_blocks import CheckedBlocks, DamagedSegmentError
from lookalike.stores.segments.columns import Columns
from lookalike.stores.segments.lazy_segment import LazySegment
from lookalike.stores.segments.packed_candidate import RECORD_FORM
from lookalike.stores.segments.segment_file import (
    HEADER_BYTES,
    Described,
    Header,
    SectionPlace,
    UnusableFileError,
    describe,
    write_sections,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: First part of the names of all segments' objects.
PREFIX = "segments/"

#: Segments have no codes of their own: they are scanned exactly.
_NO_CODES = ""

#: Bytes of a request. Larger sections are read by several at once, which is faster.
_BYTES_AT_A_TIME = 8 << 20

#: Requests at once for a section.
_AT_ONCE = 4

#: An object of at most so many bytes is read whole, by one request.
_SMALL = 1 << 20

#: S3's codes of a range that lies behind the object's end.
_TOO_SHORT_CODES = frozenset({"416", "InvalidRange"})


class SegmentObjects:
    """Writes and reads segments. Every method may raise Unavailable.

    Objects are derived from the table: they may be removed at any time.

    Parameters
    ----------
    client : safe to use from several threads.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, library: str, space: str, model: str, kind: str, sections: dict[str, NDArray[Any]]) -> SegmentRef:
        """Write a segment of a library's log under a name that nobody else has."""
        rows = len(sections["hashes"])
        file = io.BytesIO()
        header = Header(library, model, kind, rows, _NO_CODES, RECORD_FORM)
        name = write_sections(file, header, sections, Columns.LARGE)
        key = folder_of(library, space) + secrets.token_hex(16)
        with errors_as_unavailable():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=file.getvalue())
        return SegmentRef(key, name, model, kind, rows, file.getbuffer().nbytes)

    def open(self, ref: SegmentRef, library: str) -> LazySegment:
        """Return a segment, of which the header is read now. Raises UnusableFileError, later reads too."""
        with _naming(ref):
            return self._opened(ref, library)

    def _opened(self, ref: SegmentRef, library: str) -> LazySegment:
        whole = self._range(ref.object, 0, ref.size) if ref.size <= _SMALL else None
        head = whole[:HEADER_BYTES] if whole is not None else self._range(ref.object, 0, HEADER_BYTES)
        described = describe(head, ref.file)
        _require(described, ref, library)
        reader = _Sections(self, ref, library, described, whole)
        return LazySegment(ref.model, ref.kind, ref.rows, ref.object, reader.read)

    def stored(self, library: str, space: str) -> Mapping[str, int]:
        """Return the names of all segments of a library's log, with the Unix millisecond that each was written."""
        with errors_as_unavailable():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=folder_of(library, space)
            )
            found = [one for page in pages for one in page.get("Contents", ())]
        return {one["Key"]: int(one["LastModified"].timestamp() * 1000) for one in found}

    def remove(self, names: Iterable[str]) -> None:
        """Delete objects; one that is gone is ignored."""
        for name in names:
            with errors_as_unavailable():
                self._client.delete_object(Bucket=self._bucket, Key=name)

    def read(self, name: str, start: int, size: int) -> bytes:
        """Return a part of an object. Raises UnusableFileError if it is not there."""
        if size <= _BYTES_AT_A_TIME:
            return self._range(name, start, size)
        starts = range(start, start + size, _BYTES_AT_A_TIME)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            parts = pool.map(lambda one: self._range(name, one, min(_BYTES_AT_A_TIME, start + size - one)), starts)
            return b"".join(parts)

    def _range(self, name: str, start: int, size: int) -> bytes:
        if not size:
            return b""
        try:
            asked = f"bytes={start}-{start + size - 1}"
            found = self._client.get_object(Bucket=self._bucket, Key=name, Range=asked)["Body"].read()
        except ClientError as error:
            if error_code(error) in NOT_FOUND_CODES:
                raise UnusableFileError("it is missing") from error
            if error_code(error) in _TOO_SHORT_CODES:
                raise UnusableFileError("it is too short") from error
            with errors_as_unavailable():
                raise
        except BotoCoreError:
            with errors_as_unavailable():
                raise
        if len(found) != size:
            raise UnusableFileError("it is too short")
        return found


def folder_of(library: str, space: str) -> str:
    """Return what the names of the segments of a library's log begin with. No other log's do."""
    return f"{PREFIX}{library}/{hashlib.sha256(space.encode()).hexdigest()[:16]}/"


class _Sections:
    """Reads the sections of a segment, and compares them with what was written."""

    def __init__(
        self, objects: SegmentObjects, ref: SegmentRef, library: str, described: Described, whole: bytes | None
    ) -> None:
        self._objects = objects
        self._ref = ref
        self._library = library
        self._described = described
        self._whole = whole

    def read(self, name: str) -> NDArray[Any]:
        """Return a section. Raises UnusableFileError."""
        with _naming(self._ref):
            return self._read(name)

    def _read(self, name: str) -> NDArray[Any]:
        place = self._described.sections.get(name)
        if place is None:
            raise UnusableFileError(f"it has no section {name}")
        data = self._bytes(place)
        if place.sums:
            blocks = CheckedBlocks(memoryview(data), self._read(place.sums), self._library, self._ref.object)
            try:
                blocks.require_range(0, len(data))
            except (DamagedSegmentError, IndexError) as error:
                raise UnusableFileError(f"its section {name} is damaged") from error
        return place.array(data)

    def _bytes(self, place: SectionPlace) -> bytes:
        if self._whole is not None:
            return self._whole[place.offset : place.offset + place.size]
        return self._objects.read(self._ref.object, place.offset, place.size)


@contextmanager
def _naming(ref: SegmentRef) -> Iterator[None]:
    """Say which segment cannot be used."""
    try:
        yield
    except UnusableFileError as error:
        raise UnusableFileError(f"its segment {ref.object} cannot be used, as {error}") from error


def _require(described: Described, ref: SegmentRef, library: str) -> None:
    """Raise UnusableFileError unless a header says what the list of segments does."""
    header = described.header
    if header.library != library:
        raise UnusableFileError("it is another library's")
    if (header.model, header.kind) != (ref.model, ref.kind):
        raise UnusableFileError("it was made for another model")
    if header.records != RECORD_FORM:
        raise UnusableFileError("its records have another form")
    if (header.rows, described.size) != (ref.rows, ref.size):
        raise UnusableFileError("it has another size")
