"""Identity of pictures: whether two are the same one, and the row of a picture that is its own id.

A picture's id is its digest, that of the RGB pixels. Rarely, two different pictures have the same pixels, and differ in
hidden content (white ink on transparent ground, the transparency of a shadow). Then the first has the digest as its id, and
the second its full digest, which includes hidden content. The file's digest tells which of the two a row is; if the files
differ, the stored original is read and compared.

A picture without hidden content, as nearly all are, is looked up by its digest alone, unless the row there is of another
file. So it can be in a library twice: it is added after its twin and gets the full digest as its id, the twin is purged, and
it is added again.
"""

from __future__ import annotations

from collections.abc import Iterable

from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Decoded, Key, Picture
from lookalike.domain.search import Candidate
from lookalike.errors import PictureError
from lookalike.imaging.decode import hidden_digest_of_file
from lookalike.limits.call import Job
from lookalike.ports import Ports
from lookalike.service.originals import BUDGET, read_originals

#: Originals read per search. Nearly always enough: few different files have the same pixels.
_MAX_ORIGINALS_READ = 4


def locate(ports: Ports, library: Library, picture: Decoded) -> tuple[Key, Picture | None]:
    """Return the key of the picture's row, and the row; None for the row if the library does not hold the picture.

    Raises Unavailable if an original that has to be compared cannot be read.
    """
    row, other = rows_of(ports, library, picture)
    second = Key(library.uid, picture.full_digest)
    if other is not None and other.deletable:
        return second, other
    if row is not None and row.deletable and not _row_shows(ports, library, row, picture):
        return second, other
    return Key(library.uid, picture.digest), row


def rows_of(ports: Ports, library: Library, picture: Decoded) -> tuple[Picture | None, Picture | None]:
    """Return the rows that may be the picture's: that of its digest, and that of its full digest."""
    row = ports.catalog.picture(Key(library.uid, picture.digest))
    if picture.hidden is None and (row is None or _is_from_same_file(row.object_key, picture)):
        return row, None
    return row, ports.catalog.picture(Key(library.uid, picture.full_digest))


def row_digest(library: Library, key: Key, picture: Decoded) -> str:
    """Return the digest to store in the row of that key. Rows with callers' ids may share a digest."""
    if library.identity is Identity.PICTURE:
        return key.id
    return picture.digest if picture.hidden is None else picture.full_digest


def identical(ports: Ports, job: Job, candidates: Iterable[Candidate], picture: Decoded) -> set[Key]:
    """Return the keys of the candidates that are this picture.

    A candidate with the same pixels counts as this picture if its original cannot be read.
    """
    same: set[Key] = set()
    doubtful: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.digest == picture.full_digest or (
            candidate.digest == picture.digest and _is_from_same_file(candidate.object_key, picture)
        ):
            same.add(candidate.key)
        elif candidate.digest == picture.digest:
            doubtful.setdefault(_file_digest_prefix(candidate.object_key), []).append(candidate)
    if not doubtful:
        return same
    several = list(doubtful.values())
    files = read_originals(ports.originals, [candidates[0].object_key for candidates in several[:_MAX_ORIGINALS_READ]])
    is_same = [_has_same_hidden_content(job, file, picture) for file in files]
    # Of originals that are not read, hidden content is guessed. A row with this digest has none, unless it is the first
    # row of a picture that has some, or an older version of lookalike wrote it.
    is_same += [picture.hidden is None] * (len(several) - len(files))
    return same.union(
        *({one.key for one in some} for some, same_picture in zip(several, is_same, strict=True) if same_picture)
    )


def _row_shows(ports: Ports, library: Library, row: Picture, picture: Decoded) -> bool:
    """Return whether a row with the picture's digest shows this picture, hidden content included."""
    if _is_from_same_file(row.object_key, picture):
        return True
    return _has_same_hidden_content(ports.job(library.tenant), ports.originals.get(row.object_key), picture)


def _is_from_same_file(object_key: str, picture: Decoded) -> bool:
    """Return whether the original is the file that the picture was decoded from."""
    return _file_digest_prefix(object_key) == picture.file_digest[:16]


def _file_digest_prefix(object_key: str) -> str:
    """Return the first 16 digits of the original file's digest."""
    return object_key.rpartition("-")[2]


def _has_same_hidden_content(job: Job, original: bytes | None, picture: Decoded) -> bool:
    """Whether an original with the picture's pixels has the same hidden content; True if it cannot be read."""
    if original is None:
        return True
    try:
        with BUDGET.decoding(job) as room:
            return hidden_digest_of_file(original, room) == picture.hidden
    except PictureError:
        return True
