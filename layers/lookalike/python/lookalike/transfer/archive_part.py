"""Writing one part of an archive: four files, and the file that seals them."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np

from lookalike.domain.picture import DIMENSION, Picture, Vector
from lookalike.imaging.arriving import arriving_format
from lookalike.imaging.signatures import format_of
from lookalike.transfer.archive_format import FileSum, Part, Span, file_names, part_name, record_of

#: Rows of a part at most.
MAX_ROWS = 1000

#: Bytes of originals from which a part takes no more rows.
MAX_BYTES = 1 << 30

#: Bytes read at a time.
_BLOCK = 1 << 20


class PartWriter:
    """A part that is being written, under names that end in ``.part`` until it is sealed. What is not sealed is removed."""

    def __init__(self, folder: Path, number: int, library: str) -> None:
        self._folder = folder
        self._number = number
        self._library = library
        self._paths = {name: folder / f"{file}.part" for name, file in file_names(number).items()}
        self._rows = self._paths["rows"].open("wb")
        self._maps = self._paths["maps"].open("wb")
        self._tar = tarfile.open(self._paths["originals"], "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed below
        self._vectors: list[Vector] = []
        self._models: Counter[str] = Counter()
        self._last = ""

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in (self._rows, self._maps, self._tar):
            with suppress(OSError):  # a full disk takes no end either; whoever has written before knows
                file.close()
        for path in self._paths.values():
            path.unlink(missing_ok=True)

    @property
    def is_full(self) -> bool:
        """Whether it takes no more rows."""
        return len(self._vectors) >= MAX_ROWS or self._tar.offset >= MAX_BYTES

    @property
    def rows(self) -> int:
        """Its number of rows."""
        return len(self._vectors)

    def add(self, picture: Picture, original: bytes, feature_map: bytes | None, source: bytes | None) -> None:
        """Add a picture, its original, its local map, and the file that the original was made of."""
        number = len(self._vectors)
        map_ = None if feature_map is None else Span(self._maps.tell(), len(feature_map))
        self._maps.write(feature_map or b"")
        file = self._stored(f"{number:06}.{_ending_of(original)}", original)
        came = None if source is None else self._stored(f"{number:06}.source.{_ending_of(source)}", source)
        self._rows.write(msgspec.json.encode(record_of(picture, number, file, map_, came)) + b"\n")
        self._vectors.append(picture.vector)
        self._models[picture.model] += 1
        self._last = picture.key.id

    def seal(self) -> Part:
        """Finish the files, make them durable, and return the part."""
        self._tar.close()
        vectors = np.stack(self._vectors) if self._vectors else np.empty((0, DIMENSION), np.float16)
        with self._paths["vectors"].open("wb") as file:
            np.save(file, vectors.astype("<f2"), allow_pickle=False)
        for opened in (self._rows, self._maps):
            opened.close()
        files = {}
        for name, final in file_names(self._number).items():
            files[final] = sum_of(self._paths[name], durable=True)
            self._paths[name].rename(self._folder / final)
        part = Part(self._number, self._library, len(self._vectors), self._last, dict(self._models), files)
        write_durably(self._folder / part_name(self._number), msgspec.json.format(msgspec.json.encode(part)))
        return part

    def _stored(self, name: str, data: bytes) -> Span:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        header = len(member.tobuf(tarfile.PAX_FORMAT))
        begin = self._tar.offset + header
        self._tar.addfile(member, io.BytesIO(data))
        return Span(begin, len(data), name)


def sum_of(path: Path, *, durable: bool = False) -> FileSum:
    """Return length and SHA-256 of a file; with ``durable``, once it is on the disk."""
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        if durable:
            os.fsync(file.fileno())
        while block := file.read(_BLOCK):
            digest.update(block)
            length += len(block)
    return FileSum(length, digest.hexdigest())


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or absent."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _ending_of(data: bytes) -> str:
    name = format_of(data) or arriving_format(data) or "bin"
    return "jpg" if name == "JPEG" else name.lower()
