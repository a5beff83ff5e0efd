"""The vector index of one machine: in memory, filled from the catalog at start."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.library import Kind
from lookalike.domain.picture import Picture
from lookalike.domain.search import Candidate, Query
from lookalike.observability import logger
from lookalike.ports import VectorIndex
from lookalike.stores.vectors.inner_products import Rows, cosines
from lookalike.stores.vectors.library_index import SEGMENT_ROWS, Collection
from lookalike.stores.vectors.packed_candidate import unpack
from lookalike.stores.vectors.sealed_segment import Codebook
from lookalike.stores.vectors.segment_protocol import Depth, Mask, Near, Part, Space

#: Rows of a library's tail before it is sealed. Every search looks at all of them, which takes 0.1 ms for so many.
TAIL_ROWS = 512

#: Cosines as FAISS computes them and as :func:`cosines` does differ by rounding, less than this.
_ROUNDING = 1e-6

#: An estimate is taken to be wrong by no more than the mean and so many standard deviations of those that can be
#: checked. With 3, among 500,000 blends of photographs' vectors, recall at 100 was 0.998; with 3.5 it is 0.9999.
_DEVIATIONS = 3.5

#: After a fill, a library of that many rows is sealed at once: sealed rows take less memory.
_WORTH_SEALING = 32


class FaissIndex(VectorIndex):
    """Finds neighbours by FAISS, exactly in small libraries and with recall of 0.999 and more in large ones.

    A write is seen by every search that begins after it returned, whether it was told to wait
    or not. The cosines answered are exact for the float16 vectors, and the same whichever way they were found.

    Parameters
    ----------
    codebooks : per kind, the product quantiser trained on the model's vectors, float32 of shape
        (DIMENSION / 2, 16, 2). Kinds without one are scanned exactly.
    model : the model whose vectors the codebooks were trained on; those of others are scanned exactly, and are not
        counted. None: all.
    tail_rows : rows a library's tail may have before it is sealed.
    """

    def __init__(
        self,
        codebooks: Mapping[Kind, Codebook] | None = None,
        model: str | None = None,
        tail_rows: int = TAIL_ROWS,
    ) -> None:
        self._codebooks = dict(codebooks or {})
        self._model = model
        self._tail_rows = tail_rows
        self._collections: dict[str, Collection] = {}
        self._lock = threading.Lock()
        self._janitor = ThreadPoolExecutor(1, thread_name_prefix="index-janitor")
        self._untidy: deque[Future[None]] = deque()
        self._closed = False

    def close(self) -> None:
        """Stop tidying. Searches and writes still work."""
        with self._lock:
            self._closed = True
        self._janitor.shutdown(wait=True, cancel_futures=True)

    def fill(self, batches: Iterable[Sequence[Picture]]) -> None:
        """Write what a catalog's scan yields, faster and more compactly than by :meth:`write`."""
        for batch in batches:
            for collection, pictures in self._by_collection(batch):
                collection.write(pictures, SEGMENT_ROWS)
            self.settle(pending=1)
        for collection in list(self._collections.values()):
            collection.seal(_WORTH_SEALING)
        self.settle()
        _hand_back_memory()

    def settle(self, pending: int = 0) -> None:
        """Wait until all but that many collections that need tidying have been tidied."""
        while (oldest := self._oldest_beyond(pending)) is not None:
            oldest.result()

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        for collection, some in self._by_collection(pictures):
            collection.write(some, self._tail_rows)

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        for collection, some in self._by_collection(pictures):
            collection.remove(some)

    def count(self, library: str) -> int:
        """How many pictures of a library (uid) searches can find: live ones, of the index's model if it has one."""
        collection = self._collections.get(library)
        return 0 if collection is None else collection.live(self._model)

    def search(self, query: Query) -> Sequence[Candidate]:
        views = np.ascontiguousarray(query.vectors, np.float32)
        haystacks = list(self._haystacks(query))
        depth = Depth.of(query.k)
        found = _nearest(haystacks, views, depth)
        while not found.settles(query.k):
            depth = depth.deeper()
            found = _nearest(haystacks, views, depth)
        return found.best(query.k)

    def _haystacks(self, query: Query) -> Iterator[_Haystack]:
        for library in dict.fromkeys(query.libraries):
            collection = self._collections.get(library)
            for part, live in collection.snapshot((query.model, query.kind)) if collection else ():
                allowed = live if query.tags is None else live & part.passing(query.tags, len(live))
                yield _Haystack(library, part, allowed)

    def _by_collection(self, pictures: Sequence[Picture]) -> Iterator[tuple[Collection, Sequence[Picture]]]:
        for library, some in groupby(pictures, key=lambda picture: picture.key.library):
            yield self._collection(library), list(some)

    def _collection(self, library: str) -> Collection:
        with self._lock:
            collection = self._collections.get(library)
            if collection is None:
                collection = self._collections[library] = Collection(self._codebook, self._tidy_later)
            return collection

    def _codebook(self, space: Space) -> Codebook | None:
        model, kind = space
        return self._codebooks.get(kind) if self._model in (None, model) else None

    def _tidy_later(self, collection: Collection) -> None:
        with self._lock:
            while self._untidy and self._untidy[0].done():
                self._untidy.popleft()
            if not self._closed:
                self._untidy.append(self._janitor.submit(_tidy, collection))

    def _oldest_beyond(self, pending: int) -> Future[None] | None:
        with self._lock:
            return self._untidy.popleft() if len(self._untidy) > pending else None


@dataclass(frozen=True, slots=True, eq=False)
class _Haystack:
    """A part as it was when the search began. ``allowed`` says which rows may be found."""

    library: str
    part: Part
    allowed: Mask


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Candidates of all haystacks with their exact cosines. No row left out has a cosine above ``floor``."""

    haystacks: Sequence[_Haystack]
    which: Rows
    rows: Rows
    cosines: NDArray[np.float32]
    floor: float

    def settles(self, k: int) -> bool:
        """Whether nothing left out belongs to the k best, or ties with them."""
        if len(self.cosines) < k:
            return self.floor == -np.inf
        return self._least(k) > self.floor + _ROUNDING

    def best(self, k: int) -> list[Candidate]:
        """The k best."""
        order = np.argsort(-self.cosines, kind="stable")
        ordered = self.cosines[order]
        end = int(np.searchsorted(-ordered, -self._least(k), side="right")) if len(order) > k else len(order)
        order, ordered = order[:end], ordered[:end]
        candidates = []
        places = (self.which[order].tolist(), self.rows[order].tolist(), ordered.tolist())
        for which, row, cosine in zip(*places, strict=True):
            haystack = self.haystacks[which]
            candidates.append(unpack(haystack.part.record(row), haystack.library, cosine))
        if np.any(ordered[1:] == ordered[:-1]):
            candidates.sort(key=lambda one: (-one.cosine, one.key.library, one.key.id))
        return candidates[:k]

    def _least(self, k: int) -> float:
        return float(np.partition(self.cosines, -k)[-k])


def _nearest(haystacks: Sequence[_Haystack], views: NDArray[np.float32], depth: Depth) -> _Found:
    counts = [int(np.count_nonzero(haystack.allowed)) for haystack in haystacks]
    near_each = [
        haystack.part.near(views, haystack.allowed, depth.share(count, sum(counts)))
        for haystack, count in zip(haystacks, counts, strict=True)
    ]
    nears = _best_estimated(near_each, depth.rough)
    found = [cosines(haystack.part.vectors, near.rows, views) for haystack, near in zip(haystacks, nears, strict=True)]
    return _Found(
        haystacks=haystacks,
        which=np.repeat(np.arange(len(nears)), [len(near.rows) for near in nears]),
        rows=np.concatenate([np.empty(0, np.int64), *(near.rows for near in nears)]),
        cosines=np.concatenate([np.empty(0, np.float32), *found]),
        floor=_floor(nears, found),
    )


def _best_estimated(nears: Sequence[Near], limit: int) -> Sequence[Near]:
    """The same with only the ``limit`` best of all rows that were estimated."""
    estimates = [near.estimates for near in nears if near.estimates is not None]
    if sum(map(len, estimates)) <= limit:
        return nears
    least = float(np.partition(np.concatenate(estimates), -limit)[-limit])
    return [near.above(least) for near in nears]


def _floor(nears: Sequence[Near], found: Sequence[NDArray[np.float32]]) -> float:
    """What no cosine of a row left out is above: the bound of those whose cosines are known, and for those estimated
    the bound and as much as estimates may be wrong, which the rows found tell."""
    known = max((near.bound for near in nears if near.estimates is None), default=-np.inf)
    bound = max((near.bound for near in nears if near.estimates is not None), default=-np.inf)
    if bound == -np.inf:
        return known
    errors = np.concatenate(
        [exact - near.estimates for near, exact in zip(nears, found, strict=True) if near.estimates is not None]
    )
    if not len(errors):
        return np.inf
    return max(known, bound + float(errors.mean()) + _DEVIATIONS * float(errors.std()))


def _hand_back_memory() -> None:
    """Give the system what filling needed for a while; the GNU C library keeps it otherwise, 80 MB of 500 MB."""
    with suppress(AttributeError, OSError):  # other C libraries have no such function
        ctypes.CDLL(None).malloc_trim(0)


def _tidy(collection: Collection) -> None:
    try:
        collection.tidy()
    except Exception:
        logger.exception("the index could not be tidied; it works on, more slowly, and tries again at the next write")
        raise
