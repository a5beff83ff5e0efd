"""The vector index of one machine: in memory, filled from the catalog when the server starts."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.inventory import IndexEntry
from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.domain.search import Candidate, Query
from lookalike.observability import logger
from lookalike.ports import VectorIndex
from lookalike.stores.vectors.inner_products import Rows, max_cosines
from lookalike.stores.vectors.library_index import MAX_SEGMENT_ROWS, LibraryIndex
from lookalike.stores.vectors.packed_candidate import unpack
from lookalike.stores.vectors.sealed_segment import Codebook
from lookalike.stores.vectors.segment_protocol import CandidateRows, Depth, Mask, Segment, Space

#: Rows of a mutable segment at most. Every search scores all of them, which takes 0.1 ms for this number.
MAX_MUTABLE_ROWS = 512

#: Difference, from rounding, between a cosine computed by FAISS and by :func:`max_cosines`; always less than this.
_MAX_ROUNDING_ERROR = 1e-6

#: Standard deviations above the mean error that the error of an estimated cosine is assumed not to exceed. Recall at
#: 100 among 500,000 blends of photographs' vectors: 0.998 with 3, 0.9999 with 3.5.
_ERROR_DEVIATIONS = 3.5

#: Rows from which a mutable segment is sealed at the end of a fill, as sealed rows take less memory.
_MIN_SEALED_ROWS = 32

#: Entries of one batch when all are listed.
_LISTED = 4096


class FaissIndex(VectorIndex):
    """Nearest-neighbour search by FAISS: exact in small libraries, with recall of at least 0.999 in large ones.

    Every search that begins after a write has returned sees it, whatever ``wait`` is. Cosines answered are exact for
    the float16 vectors, and the same whichever scan found the rows.

    Parameters
    ----------
    codebooks : per kind, the product quantiser trained on the model's vectors, float32 of shape
        (DIMENSION / 2, 16, 2). Kinds without one are scanned exactly.
    model : the model whose vectors the codebooks were trained on. Other models' vectors are scanned exactly and not
        counted. None: the codebooks fit all models, and all vectors are counted.
    max_mutable_rows : rows of a mutable segment before it is sealed.
    """

    def __init__(
        self,
        codebooks: Mapping[Kind, Codebook] | None = None,
        model: str | None = None,
        max_mutable_rows: int = MAX_MUTABLE_ROWS,
    ) -> None:
        self._codebooks = dict(codebooks or {})
        self._model = model
        self._max_mutable_rows = max_mutable_rows
        self._libraries: dict[str, LibraryIndex] = {}
        self._lock = threading.Lock()
        self._compactor = ThreadPoolExecutor(1, thread_name_prefix="index-compactor")
        self._pending_compactions: deque[Future[None]] = deque()
        self._closed = False

    def close(self) -> None:
        """Stop compaction. Searches and writes still work."""
        with self._lock:
            self._closed = True
        self._compactor.shutdown(wait=True, cancel_futures=True)

    def fill(self, batches: Iterable[Sequence[Picture]]) -> None:
        """Write the batches of a catalog's scan, faster and into fewer segments than :meth:`write` does."""
        for batch in batches:
            for library_index, pictures in self._by_library(batch):
                library_index.write(pictures, MAX_SEGMENT_ROWS)
            self.wait_for_compactions(max_pending=1)
        for library_index in list(self._libraries.values()):
            library_index.seal(_MIN_SEALED_ROWS)
        self.wait_for_compactions()
        _trim_heap()

    def wait_for_compactions(self, max_pending: int = 0) -> None:
        """Wait until at most ``max_pending`` compactions are left. Raises what a compaction has raised."""
        while (oldest := self._oldest_compaction_beyond(max_pending)) is not None:
            oldest.result()

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        for library_index, some in self._by_library(pictures):
            library_index.write(some, self._max_mutable_rows)

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        for library_index, some in self._by_library(pictures):
            library_index.remove(some)

    def count(self, *libraries: str) -> int:
        """Return the number of libraries' (uids) pictures that searches find: live, and of the index's model if set."""
        found = (self._libraries.get(library) for library in libraries)
        return sum(library_index.count_live(self._model) for library_index in found if library_index is not None)

    def generations(self) -> Mapping[Kind, str]:
        return {}

    def entries(self) -> Iterator[Sequence[IndexEntry]]:
        for library, library_index in list(self._libraries.items()):
            listed = library_index.listed()
            while rows := list(islice(listed, _LISTED)):
                yield [
                    IndexEntry(Key(library, id_), kind, revision, live, model)
                    for id_, (model, kind), revision, live in rows
                ]

    def held(self, kind: Kind, keys: Sequence[Key]) -> Sequence[IndexEntry]:
        found = []
        for key in keys:
            library_index = self._libraries.get(key.library)
            current = None if library_index is None else library_index.current(key.id)
            if current is not None and current[0][1] is kind:
                (model, _), revision, live = current
                found.append(IndexEntry(key, kind, revision, live, model))
        return found

    def search(self, query: Query) -> Sequence[Candidate]:
        views = np.ascontiguousarray(query.vectors, np.float32)
        snapshots = list(self._snapshots(query))
        depth = Depth.for_best(query.k)
        found = _score(snapshots, views, depth)
        while not found.is_complete(query.k):
            depth = depth.deeper()
            found = _score(snapshots, views, depth)
        return found.best(query.k)

    def _snapshots(self, query: Query) -> Iterator[_SegmentSnapshot]:
        for library in dict.fromkeys(query.libraries):
            library_index = self._libraries.get(library)
            for segment, live in library_index.snapshot((query.model, query.kind)) if library_index else ():
                allowed = live if query.tags is None else live & segment.tag_mask(query.tags, len(live))
                yield _SegmentSnapshot(library, segment, allowed)

    def _by_library(self, pictures: Sequence[Picture]) -> Iterator[tuple[LibraryIndex, Sequence[Picture]]]:
        for library, some in groupby(pictures, key=lambda picture: picture.key.library):
            yield self._library(library), list(some)

    def _library(self, library: str) -> LibraryIndex:
        with self._lock:
            library_index = self._libraries.get(library)
            if library_index is None:
                library_index = self._libraries[library] = LibraryIndex(self._codebook, self._submit_compaction)
            return library_index

    def _codebook(self, space: Space) -> Codebook | None:
        model, kind = space
        return self._codebooks.get(kind) if self._model in (None, model) else None

    def _submit_compaction(self, library_index: LibraryIndex) -> None:
        with self._lock:
            while self._pending_compactions and self._pending_compactions[0].done():
                self._pending_compactions.popleft()
            if not self._closed:
                self._pending_compactions.append(self._compactor.submit(_compact, library_index))

    def _oldest_compaction_beyond(self, max_pending: int) -> Future[None] | None:
        with self._lock:
            return self._pending_compactions.popleft() if len(self._pending_compactions) > max_pending else None


@dataclass(frozen=True, slots=True, eq=False)
class _SegmentSnapshot:
    """A segment when the search began, and the mask of its rows that may be answered, shape (≤ segment.count,)."""

    library: str
    segment: Segment
    allowed: Mask


@dataclass(frozen=True, slots=True, eq=False)
class _ScoredRows:
    """Candidate rows of all segments with their exact cosines.

    Attributes
    ----------
    which : for each row the position of its segment in ``snapshots``, shape (n,).
    rows : row numbers, shape (n,).
    cosines : shape (n,).
    bound : upper bound on the cosine of any allowed row not among them.
    """

    snapshots: Sequence[_SegmentSnapshot]
    which: Rows
    rows: Rows
    cosines: NDArray[np.float32]
    bound: float

    def is_complete(self, k: int) -> bool:
        """Return whether no omitted row can be among the k best or tie with the k-th."""
        if len(self.cosines) < k:
            return self.bound == -np.inf
        return self._kth_cosine(k) > self.bound + _MAX_ROUNDING_ERROR

    def best(self, k: int) -> list[Candidate]:
        """Return the k best candidates, by descending cosine, then by library and id."""
        order = np.argsort(-self.cosines, kind="stable")
        ordered = self.cosines[order]
        end = int(np.searchsorted(-ordered, -self._kth_cosine(k), side="right")) if len(order) > k else len(order)
        order, ordered = order[:end], ordered[:end]
        candidates = []
        places = (self.which[order].tolist(), self.rows[order].tolist(), ordered.tolist())
        for which, row, cosine in zip(*places, strict=True):
            snapshot = self.snapshots[which]
            candidates.append(unpack(snapshot.segment.record(row), snapshot.library, cosine))
        if np.any(ordered[1:] == ordered[:-1]):
            candidates.sort(key=lambda one: (-one.cosine, one.key.library, one.key.id))
        return candidates[:k]

    def _kth_cosine(self, k: int) -> float:
        return float(np.partition(self.cosines, -k)[-k])


def _score(snapshots: Sequence[_SegmentSnapshot], views: NDArray[np.float32], depth: Depth) -> _ScoredRows:
    """Scan all segments to this depth and compute the exact cosines of their candidates."""
    counts = [int(np.count_nonzero(snapshot.allowed)) for snapshot in snapshots]
    unfiltered = [
        snapshot.segment.candidates(views, snapshot.allowed, depth.share(count, sum(counts)))
        for snapshot, count in zip(snapshots, counts, strict=True)
    ]
    candidates = _keep_best_estimated(unfiltered, depth.estimated)
    found = [
        max_cosines(snapshot.segment.vectors, one.rows, views)
        for snapshot, one in zip(snapshots, candidates, strict=True)
    ]
    return _ScoredRows(
        snapshots=snapshots,
        which=np.repeat(np.arange(len(candidates)), [len(one.rows) for one in candidates]),
        rows=np.concatenate([np.empty(0, np.int64), *(one.rows for one in candidates)]),
        cosines=np.concatenate([np.empty(0, np.float32), *found]),
        bound=_omitted_bound(candidates, found),
    )


def _keep_best_estimated(candidates: Sequence[CandidateRows], limit: int) -> Sequence[CandidateRows]:
    """Return the candidates with only the ``limit`` best of all estimated rows."""
    estimates = [one.estimates for one in candidates if one.estimates is not None]
    if sum(map(len, estimates)) <= limit:
        return candidates
    least = float(np.partition(np.concatenate(estimates), -limit)[-limit])
    return [one.at_least(least) for one in candidates]


def _omitted_bound(candidates: Sequence[CandidateRows], found: Sequence[NDArray[np.float32]]) -> float:
    """Return an upper bound on the cosine of any allowed row that is not among the candidates.

    Exact scans bound it directly. For estimated rows, the scan's bound is raised by the mean error plus
    ``_ERROR_DEVIATIONS`` standard deviations, both measured on the rows that were rescored.
    """
    known = max((one.bound for one in candidates if one.estimates is None), default=-np.inf)
    bound = max((one.bound for one in candidates if one.estimates is not None), default=-np.inf)
    if bound == -np.inf:
        return known
    errors = np.concatenate(
        [exact - one.estimates for one, exact in zip(candidates, found, strict=True) if one.estimates is not None]
    )
    if not len(errors):
        return np.inf
    return max(known, bound + float(errors.mean()) + _ERROR_DEVIATIONS * float(errors.std()))


def _trim_heap() -> None:
    """Return freed memory to the system; after a fill to 500 MB the GNU C library would keep 80 MB."""
    with suppress(AttributeError, OSError):  # other C libraries have no such function
        ctypes.CDLL(None).malloc_trim(0)


def _compact(library_index: LibraryIndex) -> None:
    try:
        library_index.compact()
    except Exception:
        logger.exception("the index could not be tidied; it works on, more slowly, and tries again at the next write")
        raise
