"""Rows of an import: a picture, and what is said of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lookalike.domain.picture import digest_prefix, sign_of
from lookalike.errors import LookalikeError
from lookalike.wire.jumdata import sign_codec

#: What a row may say, by the names of columns in CSV and of members in JSON Lines.
FIELDS = ("id", "file", "url", "base64", "brief", "tags", "label", "desc", "sign", "class_id1", "class_id2")

#: Fields that name the picture: a row has one of them.
PICTURES = ("file", "url", "base64")

#: Bytes of an id that is made of a file's path or a URL. A longer one becomes its SHA-256.
_MAX_MADE_ID_BYTES = 512

_URL = re.compile(r"https?://", re.IGNORECASE)

#: Fields with a number each, as Baidu has them in its library of products: a tag of its place.
_CLASSES = {"class_id1": "1", "class_id2": "2"}

#: A comma, also as wide as a Chinese character, and the spaces round it.
_COMMA = re.compile(r"\s*[,\uff0c]\s*")

_TAG_ENDS = re.compile(r"[,;|]")


class SourceError(LookalikeError):
    """What is to be imported cannot be read."""


class RowError(LookalikeError):
    """A row that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Row:
    """A picture to add. ``number`` counts from 1; ``source`` names the picture as the table does.

    ``label`` and ``desc`` are JSON text. A row with a ``fault`` names no picture. ``root``, an absolute path without links,
    is the folder that the file must lie in; None: anywhere. ``sign`` is what the vendor called the picture that it comes from.
    """

    number: int
    source: str
    id: str | None = None
    file: Path | None = None
    url: str | None = None
    base64: str | None = field(default=None, repr=False)
    brief: str = ""
    tags: tuple[str, ...] = ()
    label: str | None = None
    desc: str | None = None
    fault: str = ""
    root: Path | None = None
    sign: str = ""

    def digest(self, target: str) -> str:
        """Return what tells the row from all others, whatever its number, in an import into ``target``."""
        said = (target, self.id, self.source, self.brief, self.tags, self.label, self.desc, self.fault)
        signed = [self.old_sign()] if self.old_sign() else []  # without one, journals of older versions stay valid
        return hashlib.sha256(json.dumps([*said, *signed]).encode()).hexdigest()[:32]

    def stamp(self) -> str:
        """Return what changes with the picture's file: its size and time; empty if there is no such file."""
        if self.file is None:
            return "" if self.fault else "given"
        try:
            file = self.real_file()
            found = None if file is None else file.stat()
        except (OSError, ValueError):  # a name with a NUL
            return ""
        return f"outside {self.root}" if found is None else f"{found.st_size}-{found.st_mtime_ns}"

    def real_file(self) -> Path | None:
        """Return where the file lies once links are followed; None if that is not in ``root``. Raises ValueError."""
        real = Path(os.path.realpath(self.file or ""))
        return real if self.root is None or real.is_relative_to(self.root) else None

    def given(self) -> str:
        """Return what the row calls its picture: its id, or the sign that it had; empty if it says neither."""
        return self.id or self.sign

    def old_sign(self) -> str:
        """Return the sign that the picture had, as ``a,b``, also if it stands in the place of the id.

        What says none is returned as it is, if it stands in a sign's place, so that it is refused.
        """
        prefix = digest_prefix(sign_codec.sign_in(_COMMA.sub(",", self.sign or self.id or "")))
        return self.sign if prefix is None else sign_of(prefix)

    def own_id(self) -> str:
        """Return the row's id; without one, the sign that the picture had, or the id that its path or URL makes."""
        if given := self.given():
            return given
        named = self.source.encode(errors="surrogatepass")
        if 1 <= len(named) <= _MAX_MADE_ID_BYTES and "\0" not in self.source and _is_text(self.source):
            return self.source
        return hashlib.sha256(named).hexdigest()


class Source(Protocol):
    """What is imported: it can be read more than once, and is never held in memory as a whole."""

    @property
    def has_ids(self) -> bool:
        """Whether rows have ids of their own."""

    def column(self, field: str) -> str:
        """Return what it calls a field, for the operator."""

    @property
    def path(self) -> Path:
        """The file or the folder."""

    def rows(self) -> Iterator[Row]:
        """Iterate over the rows, in order. Raises SourceError."""

    def notes(self) -> Sequence[str]:
        """Return what the operator should know once all rows have been read, a line each."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where files of rows are: named relative to ``folder``, and all of them in ``root``, an absolute path without links."""

    folder: Path
    root: Path

    @classmethod
    def of(cls, folder: Path, root: Path | None = None) -> Place:
        """Return the place of files that are named relative to a folder, and lie in it if no root is said."""
        return cls(folder, Path(os.path.realpath(folder if root is None else root)))


def row_of(number: int, said: Mapping[str, object], place: Place) -> Row:
    """Return the row of a table whose files are in that place. Raises RowError."""
    named = [name for name in PICTURES if said.get(name) not in (None, "")]
    if len(named) != 1:
        raise RowError("names no file or URL" if not named else f"has {' and '.join(named)}: one of them is enough")
    picture = _text(said, named[0])
    if named == ["file"] and _URL.match(picture):  # what many tables call the column of it
        named = ["url"]
    source = hashlib.sha256(picture.encode()).hexdigest() if named[0] == "base64" else picture
    return Row(
        number=number,
        source=source,
        id=_id_of(said),
        file=place.folder / picture if named[0] == "file" else None,
        url=picture if named[0] == "url" else None,
        base64=picture if named[0] == "base64" else None,
        brief=_text(said, "brief"),
        tags=(*_tags_of(said.get("tags")), *_classes_of(said)),
        label=_json_of(said.get("label")),
        desc=_json_of(said.get("desc")),
        root=place.root,
        sign=_text(said, "sign"),
    )


def _id_of(said: Mapping[str, object]) -> str | None:
    value = said.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(said, "id") or None


def _text(said: Mapping[str, object], name: str) -> str:
    value = said.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowError(f"{name}: {_kind_of(value)}, and should be a text in quotation marks")
    return value.strip() if name in ("id", "sign", *PICTURES) else value


def _kind_of(value: object) -> str:
    """Return what a value of JSON is that is no text."""
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, (int, float)) else "a list" if isinstance(value, list) else "an object"


def _classes_of(said: Mapping[str, object]) -> Iterator[str]:
    """Yield the tags that are numbers of a place."""
    for name, place in _CLASSES.items():
        value = said.get(name)
        number = str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(said, name).strip()
        if number:
            yield f"{place}:{number}"


def _tags_of(value: object) -> tuple[str, ...]:
    """Return the tags of a list, or of a text that parts them by commas, semicolons or bars."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(tag for part in _TAG_ENDS.split(value) if (tag := part.strip()))
    if isinstance(value, list) and all(isinstance(one, (str, int)) for one in value):
        return tuple(str(one) for one in value)
    raise RowError(f"tags: {_kind_of(value)}, and should be a text or a list of texts")


def _json_of(value: object) -> str | None:
    """Return a value as JSON text: a text that is JSON as it is, any other in quotes."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            return json.dumps(value, ensure_ascii=False)
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
