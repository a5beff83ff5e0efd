"""A bare folder as a library: its picture files, each by its path, as they are now."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Key, Metadata, Picture
from lookalike.errors import PictureError
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.imaging.signatures import format_of
from lookalike.ports import Ports
from lookalike.service.add import MAX_ID_BYTES, Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.libraries import MAX_CAPACITY, create_library
from lookalike.stores.local.picture_folder import FolderOriginals

#: The tenant and the library that a folder's pictures are in.
TENANT = LIBRARY = "folder"

#: What a picture may be: more than a caller's, as the files are the user's own. 200 megapixels are 600 MB once decoded.
BOUNDS = Bounds(max_bytes=1 << 29, min_side=8, max_side=30_000, max_pixels=200_000_000, formats=FORMATS)

#: Endings of files that are meant as pictures, whatever is in them: they are named where they cannot be read.
SUFFIXES = frozenset({".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".webp"})

#: Bytes of a file that tell its format.
_HEAD = 64

#: Rows read at a time.
_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Brought:
    """What was done to bring a library up to its folder. ``refused`` are files that are no readable pictures, with why."""

    pictures: int
    added: int
    removed: int
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is kept of a file beside its picture: its path below the folder, its bytes, and when it was changed last.

    ``path`` is as the file system has it; ``changed`` is Unix nanoseconds.
    """

    path: Path
    bytes: int
    changed: int

    @property
    def metadata(self) -> Metadata:
        """The facts as a picture's metadata."""
        said = {"path": os.fsencode(self.path).hex(), "bytes": self.bytes, "changed": self.changed}
        return Metadata(desc=json.dumps(said))

    @classmethod
    def of(cls, row: Picture) -> FileFacts:
        """Return the facts of a picture's file."""
        said = json.loads(row.metadata.desc)
        return cls(Path(os.fsdecode(bytes.fromhex(said["path"]))), said["bytes"], said["changed"])


def folder_library(ports: Ports) -> Library:
    """Return the library of the folder, which is made the first time."""
    known = ports.catalog.library(TENANT, LIBRARY)
    return known or create_library(ports, LibraryRef(TENANT, LIBRARY, Kind.SAME, Identity.OWN), MAX_CAPACITY)


def bring_up(
    ports: Ports, folder: Path, originals: FolderOriginals, leave_out: Path, tell: Callable[[int, int], None]
) -> Brought:
    """Add what is new or changed in the folder and below, and remove what is gone; files elsewhere are left alone.

    Files below ``leave_out``, hidden ones and what neither begins like a picture nor is called one are not looked at. ``tell`` is called with
    the number of files done and of all.
    """
    library = folder_library(ports)
    known = {row.key.id: row for row in _rows(ports, library)}
    files = {id_of(path): path for path in _picture_files(folder, leave_out)}
    refused: dict[str, str] = {}
    added = 0
    for number, (id_, path) in enumerate(files.items()):
        tell(number, len(files))
        try:
            facts = _facts(folder, path)
            row = known.get(id_)
            if row is None or FileFacts.of(row) != facts or row.model != ports.embedder.model:
                row = _add(ports, library, id_, facts, (folder / path).read_bytes())
                added += 1
            originals.paths[row.object_key] = folder / path
        except (PictureError, OSError) as error:
            refused[os.fsdecode(os.fsencode(path))] = str(error)
    gone = [id_ for id_ in known if id_ not in files or os.fsdecode(os.fsencode(files[id_])) in refused]
    _remove(ports, library, gone)
    tell(len(files), len(files))
    return Brought(len(files) - len(refused), added, len(gone), refused)


def id_of(path: Path) -> str:
    """Return the id of the picture in the file at a path below the folder: the path, or its digest if it cannot be one."""
    raw = os.fsencode(path.as_posix())
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = ""
    return text if text and len(raw) <= MAX_ID_BYTES and text.isprintable() else f"~{hashlib.sha256(raw).hexdigest()}"


def _picture_files(folder: Path, leave_out: Path) -> Iterator[Path]:
    """Yield the paths of picture files below the folder, in order. Links to folders are not followed."""
    for where, folders, names in os.walk(folder):
        here = Path(where)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and here / name != leave_out)
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and (path.suffix.lower() in SUFFIXES or _begins_like_a_picture(path)):
                yield path.relative_to(folder)


def _begins_like_a_picture(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return format_of(file.read(_HEAD)) is not None
    except OSError:
        return False


def _facts(folder: Path, path: Path) -> FileFacts:
    stat = (folder / path).stat()
    return FileFacts(path, stat.st_size, stat.st_mtime_ns)


def _add(ports: Ports, library: Library, id_: str, facts: FileFacts, data: bytes) -> Picture:
    command = Add(_ref(library), Source(BOUNDS, data), facts.metadata, id_, replace=True)
    return add(ports, command, library)


def _remove(ports: Ports, library: Library, ids: list[str]) -> None:
    if ids:
        delete(ports, Delete(_ref(library), tuple(ids)))
        ports.maps.remove_maps([row.object_key for id_ in ids if (row := ports.catalog.picture(Key(library.uid, id_)))])


def _rows(ports: Ports, library: Library) -> Iterator[Picture]:
    """Yield the live rows of the library."""
    after: str | None = None
    while rows := ports.catalog.pictures(library.uid, after, _ROWS):
        yield from (row for row in rows if row.live)
        after = rows[-1].key.id


def _ref(library: Library) -> LibraryRef:
    return LibraryRef(library.tenant, library.name, library.kind, library.identity)
