"""Rows of a folder: a picture file each, described by a file of JSON beside it, if there is one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lookalike.imaging.arriving import is_arriving
from lookalike.imaging.signatures import is_picture
from lookalike.transfer.rows import Place, Row, RowError, row_of

#: Ends of names of picture files. A file that has one is a row, whatever is in it: the report says what is wrong with it.
_ENDINGS = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif"}
)

#: Bytes by which a file's format is told.
_BEGINNING = 32

#: Longest brief, in bytes, that a file's path is used for.
_MAX_BRIEF_BYTES = 256


class PictureFolder:
    """All pictures of a folder and those below it, by name. Hidden files and folders are left alone.

    Links are followed to files in the folder, or in ``root``.
    """

    has_ids = False

    def __init__(self, path: Path, root: Path | None = None) -> None:
        self._path = path
        self._place = Place.of(path, root)
        self._others = 0

    @property
    def path(self) -> Path:
        """The folder."""
        return self._path

    def column(self, field: str) -> str:
        """Return what a file of JSON calls a field: by its name."""
        return field

    def rows(self) -> Iterator[Row]:
        """Iterate over the picture files."""
        self._others = 0
        number = 0
        for file in files_of(self._path):
            if not _is_row(file):
                self._others += not _describes(file)
                continue
            number += 1
            yield self._row(number, file)

    def notes(self) -> Sequence[str]:
        """Return how many files are no pictures."""
        return [f"files that are no pictures, and were passed over: {self._others}"] if self._others else []

    def _row(self, number: int, file: Path) -> Row:
        name = file.relative_to(self._path).as_posix()
        try:
            said = _description(file, self._place)
            brief = {} if "brief" in said else {"brief": _brief_of(name)}
            row = row_of(number, {**said, **brief, "file": name}, self._place)
        except RowError as fault:
            return Row(number, name, fault=str(fault))
        return row


def files_of(folder: Path) -> Iterator[Path]:
    """Iterate over the files of a folder and of those below it, in the order of their names."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        yield from (Path(root, name) for name in sorted(files) if not _is_hidden(name))


def has_ending(name: str) -> bool:
    """Whether a file's name ends like that of a picture."""
    return os.path.splitext(name)[1].lower() in _ENDINGS  # noqa: PTH122  # a name alone, of many


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "@", "#")) or name in ("__MACOSX", "lost+found")


def _is_row(file: Path) -> bool:
    if has_ending(file.name):
        return True
    try:
        if not file.is_file():  # a pipe, of which nobody knows when it ends
            return False
        with file.open("rb") as opened:
            beginning = opened.read(_BEGINNING)
    except OSError:
        return False
    return is_picture(beginning) or is_arriving(beginning)


def _describes(file: Path) -> bool:
    return file.suffix == ".json" and file.with_suffix("").is_file()


def _description(file: Path, place: Place) -> Mapping[str, object]:
    """Return what the file of JSON beside a picture says of it: brief, tags, label, desc. Raises RowError."""
    beside = file.with_name(f"{file.name}.json")
    if not Path(os.path.realpath(beside)).is_relative_to(place.root):
        raise RowError(f"{beside.name} lies outside of {place.root}; --root says where files may lie")
    try:
        said = json.loads(beside.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise RowError(f"{beside.name} cannot be read: {error}") from error
    if not isinstance(said, dict):
        raise RowError(f"{beside.name} is no JSON object")
    return {name: value for name, value in said.items() if name in ("brief", "tags", "label", "desc")}


def _brief_of(name: str) -> str:
    encoded = name.encode(errors="replace")
    return encoded.decode() if len(encoded) <= _MAX_BRIEF_BYTES else ""
