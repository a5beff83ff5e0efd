"""The canary: adds a picture that it has drawn, finds it by a changed copy, deletes it, and looks until it is gone.

It lives in a library of a tenant of its own, which no application has. What it leaves is purged as any deleted picture is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.canary import TENANT, CanaryReport
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.picture import Picture
from lookalike.domain.search import Query
from lookalike.errors import PictureNotFound
from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.imaging.drawn_picture import changed_copy, draw
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.search import Search, search

#: The canary's library.
LIBRARY = LibraryRef(TENANT, "canary", Kind.SAME, Identity.OWN)

#: Seconds until a picture that is not found counts as never found, or one that is as never gone.
MAX_SECONDS = 30.0

_POLL_SECONDS = 0.25

#: Milliseconds after which a canary's picture is that of a canary that is no more.
_LEFT_BEHIND_MS = 600_000

#: Nearest pictures by which recall is measured.
_NEAREST = 10

#: Rows that one exact scan compares.
_MAX_SCANNED = 100_000

_PAGE = 1_000

_BOUNDS = Bounds(max_bytes=1 << 22, min_side=1, max_side=4096, max_pixels=1 << 22, formats=FORMATS)


def run_canary(ports: Ports, sample: int = 0, pause: Callable[[float], None] = time.sleep) -> CanaryReport:
    """Run a canary; with ``sample``, measure recall by so many vectors of a library. Raises Unavailable."""
    at = ports.clock()
    picture = draw(at)
    name = f"canary-{at}"
    add(ports, Add(LIBRARY, Source(_BOUNDS, data=picture), id=name))
    copy = Source(_BOUNDS, data=changed_copy(picture))
    score = 0.0
    try:
        found, score = _until(lambda: _score(ports, copy, name), lambda score: score > 0, pause)
    finally:
        with suppress(PictureNotFound):
            delete(ports, Delete(LIBRARY, (name,)))
    gone, _ = _until(lambda: _score(ports, copy, name), lambda score: score == 0, pause)
    _delete_left_behind(ports, at)
    searched, recall = _recall(ports, sample) if sample else (0, None)
    return CanaryReport(at, found, gone, score, searched, recall)


def _delete_left_behind(ports: Ports, now: int) -> None:
    """Delete the pictures of canaries that were killed, if there are any. Raises Unavailable."""
    library = ports.catalog.library(LIBRARY.tenant, LIBRARY.name)
    if library is None or not ports.index.count(library.uid):
        return
    after: str | None = None
    while page := ports.catalog.pictures(library.uid, after, _PAGE):
        left = [row.key.id for row in page if row.live and row.added < now - _LEFT_BEHIND_MS]
        for name in left:
            with suppress(PictureNotFound):
                delete(ports, Delete(LIBRARY, (name,)))
        after = page[-1].key.id


def _score(ports: Ports, copy: Source, name: str) -> float:
    """Return the score by which a search finds the canary's picture; 0 if it does not."""
    matches = search(ports, Search(LIBRARY, copy, count=_NEAREST)).matches
    return next((match.score for match in matches if match.candidate.key.id == name), 0.0)


def _until(
    look: Callable[[], float], wanted: Callable[[float], bool], pause: Callable[[float], None]
) -> tuple[float | None, float]:
    """Look until the score is wanted; return the seconds that took, None if it took too long, and the last score."""
    began = time.monotonic()
    while not wanted(score := look()):
        if time.monotonic() - began > MAX_SECONDS:
            return None, score
        pause(_POLL_SECONDS)
    return time.monotonic() - began, score


def _recall(ports: Ports, sample: int) -> tuple[int, float | None]:
    """Return how many vectors were searched, and the share of their nearest that were found, in the largest library."""
    library = _largest(ports)
    rows = [] if library is None else list(_rows(ports, library))
    if library is None or not rows:
        return 0, None
    vectors = np.stack([row.vector for row in rows]).astype(np.float32)
    chosen = np.random.default_rng().choice(len(rows), min(sample, len(rows)), replace=False)
    shares = [_share_found(ports, library, rows, vectors, vectors[number]) for number in chosen.tolist()]
    return len(chosen), float(np.mean(shares))


def _share_found(
    ports: Ports, library: Library, rows: Sequence[Picture], vectors: NDArray[np.float32], view: NDArray[np.float32]
) -> float:
    """Return the share of the nearest rows that a search finds, or finds others that are as near."""
    cosines = np.sort(vectors @ view)[::-1][:_NEAREST]
    found = ports.index.search(Query(library.kind, (library.uid,), ports.embedder.model, view[None], len(cosines)))
    least = float(cosines[-1]) - 1e-4  # of equally near ones, either may be found
    return sum(one.cosine >= least for one in found) / len(cosines)


def _largest(ports: Ports) -> Library | None:
    tenants = {application.tenant for application in ports.applications.applications()}
    libraries = [library for tenant in tenants for library in ports.catalog.libraries(tenant)]
    return max(libraries, key=lambda library: ports.index.count(library.uid), default=None)


def _rows(ports: Ports, library: Library) -> Iterator[Picture]:
    """Yield live rows of the library, as many as one exact scan may compare."""
    after: str | None = None
    read = 0
    while read < _MAX_SCANNED and (page := ports.catalog.pictures(library.uid, after, _PAGE)):
        yield from (row for row in page if row.live and row.model == ports.embedder.model)
        after = page[-1].key.id
        read += len(page)
