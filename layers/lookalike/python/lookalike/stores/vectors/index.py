"""The vector index of one machine: in memory, filled from the catalog when the server starts."""

from __future__ import annotations

import ctypes
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import groupby, islice
from typing import Protocol, TypeVar

import numpy as np

from lookalike.domain.inventory import IndexEntry
from lookalike.domain.library import Kind
from lookalike.domain.picture import Key, Picture
from lookalike.domain.search import Candidate, Query
from lookalike.observability import logger
from lookalike.ports import VectorIndex
from lookalike.stores.segments.checked_blocks import DamagedSegmentError
from lookalike.stores.vectors.library_index import MAX_SEGMENT_ROWS, CapturedSegment, LibraryIndex
from lookalike.stores.vectors.scans import Codebook
from lookalike.stores.vectors.scoring import SegmentSnapshot, least_cosine, score
from lookalike.stores.vectors.sealed_segment import SealedSegment
from lookalike.stores.vectors.segment_protocol import Depth, Space

T = TypeVar("T")

#: Rows of a mutable segment at most. Every search scores all of them, which takes 0.1 ms for this number.
MAX_MUTABLE_ROWS = 512

#: Rows from which a mutable segment is sealed at the end of a fill, as sealed rows take less memory.
_MIN_SEALED_ROWS = 32

#: Entries of one batch when all are listed.
_LISTED = 4096


class SegmentKeeper(Protocol):
    """Keeps an index's sealed segments in files."""

    def keep(self, segment: SealedSegment, library: str, codebook: Codebook | None) -> SealedSegment:
        """Put a library's segment into a file and return the same one mapped; the one given, where that cannot be."""

    def keep_up(self, index: FaissIndex, *, last: bool = False) -> None:
        """Make the present files those that the next start reads, if enough has changed."""

    def pictures_of(self, library: str) -> Iterator[Sequence[Picture]]:
        """Iterate over a library's pictures, as the catalog has them."""


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
    keeper : keeps sealed segments in files. None: they are in memory.
    """

    def __init__(
        self,
        codebooks: Mapping[Kind, Codebook] | None = None,
        model: str | None = None,
        max_mutable_rows: int = MAX_MUTABLE_ROWS,
        keeper: SegmentKeeper | None = None,
    ) -> None:
        self._keeper = keeper
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
        if self._keeper is not None:
            self._keeper.keep_up(self, last=True)

    def keep_by(self, keeper: SegmentKeeper) -> None:
        """Have another keeper from now on; files of the present one stay mapped."""
        self._keeper = keeper

    def fill(self, batches: Iterable[Sequence[Picture]], *, logged: bool = False) -> None:
        """Write the batches of a catalog's scan, faster and into fewer segments than :meth:`write` does.

        Parameters
        ----------
        logged : whether the catalog's log has a change of each row.
        """
        for batch in batches:
            for library_index, pictures in self._by_library(batch):
                self._mended(partial(library_index.write, pictures, MAX_SEGMENT_ROWS, logged=logged))
            self.wait_for_compactions(max_pending=1)
        for library_index in list(self._libraries.values()):
            library_index.seal(_MIN_SEALED_ROWS)
        self.wait_for_compactions()
        _trim_heap()

    def adopt(self, library: str, segment: SealedSegment) -> None:
        """Add a library's segment that was kept in a file."""
        self._library(library).adopt(segment)

    def forget(self, keys: Iterable[Key]) -> None:
        """Remove rows of whatever revision."""
        for library, some in groupby(keys, key=lambda key: key.library):
            self._mended(partial(self._library(library).forget, [key.id for key in some]))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._libraries = {}

    def captured(self) -> Mapping[str, tuple[Sequence[CapturedSegment], bool]]:
        """Return each library's segments that are kept in files, and whether the catalog's log has all its other rows."""
        return {library: library_index.captured() for library, library_index in list(self._libraries.items())}

    def has_sealed(self) -> bool:
        """Return whether there are sealed segments, in files or in memory alone."""
        return any(library_index.has_sealed for library_index in list(self._libraries.values()))

    def keep_unkept(self) -> None:
        """Put sealed segments into files that are in memory alone. Call from the thread that compacts."""
        for library_index in list(self._libraries.values()):
            library_index.keep_unkept()

    def live_by_model(self) -> Counter[str]:
        """Return the number of live pictures of each model."""
        return sum((one.live_by_model() for one in list(self._libraries.values())), Counter())

    def codebook(self, space: Space) -> Codebook | None:
        """Return the product quantiser of a model and a kind; None without one."""
        model, kind = space
        return self._codebooks.get(kind) if self._model in (None, model) else None

    def wait_for_compactions(self, max_pending: int = 0) -> None:
        """Wait until at most ``max_pending`` compactions are left. Raises what a compaction has raised."""
        while (oldest := self._oldest_compaction_beyond(max_pending)) is not None:
            oldest.result()

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        for library_index, some in self._by_library(pictures):
            self._mended(partial(library_index.write, some, self._max_mutable_rows))

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        for library_index, some in self._by_library(pictures):
            self._mended(partial(library_index.remove, some))

    def count(self, *libraries: str) -> int:
        """Return the number of libraries' (uids) pictures that searches find: live, and of the index's model if set."""
        found = (self._libraries.get(library) for library in libraries)
        return sum(library_index.count_live(self._model) for library_index in found if library_index is not None)

    def generations(self) -> Mapping[Kind, str]:
        return {}

    def entries(self) -> Iterator[Sequence[IndexEntry]]:
        for library, library_index in list(self._libraries.items()):
            listed = self._mended(library_index.listed)
            while rows := list(islice(listed, _LISTED)):
                yield [
                    IndexEntry(Key(library, id_), kind, revision, live, model)
                    for id_, (model, kind), revision, live in rows
                ]

    def held(self, kind: Kind, keys: Sequence[Key]) -> Sequence[IndexEntry]:
        found = []
        for key in keys:
            library_index = self._libraries.get(key.library)
            current = None if library_index is None else self._mended(partial(library_index.current, key.id))
            if current is not None and current[0][1] is kind:
                (model, _), revision, live = current
                found.append(IndexEntry(key, kind, revision, live, model))
        return found

    def search(self, query: Query) -> Sequence[Candidate]:
        return self._mended(partial(self._search, query))

    def _search(self, query: Query) -> Sequence[Candidate]:
        views = np.ascontiguousarray(query.vectors, np.float32)
        snapshots = list(self._snapshots(query))
        depth, least = Depth.for_best(query.k), least_cosine(snapshots, views, query.k)
        found = score(snapshots, views, query.k, depth, least)
        while not found.is_complete(query.k):
            depth = depth.deeper()
            found = score(snapshots, views, query.k, depth, least)
        return found.best(query.k)

    def _snapshots(self, query: Query) -> Iterator[SegmentSnapshot]:
        for library in dict.fromkeys(query.libraries):
            library_index = self._libraries.get(library)
            for segment, live in library_index.snapshot((query.model, query.kind)) if library_index else ():
                allowed = live if query.tags is None else live & segment.tag_mask(query.tags, len(live))
                yield SegmentSnapshot(library, segment, allowed)

    def _by_library(self, pictures: Sequence[Picture]) -> Iterator[tuple[LibraryIndex, Sequence[Picture]]]:
        for library, some in groupby(pictures, key=lambda picture: picture.key.library):
            yield self._library(library), list(some)

    def _library(self, library: str) -> LibraryIndex:
        with self._lock:
            library_index = self._libraries.get(library)
            if library_index is None:
                library_index = self._libraries[library] = LibraryIndex(
                    self.codebook, self._submit_compaction, partial(self._keep, library)
                )
            return library_index

    def _submit_compaction(self, library_index: LibraryIndex) -> None:
        with self._lock:
            while self._pending_compactions and self._pending_compactions[0].done():
                self._pending_compactions.popleft()
            if not self._closed:
                self._pending_compactions.append(self._compactor.submit(self._compact, library_index))

    def _compact(self, library_index: LibraryIndex) -> None:
        try:
            self._mended(library_index.compact)
            if self._keeper is not None:
                self._keeper.keep_up(self)
        except Exception:
            logger.exception(
                "the index could not be tidied; it works on, more slowly, and tries again at the next write"
            )
            raise

    def _keep(self, library: str, segment: SealedSegment, codebook: Codebook | None) -> SealedSegment:
        return segment if self._keeper is None else self._keeper.keep(segment, library, codebook)

    def _mended(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, once the files are sound that it reads. It may be called again."""
        while True:
            try:
                return work()
            except DamagedSegmentError as damage:
                self._remake(damage)

    def _remake(self, damage: DamagedSegmentError) -> None:
        """Make the rows of a library again, one of whose files is damaged, unless another thread has done it."""
        keeper = self._keeper
        if keeper is None:
            raise damage
        if self._library(damage.library).remake(damage.file, lambda: keeper.pictures_of(damage.library)):
            logger.warning(f"a file of the index is damaged, and its library was made again from the catalog: {damage}")

    def _oldest_compaction_beyond(self, max_pending: int) -> Future[None] | None:
        with self._lock:
            return self._pending_compactions.popleft() if len(self._pending_compactions) > max_pending else None


def _trim_heap() -> None:
    """Return freed memory to the system; after a fill to 500 MB the GNU C library would keep 80 MB."""
    with suppress(AttributeError, OSError):  # other C libraries have no such function
        ctypes.CDLL(None).malloc_trim(0)
