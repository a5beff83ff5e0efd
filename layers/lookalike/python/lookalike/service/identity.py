"""Tells whether pictures are the same one, and where a library keeps a picture that is its own id.

A picture's digest is that of its RGB pixels, and its id. Rarely, two pictures have the same pixels and differ in what
those do not show: white ink on transparent ground, a shadow's transparency. The first of
them has the digest as its id, and the next its full digest. Which a row's picture is, its file's digest says; where
the files differ, the stored original is read and compared.

One that shows in full what it has is looked for by its digest alone, as nearly all are, unless a row of another file
stands there. So if it had to make way for such a twin, and that is purged, it may be added a second time.
"""

from __future__ import annotations

from collections.abc import Iterable

from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Key, Picture
from lookalike.domain.search import Candidate
from lookalike.errors import PictureError
from lookalike.imaging.decode import Decoded, hidden_of
from lookalike.limits.call import Job
from lookalike.ports import Ports
from lookalike.service.originals import BUDGET, read

#: So many originals one search reads: nearly always all there are, for few files have just the same pixels.
_MOST = 4


def locate(ports: Ports, library: Library, picture: Decoded) -> tuple[Key, Picture | None]:
    """The key where the picture is, or belongs if the library does not hold it; and the row there.

    Raises Unavailable if an original that has to be compared cannot be read.
    """
    row, other = rows_of(ports, library, picture)
    second = Key(library.uid, picture.full_digest)
    if other is not None and other.deletable:
        return second, other
    if row is not None and row.deletable and not _is_of(ports, library, row, picture):
        return second, other
    return Key(library.uid, picture.digest), row


def rows_of(ports: Ports, library: Library, picture: Decoded) -> tuple[Picture | None, Picture | None]:
    """The rows that may be the picture's: that of its digest, and that of its full digest."""
    row = ports.catalog.picture(Key(library.uid, picture.digest))
    if picture.hidden is None and (row is None or _is_file(row.object_key, picture)):
        return row, None
    return row, ports.catalog.picture(Key(library.uid, picture.full_digest))


def kept_digest(library: Library, key: Key, picture: Decoded) -> str:
    """The digest of the row by that key. Where pictures have callers' ids, any number of rows may have the same."""
    if library.identity is Identity.PICTURE:
        return key.id
    return picture.digest if picture.hidden is None else picture.full_digest


def identical(ports: Ports, job: Job, candidates: Iterable[Candidate], picture: Decoded) -> set[Key]:
    """Which of the candidates are this picture. Those of the same pixels whose originals cannot be had are."""
    same: set[Key] = set()
    doubtful: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.digest == picture.full_digest or (
            candidate.digest == picture.digest and _is_file(candidate.object_key, picture)
        ):
            same.add(candidate.key)
        elif candidate.digest == picture.digest:
            doubtful.setdefault(_file_of(candidate.object_key), []).append(candidate)
    if not doubtful:
        return same
    several = list(doubtful.values())
    files = read(ports.originals, [candidates[0].object_key for candidates in several[:_MOST]])
    shown = [_shows(job, file, picture) for file in files]
    # What hides nothing has this digest; so has, of what hides something, only a first row, or one of an older version.
    shown += [picture.hidden is None] * (len(several) - len(files))
    return same.union(*({one.key for one in some} for some, is_same in zip(several, shown, strict=True) if is_same))


def _is_of(ports: Ports, library: Library, row: Picture, picture: Decoded) -> bool:
    """Whether a row of the picture's digest is the picture's."""
    if _is_file(row.object_key, picture):
        return True
    return _shows(ports.job(library.tenant), ports.originals.get(row.object_key), picture)


def _is_file(object_key: str, picture: Decoded) -> bool:
    """Whether the original was made of the very file that the picture was."""
    return _file_of(object_key) == picture.file_digest[:16]


def _file_of(object_key: str) -> str:
    """The first 16 digits of the digest of the file that the original is."""
    return object_key.rpartition("-")[2]


def _shows(job: Job, original: bytes | None, picture: Decoded) -> bool:
    """Whether an original that has the picture's pixels shows the same; also where there is none that can be read."""
    if original is None:
        return True
    try:
        with BUDGET.decoding(job) as room:
            return hidden_of(original, room) == picture.hidden
    except PictureError:
        return True
