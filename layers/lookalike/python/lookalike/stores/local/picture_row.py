"""A picture as a row of SQLite: its columns, their checksum, and the placeholder of a damaged row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from zlib import crc32

import numpy as np

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION, Key, Picture, State, Vector
from lookalike.observability import printable
from lookalike.stores import metadata_codec
from lookalike.stores.local.sqlite_rows import DECODE_ERRORS, Row, is_text

#: Columns in the order of a row. The checksum follows what it covers, so that one slice is formatted for it. Only added
#: metadata comes behind the checksum: older rows' checksums do not cover it. No checksum covers the file's size: one that is
#: wrong has the file looked at, and nothing else.
_NAMES = (
    *("library", "id", "kind", "revision", "added", "state", "digest", "file_digest", "model"),
    *metadata_codec.COLUMNS,
    *("sign_version", "deleted_at", "vector", "checksum"),
    *metadata_codec.ADDED_COLUMNS,
    "file_size",
)
COLUMNS = ", ".join(_NAMES)
VALUES = ", ".join("?" * len(_NAMES))
_POSITION = {name: index for index, name in enumerate(_NAMES)}
_METADATA = slice(_POSITION["model"] + 1, _POSITION["sign_version"])
_SIGN_VERSION, _DELETED_AT = _POSITION["sign_version"], _POSITION["deleted_at"]
_VECTOR, _CHECKSUM = _POSITION["vector"], _POSITION["checksum"]
_FILE_SIZE = _POSITION["file_size"]
_ADDED = slice(_CHECKSUM + 1, _FILE_SIZE)
_FIRST_METADATA = len(metadata_codec.COLUMNS)
_FORMAT = "\0".join(["%s"] * _VECTOR)
_NOTHING_ADDED = tuple(metadata_codec.ADDED_COLUMNS.values())

#: Inserts a row of :func:`row_of` unless the picture has one.
INSERT = f"INSERT INTO pictures ({COLUMNS}) VALUES ({VALUES}) ON CONFLICT (library, id) DO NOTHING"  # noqa: S608

#: Vectors in a row: IEEE 754 half precision, little-endian on every machine.
_FLOAT16 = np.dtype("<f2")
_VECTOR_BYTES = DIMENSION * _FLOAT16.itemsize

#: Exponent bits of a float16. All are set in infinities and NaN.
_EXPONENT = 0x7C00

_KINDS = {str(kind): kind for kind in Kind}  # faster than the enum's own look-up, which scans would feel
_STATES = {str(state): state for state in State}

_HEXADECIMAL = re.compile("[0-9a-f]+")
_DIGEST = re.compile("[0-9a-f]{64}")

#: Stands for a damaged row's digest that cannot be read.
_UNKNOWN_DIGEST = "0" * 64

#: Unix milliseconds. A greater revision is damaged, and could not be followed by another.
_MAX_REVISION = 1 << 62

#: Unix milliseconds, in the year 2248: a damaged row's revision is believed below this.
_MAX_PLAUSIBLE_REVISION = 1 << 43

#: Stands for a damaged row's revision that is not believed, so that the row's next revision is the clock's.
_UNKNOWN_REVISION = 0

#: Condition that a row has the revision it was read with; its values are :func:`at_revision`'s.
AT_REVISION = (
    "library = ? AND id = ? AND "
    f"(revision = ? OR (? = {_UNKNOWN_REVISION} AND revision NOT BETWEEN 0 AND {_MAX_PLAUSIBLE_REVISION - 1}))"
)


def row_of(picture: Picture) -> tuple[object, ...]:
    """Return a picture's columns, in the order of :data:`COLUMNS`."""
    metadata = metadata_codec.columns_of(picture.metadata)
    added = metadata[_FIRST_METADATA:]
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
        *metadata[:_FIRST_METADATA],
        picture.sign_version,
        picture.deleted_at,
        picture.vector.astype(_FLOAT16, copy=False).tobytes(),
    )
    return (*row, _checksum(row, added), *added, picture.file_size)


def at_revision(key: Key, revision: int) -> tuple[object, ...]:
    """Return the values of :data:`AT_REVISION`."""
    return key.library, key.id, revision, revision


def pictures_of(rows: Sequence[Row], on_damaged: Callable[[Row, str], Picture | None]) -> list[Picture]:
    """Return the rows' pictures. The vectors of all rows are checked at once, as a start reads hundreds of thousands.

    Parameters
    ----------
    on_damaged : called with each damaged row and the reason. Returns the picture that takes its place; None: none does.
    """
    try:
        return _pictures(rows)
    except DECODE_ERRORS:  # at least one row is damaged; find out which
        found = [_picture_or_placeholder(row, on_damaged) for row in rows]
        return [picture for picture in found if picture is not None]


def placeholder_of(row: Row) -> Picture | None:
    """Return a picture in the state DAMAGED with a row's key, revision and digests, but without vector and metadata.

    None if the key cannot be read: nothing could be written in the row's place.
    """
    library, id_ = row[0], row[1]
    if not (is_text(library) and is_text(id_)):
        return None
    revision = _placeholder_revision(row[3])
    own = id_ if _is_digest(id_) else _UNKNOWN_DIGEST
    return Picture(
        key=Key(library, id_),
        kind=_KINDS.get(row[2], Kind.SIMILAR),
        revision=revision,
        added=row[4] if _is_revision(row[4]) else revision,
        state=State.DAMAGED,
        digest=row[6] if _is_digest(row[6]) else own,
        file_digest=row[7] if _is_digest(row[7]) else _UNKNOWN_DIGEST,
        model=row[8] if is_text(row[8]) else "",
        vector=np.zeros(DIMENSION, np.float16),
        deleted_at=row[_DELETED_AT] if _is_revision(row[_DELETED_AT]) else None,
    )


def _placeholder_revision(revision: int) -> int:
    """Return a damaged row's revision if it is plausible."""
    return revision if 0 <= revision < _MAX_PLAUSIBLE_REVISION else _UNKNOWN_REVISION


def name_of(row: Row) -> str:
    """Return a row's library and id, printable on a terminal."""
    return printable(f"{_as_text(row[0])}/{_as_text(row[1])}")


def _picture_or_placeholder(row: Row, on_damaged: Callable[[Row, str], Picture | None]) -> Picture | None:
    reason = next((reason for reason, is_sound in _CHECKS if not is_sound(row)), None)
    return _pictures([row])[0] if reason is None else on_damaged(row, reason)


def _pictures(rows: Sequence[Row]) -> list[Picture]:
    """Return the rows' pictures. Raises one of ``DECODE_ERRORS`` if a row is damaged."""
    vectors = [row[_VECTOR] for row in rows]
    if set(map(len, vectors)) - {_VECTOR_BYTES}:
        raise ValueError("a vector of another length")
    vectors_of_rows = np.frombuffer(b"".join(vectors), _FLOAT16).reshape(len(rows), DIMENSION)
    if np.any((vectors_of_rows.view(np.uint16) & _EXPONENT) == _EXPONENT):
        raise ValueError("a vector that is not finite")
    old = [row for row in rows if row[_CHECKSUM] is None]
    if old and not _HEXADECIMAL.fullmatch("".join([row[6] + row[7] for row in old])):
        raise ValueError("no digest")
    if not all(_is_revision(row[3]) and _is_revision(row[4]) for row in old):
        raise ValueError("no revision")
    return [_picture(row, vector) for row, vector in zip(rows, vectors_of_rows, strict=True)]


def _picture(row: Row, vector: Vector) -> Picture:
    added = row[_ADDED]
    if row[_CHECKSUM] not in (_checksum(row, added), None):  # rows written before there were checksums have none
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
        metadata_codec.metadata_of_columns(row[_METADATA], added),
        row[_SIGN_VERSION],
        row[_DELETED_AT],
        file_size=row[_FILE_SIZE],
    )


def _checksum(row: Row, added: Row) -> int:
    """Return the CRC-32 of all columns before the checksum, and of added metadata unless all of it is empty."""
    checksum = crc32((_FORMAT % row[:_VECTOR]).encode() + row[_VECTOR])
    return checksum if added == _NOTHING_ADDED else crc32("\0".join(added).encode(), checksum)


def _is_digest(column: object) -> bool:
    return isinstance(column, str) and _DIGEST.fullmatch(column) is not None


def _is_revision(column: object) -> bool:
    return isinstance(column, int) and 0 <= column < _MAX_REVISION


def _as_text(column: object) -> str:
    return column if isinstance(column, str) else repr(column)


def _is_vector(column: object) -> bool:
    return isinstance(column, bytes) and len(column) == _VECTOR_BYTES


def _is_list(column: str) -> bool:
    try:
        return bool(metadata_codec.texts_of(column) or True)
    except (RecursionError, TypeError, ValueError):
        return False


#: Reasons for which a row is damaged, none of which quotes its contents, and the check that fails then. Each check relies
#: on those before it. The checks before the last also judge rows written before there were checksums.
_CHECKS: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    ("text that is not UTF-8", lambda row: all(map(is_text, (*row[:3], *row[5:_SIGN_VERSION], *row[_ADDED])))),
    ("unknown kind", lambda row: row[2] in _KINDS),
    ("unknown state", lambda row: row[5] in _STATES),
    ("a vector of another length", lambda row: _is_vector(row[_VECTOR])),
    ("a vector that is not finite", lambda row: bool(np.isfinite(np.frombuffer(row[_VECTOR], _FLOAT16)).all())),
    *[
        (f"{name} that are not a list of texts", lambda row, column=_POSITION[name]: _is_list(row[column]))
        for name in metadata_codec.LIST_FIELDS
    ],
    ("no digest", lambda row: _is_digest(row[6]) and _is_digest(row[7])),
    ("no revision", lambda row: _is_revision(row[3]) and _is_revision(row[4])),
    ("wrong checksum", lambda row: row[_CHECKSUM] in (None, _checksum(row, row[_ADDED]))),
)
