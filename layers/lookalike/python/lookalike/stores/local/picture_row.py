"""A picture as a row of SQLite: its columns, their checksum, and what is made of a row that has been damaged."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION, Key, Picture, State, Vector
from lookalike.observability import printable
from lookalike.stores import metadata_codec

Row = tuple[Any, ...]

#: The vector and the checksum come last, so that the checksum's text is made of one slice; but for columns of added
#: metadata, which rows that are older do not have in theirs.
_NAMES = (
    *("library", "id", "kind", "revision", "added", "state", "digest", "file_digest", "model"),
    *metadata_codec.COLUMNS,
    *("sign_version", "deleted_at", "vector", "checksum"),
    *metadata_codec.ADDED_COLUMNS,
)
COLUMNS = ", ".join(_NAMES)
VALUES = ", ".join("?" * len(_NAMES))
_INDEX = {name: index for index, name in enumerate(_NAMES)}
_METADATA = slice(_INDEX["model"] + 1, _INDEX["sign_version"])
_SIGN_VERSION, _DELETED_AT = _INDEX["sign_version"], _INDEX["deleted_at"]
_VECTOR, _CHECKSUM = _INDEX["vector"], _INDEX["checksum"]
_ADDED = slice(_CHECKSUM + 1, len(_NAMES))
_FORMAT = "\0".join(["%s"] * _VECTOR)
_NOTHING_ADDED = tuple(metadata_codec.ADDED_COLUMNS.values())

#: Makes a picture's row of :func:`row_of`, where there is none.
INSERT = f"INSERT INTO pictures ({COLUMNS}) VALUES ({VALUES}) ON CONFLICT (library, id) DO NOTHING"  # noqa: S608

#: Vectors in a row: IEEE 754 half precision, little-endian, whatever the machine. All bits of its exponent are set in
#: what is no finite number.
_FLOAT16 = np.dtype("<f2")
_VECTOR_BYTES = DIMENSION * _FLOAT16.itemsize
_EXPONENT = 0x7C00

_KINDS = {str(kind): kind for kind in Kind}  # plain look-ups: an enum's own is slower, and scans make many
_STATES = {str(state): state for state in State}

_HEXADECIMAL = re.compile("[0-9a-f]+")
_DIGEST, _NO_DIGEST = re.compile("[0-9a-f]{64}"), "0" * 64

#: Revisions are Unix milliseconds; one above this has been damaged, and could not be followed by another.
_MAX_REVISION = 1 << 62

#: A damaged row's revision is believed below this, which is the year 2248. Any other is read as ``_LOST_REVISION``, so
#: that the row's next revision is the clock's.
_MAX_SALVAGED, _LOST_REVISION = 1 << 43, 0

#: Whether a row has the revision that it was read with; of :func:`at_revision`.
AT_REVISION = (
    "library = ? AND id = ? AND "
    f"(revision = ? OR (? = {_LOST_REVISION} AND revision NOT BETWEEN 0 AND {_MAX_SALVAGED - 1}))"
)


def row_of(picture: Picture) -> tuple[object, ...]:
    """A picture's columns, in their order."""
    row = (
        picture.key.library,
        picture.key.id,
        picture.kind,
        picture.revision,
        picture.added,
        picture.state,
        picture.digest,
        picture.file_digest,
        picture.model,
        *metadata_codec.columns_of(picture.metadata),
        picture.sign_version,
        picture.deleted_at,
        picture.vector.astype(_FLOAT16, copy=False).tobytes(),
    )
    added = metadata_codec.columns_of(picture.metadata, tuple(metadata_codec.ADDED_COLUMNS))
    return (*row, _checksum(row, added), *added)


def at_revision(key: Key, revision: int) -> tuple[object, ...]:
    """The values of :data:`AT_REVISION`."""
    return key.library, key.id, revision, revision


def pictures_of(rows: Sequence[Row], damaged: Callable[[Row, str], Picture | None]) -> list[Picture]:
    """The rows' pictures. ``damaged`` is told of each row that is, and why; what it returns stands for it, if anything.

    A start reads hundreds of thousands of rows, so the vectors of many are checked at once.
    """
    try:
        return _pictures(rows)
    except (KeyError, RecursionError, TypeError, ValueError):  # at least one is damaged: which
        found = [_picture_or(row, damaged) for row in rows]
        return [picture for picture in found if picture is not None]


def salvaged(row: Row) -> Picture | None:
    """What stands for a damaged row: its key, revision and whereabouts without contents, in the state DAMAGED.

    None if not even its key can be read: then nothing can be written in its place.
    """
    library, id_ = row[0], row[1]
    if not (is_text(library) and is_text(id_)):
        return None
    revision = _salvaged_revision(row[3])
    own = id_ if _is_digest(id_) else _NO_DIGEST
    return Picture(
        key=Key(library, id_),
        kind=_KINDS.get(row[2], Kind.SIMILAR),
        revision=revision,
        added=row[4] if _is_revision(row[4]) else revision,
        state=State.DAMAGED,
        digest=row[6] if _is_digest(row[6]) else own,
        file_digest=row[7] if _is_digest(row[7]) else _NO_DIGEST,
        model=row[8] if is_text(row[8]) else "",
        vector=np.zeros(DIMENSION, np.float16),
        deleted_at=row[_DELETED_AT] if _is_revision(row[_DELETED_AT]) else None,
    )


def _salvaged_revision(revision: int) -> int:
    """The revision that stands for a damaged row's."""
    return revision if 0 <= revision < _MAX_SALVAGED else _LOST_REVISION


def name_of(row: Row) -> str:
    """Library and id of a row, as a terminal can show them."""
    return printable(f"{_shown(row[0])}/{_shown(row[1])}")


def _picture_or(row: Row, damaged: Callable[[Row, str], Picture | None]) -> Picture | None:
    reason = next((reason for reason, is_sound in _CHECKS if not is_sound(row)), None)
    return _pictures([row])[0] if reason is None else damaged(row, reason)


def _pictures(rows: Sequence[Row]) -> list[Picture]:
    """Raises KeyError, RecursionError, TypeError or ValueError if one is damaged."""
    vectors = [row[_VECTOR] for row in rows]
    if set(map(len, vectors)) - {_VECTOR_BYTES}:
        raise ValueError("a vector of another length")
    halves = np.frombuffer(b"".join(vectors), _FLOAT16).reshape(len(rows), DIMENSION)
    if np.any((halves.view(np.uint16) & _EXPONENT) == _EXPONENT):
        raise ValueError("a vector that is not finite")
    old = [row for row in rows if row[_CHECKSUM] is None]
    if old and not _HEXADECIMAL.fullmatch("".join([row[6] + row[7] for row in old])):
        raise ValueError("no digest")
    if not all(_is_revision(row[3]) and _is_revision(row[4]) for row in old):
        raise ValueError("no revision")
    return [_picture(row, vector) for row, vector in zip(rows, halves, strict=True)]


def _picture(row: Row, vector: Vector) -> Picture:
    if row[_CHECKSUM] not in (_checksum(row, row[_ADDED]), None):  # rows that are older than checksums have none
        raise ValueError("wrong checksum")
    return Picture(
        Key(row[0], row[1]),
        _KINDS[row[2]],
        row[3],
        row[4],
        _STATES[row[5]],
        row[6],
        row[7],
        row[8],
        vector,
        metadata_codec.metadata_of_columns(row[_METADATA], row[_ADDED]),
        row[_SIGN_VERSION],
        row[_DELETED_AT],
    )


def _checksum(row: Row, added: Row) -> int:
    """CRC-32 of all columns before it, and of added metadata that is not empty."""
    checksum = crc32((_FORMAT % row[:_VECTOR]).encode() + row[_VECTOR])
    return checksum if added == _NOTHING_ADDED else crc32("\0".join(added).encode(), checksum)


def is_text(column: object) -> bool:
    """Whether a column holds text, and all of it was UTF-8 (the rest is read with surrogates in its place)."""
    try:
        return isinstance(column, str) and bool(column.encode() or True)
    except UnicodeEncodeError:
        return False


def _is_digest(column: object) -> bool:
    return isinstance(column, str) and _DIGEST.fullmatch(column) is not None


def _is_revision(column: object) -> bool:
    return isinstance(column, int) and 0 <= column < _MAX_REVISION


def _shown(column: object) -> str:
    return column if isinstance(column, str) else repr(column)


def _is_vector(column: object) -> bool:
    return isinstance(column, bytes) and len(column) == _VECTOR_BYTES


def _is_list(column: str) -> bool:
    try:
        return bool(metadata_codec.texts_of(column) or True)
    except (RecursionError, TypeError, ValueError):
        return False


#: What is wrong with a row where one of these does not hold, in a few words without anything of its contents; each
#: relies on those before it. A row that was written before rows had checksums is judged by what is seen without.
_CHECKS: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    ("text that is not UTF-8", lambda row: all(map(is_text, (*row[:3], *row[5:_SIGN_VERSION], *row[_ADDED])))),
    ("unknown kind", lambda row: row[2] in _KINDS),
    ("unknown state", lambda row: row[5] in _STATES),
    ("a vector of another length", lambda row: _is_vector(row[_VECTOR])),
    ("a vector that is not finite", lambda row: bool(np.isfinite(np.frombuffer(row[_VECTOR], _FLOAT16)).all())),
    *[
        (f"{name} that are not a list of texts", lambda row, column=_INDEX[name]: _is_list(row[column]))
        for name in metadata_codec.LIST_FIELDS
    ],
    ("no digest", lambda row: _is_digest(row[6]) and _is_digest(row[7])),
    ("no revision", lambda row: _is_revision(row[3]) and _is_revision(row[4])),
    ("wrong checksum", lambda row: row[_CHECKSUM] in (None, _checksum(row, row[_ADDED]))),
)
