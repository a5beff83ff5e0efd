"""The folder of a data folder's segment files, and the list of those that count."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.stores.durable_files import flush
from lookalike.stores.segments.columns import Columns
from lookalike.stores.segments.packed_candidate import RECORD_FORM
from lookalike.stores.segments.segment_file import (
    HEADER_BYTES,
    SUFFIX,
    Header,
    SegmentFile,
    UnusableFileError,
    open_segment,
    write_sections,
)
from lookalike.stores.vectors import scans
from lookalike.stores.vectors.scans import Codebook
from lookalike.stores.vectors.sealed_segment import MAX_UNINDEXED_ROWS, SealedSegment
from lookalike.stores.vectors.segment_protocol import Mask, Space

#: Version of the list that is written, and the only one that is read.
VERSION = 1

#: The list of the files that count.
MANIFEST = "manifest.json"

#: End of the names of files with the rows of a segment that have changed since it was sealed.
_STATES = ".states"

#: End of the names of files that are being written.
_PART = ".part"

#: The section of FAISS's own form of the codes.
_CODES = "codes"


@dataclass(frozen=True, slots=True, eq=False)
class ChangedRows:
    """Rows of a sealed segment whose states have changed, and their states: arrays of shape (n,)."""

    rows: NDArray[np.int32]
    revisions: NDArray[np.int64]
    live: Mask

    def to_bytes(self) -> bytes:
        """Return the numbers of the three columns, end to end."""
        return self.rows.astype("<i4").tobytes() + self.revisions.astype("<i8").tobytes() + self.live.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> ChangedRows:
        """Return the rows of :meth:`to_bytes`."""
        count, left = divmod(len(data), 13)
        if left:
            raise UnusableFileError("its states are too short")
        return cls(
            np.frombuffer(data, "<i4", count),
            np.frombuffer(data, "<i8", count, 4 * count),
            np.frombuffer(data, np.bool_, count, 12 * count),
        )


@dataclass(frozen=True, slots=True)
class KeptSegment:
    """A segment that counts: its library, its file, and the file of its changed rows; empty if none have changed."""

    library: str
    file: str
    states: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The segments that count, and the mark in the catalog's log of changes up to which they hold all.

    Attributes
    ----------
    mark, token : number and random value of the mark. Only the catalog that the segments were made of has it.
    again : libraries that are not whole here: they are made again from the catalog.
    """

    mark: int
    token: int
    segments: Sequence[KeptSegment] = field(default=())
    again: Sequence[str] = field(default=())


class SegmentFolder:
    """Writes segments into files, each whole or not at all, and reads them again.

    Files are derived from the catalog: any of them may be removed while no server runs.

    Parameters
    ----------
    path : the folder; made by the first file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def manifest(self) -> Manifest | None:
        """Return the list of the files that count; None if there is none. Raises UnusableFileError."""
        try:
            head, _, text = (self.path / MANIFEST).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnusableFileError(f"it cannot be read ({error.strerror})") from error
        if head.strip() != b"%08x" % zlib.crc32(text):
            raise UnusableFileError("it is damaged")
        try:
            said = json.loads(text)
            if said["version"] != VERSION:
                raise UnusableFileError(f"it has version {said['version']}, and this lookalike reads {VERSION}")
            segments = [KeptSegment(**one) for one in said["segments"]]
            return Manifest(said["mark"], said["token"], segments, said["again"])
        except (KeyError, TypeError, ValueError) as error:
            raise UnusableFileError(f"it makes no sense ({error})") from error

    def publish(self, manifest: Manifest) -> None:
        """Make these the files that count, durably, and remove all others. Raises OSError."""
        text = json.dumps({"version": VERSION, **asdict(manifest)}).encode()
        self._write_bytes(MANIFEST, b"%08x\n%b" % (zlib.crc32(text), text))
        named = {MANIFEST, *(one.file for one in manifest.segments), *(one.states for one in manifest.segments)}
        self._remove_all_but(named)

    def discard(self) -> None:
        """Remove all files. What cannot be removed is not believed later."""
        with suppress(OSError):
            self._remove_all_but(set())

    def keep(self, segment: SealedSegment, library: str, codebook: Codebook | None) -> SealedSegment:
        """Write a segment into a file and return the same one mapped. Raises OSError, UnusableFileError."""
        model, kind = segment.space
        header = Header(library, model, kind, segment.count, scans.codes_name(codebook), RECORD_FORM)
        sections: dict[str, NDArray[Any]] = {**segment.columns.sections(), _CODES: scans.to_bytes(segment.pq_index)}
        name = self._write("segment", lambda file: write_sections(file, header, sections, Columns.LARGE))
        return self._mapped(open_segment(self.path / name, library))

    def keep_states(self, changed: ChangedRows) -> str:
        """Write changed rows into a file and return its name, which begins with their checksum. Raises OSError."""
        data = changed.to_bytes()
        name = f"{zlib.crc32(data):08x}{os.urandom(8).hex()}{_STATES}"
        self._write_bytes(name, b"%08x\n%b" % (zlib.crc32(data), data))
        return name

    def open(self, kept: KeptSegment, codebook: Callable[[Space], Codebook | None]) -> SealedSegment:
        """Map a segment. Raises UnusableFileError.

        Parameters
        ----------
        codebook : returns a space's product quantiser, or None.
        """
        file = open_segment(self.path / Path(kept.file).name, kept.library)
        space = file.header.model, Kind(file.header.kind)
        if file.header.codes != scans.codes_name(codebook(space)):
            raise UnusableFileError("it was made for another model")
        if file.header.records != RECORD_FORM:
            raise UnusableFileError("its records have another form")
        segment = self._mapped(file)
        if kept.states:
            self._set_states(segment, kept.states)
        return segment

    def _set_states(self, segment: SealedSegment, name: str) -> None:
        try:
            head, _, data = (self.path / Path(name).name).read_bytes().partition(b"\n")
        except OSError as error:
            raise UnusableFileError(f"its states cannot be read ({error.strerror})") from error
        if head != b"%08x" % zlib.crc32(data):
            raise UnusableFileError("its states are damaged")
        if not name.startswith(head.decode()):  # the list has the name, and so the checksum
            raise UnusableFileError("its states are another segment's, or of another moment")
        changed = ChangedRows.from_bytes(data)
        if np.any(changed.rows >= segment.count):
            raise UnusableFileError("its states are another segment's")
        segment.set_states(changed.rows.astype(np.int64), changed.revisions, changed.live)

    def _mapped(self, file: SegmentFile) -> SealedSegment:
        columns = Columns(**{name: file.sections[name] for name in Columns.__slots__})
        large = file.header.rows > MAX_UNINDEXED_ROWS
        flat_index = scans.flat_index_over(file.memory, HEADER_BYTES, file.header.rows) if large else None
        try:
            pq_index = scans.from_bytes(file.sections[_CODES])
        except ValueError as error:
            raise UnusableFileError(str(error)) from error
        space = file.header.model, Kind(file.header.kind)
        return SealedSegment(space, columns, flat_index, pq_index, file.checked, file.path.name)

    def _write(self, what: str, write: Callable[[BinaryIO], str]) -> str:
        """Let ``write`` fill a file and name it; return the name. It is durable there, or not there. Raises OSError."""
        part = self._new_part(what)
        try:
            with part.open("wb") as file:
                name = write(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path / name)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        flush(self.path)
        return name

    def _write_bytes(self, name: str, data: bytes) -> None:
        def write(file: BinaryIO) -> str:
            file.write(data)
            return name

        self._write(name, write)

    def _new_part(self, name: str) -> Path:
        self.path.mkdir(mode=0o700, exist_ok=True)
        part = self.path / f"{name}.{os.urandom(4).hex()}{_PART}"
        part.touch(mode=0o600)
        return part

    def _remove_all_but(self, named: set[str]) -> None:
        for path in self.path.iterdir() if self.path.is_dir() else ():
            if path.name not in named and path.name.endswith((SUFFIX, _STATES, _PART, MANIFEST)):
                path.unlink(missing_ok=True)
