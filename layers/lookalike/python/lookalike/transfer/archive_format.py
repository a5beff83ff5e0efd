"""The archive: libraries with all that is stored of their pictures, in a folder of files that others can read.

=============================  =======================================================================================
``export.json``                the libraries, written first: an export that was broken off goes on with it
``rows-00000.ndjson``          a line of JSON a picture (:class:`Record`), 1,000 at most
``vectors-00000.npy``          their vectors, NumPy's format, float16 of shape (rows, 256), in the order of the rows
``maps-00000.bin``             their local maps, one behind the other; a row says where its own begins
``originals-00000.tar``        their original files, named by the row's number and format; a row says where its own begins
``part-00000.json``            length and SHA-256 of these four (:class:`Part`), written last of them
``manifest.json``              versions, libraries, all parts, and a digest of itself: an archive without it is unfinished
=============================  =======================================================================================

A library's pictures are in parts of its own. All numbers are of bytes, times of Unix milliseconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from lookalike.domain.library import Library
from lookalike.domain.picture import Picture
from lookalike.transfer.rows import SourceError

FORMAT = "lookalike-archive"

#: The file of aliases, if there are any: the names that another service knew pictures by.
ALIASES = "aliases.ndjson"

#: Version of the format. A reader refuses a newer one.
VERSION = 1

MANIFEST = "manifest.json"
PLAN = "export.json"

_T = TypeVar("_T", bound=msgspec.Struct)


class Span(msgspec.Struct, frozen=True):
    """Where something lies in a file, and how long it is. ``name``: the member's, in a tar."""

    offset: int
    length: int
    name: str = ""


class Record(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A picture. ``vector`` is the number of its line in the part's vectors; ``label`` and ``desc`` are as stored.

    ``source`` is the file that the original was made of, if it was too large for the library.
    """

    id: str
    revision: int
    added: int
    digest: str
    file_digest: str
    sign_version: int
    model: str
    vector: int
    original: Span
    map: Span | None = None
    source: Span | None = None
    brief: str = ""
    label: str = ""
    desc: str = ""
    tags: tuple[str, ...] = ()
    old_sign: str = ""


class FileSum(msgspec.Struct, frozen=True):
    """The length of a file, and its SHA-256."""

    length: int
    sha256: str


class Part(msgspec.Struct, frozen=True):
    """A part: its files by name, its number of rows, the rows of each model, and the id of the last row."""

    number: int
    library: str
    rows: int
    last: str
    models: Mapping[str, int]
    files: Mapping[str, FileSum]


class ArchivedLibrary(msgspec.Struct, frozen=True):
    """A library. ``uid`` is that of the service it comes from."""

    name: str
    uid: str
    kind: str
    identity: str
    created: int
    capacity: int | None = None

    @classmethod
    def of(cls, library: Library) -> ArchivedLibrary:
        """Return what an archive says of a library."""
        return cls(library.name, library.uid, library.kind, library.identity, library.created, library.capacity)


class Alias(msgspec.Struct, frozen=True):
    """A line of the file of aliases: the name that another service knew a picture by, as the catalog has it."""

    library: str
    alias: str
    id: str


class Plan(msgspec.Struct, frozen=True):
    """What an export has set out to write."""

    format: str
    version: int
    libraries: tuple[ArchivedLibrary, ...]


class Manifest(msgspec.Struct, frozen=True):
    """All of an archive. ``aliases``: of the file of them, if there are any. ``digest``: SHA-256 of this object's JSON with an empty digest."""

    format: str
    version: int
    made: str
    by: str
    libraries: tuple[ArchivedLibrary, ...]
    rows: int
    models: Mapping[str, int]
    parts: tuple[Part, ...]
    aliases: FileSum | None = None
    digest: str = ""

    def sealed(self) -> Manifest:
        """Return the manifest with its digest."""
        return msgspec.structs.replace(self, digest=self._sum())

    def is_whole(self) -> bool:
        """Whether it is as it was sealed."""
        return self.digest == self._sum()

    def _sum(self) -> str:
        return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(self, digest=""))).hexdigest()


class _Version(msgspec.Struct):
    """What every version's files begin with."""

    format: str = ""
    version: int = 0


def is_archive(folder: Path) -> bool:
    """Whether a folder is an archive, the beginning of one, or what is left of one."""
    first = file_names(0)
    return any((folder / name).is_file() for name in (MANIFEST, PLAN, first["rows"], first["vectors"]))


def read_json(path: Path, kind: type[_T]) -> _T:
    """Return what a file of an archive says. Raises SourceError in one line if it is broken, or of a newer version."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise SourceError(f"{path}: missing; the archive is cut short") from None
    try:
        found = msgspec.json.decode(data, type=_Version)
    except msgspec.DecodeError as error:
        raise SourceError(f"{path}: damaged ({error})") from error
    if kind is not Part and found.format != FORMAT:
        raise SourceError(f"{path}: no archive of lookalike")
    if found.version > VERSION:
        raise SourceError(
            f"{path}: version {found.version} of the format, and this lookalike reads up to {VERSION}: use a newer one"
        )
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise SourceError(f"{path}: damaged ({error})") from error


def file_names(number: int) -> Mapping[str, str]:
    """Return the names of a part's files, by what is in them."""
    endings = {"rows": "ndjson", "vectors": "npy", "maps": "bin", "originals": "tar"}
    return {name: f"{name}-{number:05}.{ending}" for name, ending in endings.items()}


def part_name(number: int) -> str:
    """Return the name of the file that seals a part."""
    return f"part-{number:05}.json"


def record_of(picture: Picture, vector: int, original: Span, map_: Span | None, source: Span | None) -> Record:
    """Return what an archive says of a picture."""
    return Record(
        id=picture.key.id,
        revision=picture.revision,
        added=picture.added,
        digest=picture.digest,
        file_digest=picture.file_digest,
        sign_version=picture.sign_version,
        model=picture.model,
        vector=vector,
        original=original,
        map=map_,
        source=source,
        brief=picture.metadata.brief,
        label=picture.metadata.label,
        desc=picture.metadata.desc,
        tags=picture.metadata.tags,
        old_sign=picture.metadata.old_sign,
    )
