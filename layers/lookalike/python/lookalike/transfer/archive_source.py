"""An archive as what is imported: checked as a whole, then read row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from lookalike.domain.picture import DIMENSION, Vector
from lookalike.transfer.archive_format import (
    ALIASES,
    MANIFEST,
    Alias,
    ArchivedLibrary,
    FileSum,
    Manifest,
    Part,
    Record,
    Span,
    file_names,
    read_json,
)
from lookalike.transfer.archive_part import sum_of
from lookalike.transfer.rows import Row, SourceError


@dataclass(frozen=True, slots=True, eq=False)
class ArchivedRow(Row):
    """A picture of an archive. ``id`` is that of the journal: library and id, parted by a slash."""

    part: Part | None = None
    record: Record | None = None

    def stamp(self) -> str:
        """Return the revision: a newer archive in the same place is imported anew where it differs."""
        return "" if self.record is None else str(self.record.revision)


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What an archive holds of a picture, beside its row."""

    vector: Vector
    original: bytes
    feature_map: bytes | None
    source: bytes | None


class ArchiveSource:
    """A finished archive, or the libraries of it that are named; with ``check`` every file is read and compared first.

    Raises SourceError, in one line, if it is unfinished, damaged, cut short, or of a newer version.
    """

    has_ids = True

    def __init__(self, path: Path, names: Sequence[str] = (), *, check: bool = True) -> None:
        if not (path / MANIFEST).is_file():
            raise SourceError(f"{path}: an export that was not finished; run it again, and it goes on where it was")
        self._path = path
        self.manifest = read_json(path / MANIFEST, Manifest)
        if not self.manifest.is_whole():
            raise SourceError(f"{path / MANIFEST}: damaged (its digest is another one)")
        libraries = {library.name: library for library in self.manifest.libraries}
        if unknown := [name for name in names if name not in libraries]:
            raise SourceError(f"{path} has no library {', '.join(unknown)}; it has {', '.join(libraries)}")
        self.libraries: Mapping[str, ArchivedLibrary] = {
            name: libraries[name] for name in dict.fromkeys(names or libraries)
        }
        self._parts = [part for part in self.manifest.parts if part.library in self.libraries]
        if check:
            self._check()

    @property
    def path(self) -> Path:
        """The archive's folder."""
        return self._path

    def column(self, field: str) -> str:
        """Return a field's own name."""
        return field

    def models(self) -> set[str]:
        """Return the models that the vectors were made with."""
        return {model for part in self._parts for model in part.models}

    def rows(self) -> Iterator[ArchivedRow]:
        """Iterate over the pictures."""
        number = 0
        for part in self._parts:
            for record in self._records(part):
                number += 1
                name = f"{part.library}/{record.id}"
                yield ArchivedRow(number, name, name, part=part, record=record)

    def notes(self) -> Sequence[str]:
        """Return nothing."""
        return []

    def aliases(self) -> Iterator[Alias]:
        """Iterate over the names that other services knew pictures by."""
        if self.manifest.aliases is None:
            return
        with (self._path / ALIASES).open("rb") as file:
            yield from (
                one for line in file if (one := msgspec.json.decode(line, type=Alias)).library in self.libraries
            )

    def contents(self, row: ArchivedRow) -> Contents:
        """Return all that is stored of a picture. Raises SourceError."""
        part, record = row.part, row.record
        if part is None or record is None:
            raise SourceError(f"{row.source}: of no archive")
        names = file_names(part.number)
        return Contents(
            vector=np.array(self._vectors(part)[record.vector]),
            original=self._read(names["originals"], record.original),
            feature_map=None if record.map is None else self._read(names["maps"], record.map),
            source=None if record.source is None else self._read(names["originals"], record.source),
        )

    def _vectors(self, part: Part) -> Vector:
        """Return a part's vectors, which stay on the disk. Raises SourceError if they are none of a model that is known."""
        path = self._path / file_names(part.number)["vectors"]
        try:
            vectors: Vector = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise SourceError(f"{path}: damaged ({error})") from error
        if vectors.shape != (part.rows, DIMENSION) or vectors.dtype != np.float16:
            wanted = f"float16 of {(part.rows, DIMENSION)}"
            raise SourceError(f"{path}: {vectors.dtype} of {vectors.shape}, and this lookalike reads {wanted}")
        return vectors

    def _records(self, part: Part) -> Iterator[Record]:
        with (self._path / file_names(part.number)["rows"]).open("rb") as file:
            for line in file:
                try:
                    yield msgspec.json.decode(line, type=Record)
                except msgspec.DecodeError as error:
                    raise SourceError(f"{file.name}: damaged ({error})") from error

    def _read(self, name: str, span: Span) -> bytes:
        with (self._path / name).open("rb") as file:
            file.seek(span.offset)
            data = file.read(span.length)
        if len(data) != span.length:
            raise SourceError(f"{self._path / name}: cut short")
        return data

    def _check(self) -> None:
        """Compare every file with what the manifest says of it. Raises SourceError."""
        for part in self._parts:
            for name, said in part.files.items():
                self._check_file(name, said)
            if part.rows:
                self._vectors(part)
        if self.manifest.aliases is not None:
            self._check_file(ALIASES, self.manifest.aliases)

    def _check_file(self, name: str, said: FileSum) -> None:
        path = self._path / name
        if not path.is_file():
            raise SourceError(f"{path}: missing; the archive is cut short, and nothing was imported")
        found = sum_of(path)
        if found.length != said.length:
            reason = f"{found.length} bytes long, and was {said.length}: cut short"
            raise SourceError(f"{path}: {reason}; nothing was imported")
        if found != said:
            raise SourceError(f"{path}: damaged (its SHA-256 is another one); nothing was imported")
