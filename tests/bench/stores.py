"""Measures the one-machine stores: durable puts beside the raw disk, searches beside exact scans, memory, filling.

python -m tests.bench.stores [--json FILE] [--quick] [--large]
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION, Key, Metadata, Picture, State
from lookalike.domain.search import Candidate, Query, TagFilter
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from lookalike.stores.local import picture_row
from lookalike.stores.local.original_files import FolderStore
from lookalike.stores.local.sqlite_stores import SqliteStores
from lookalike.stores.vectors import index as index_module
from lookalike.stores.vectors import scoring
from lookalike.stores.vectors.file_keeper import FileKeeper
from lookalike.stores.vectors.index import FaissIndex
from lookalike.stores.vectors.segment_folder import SegmentFolder
from tests.bench.report import Report, median_ms
from tests.support import photographs

import faiss  # isort: skip  # after the index, which loads it for one thread

Float16Vectors = NDArray[np.float16]

LIBRARY = "f" * 32

#: Libraries that are searched at once, and the share of the pictures that each has.
LIBRARIES = {"a" * 32: 0.6, "b" * 32: 0.3, "c" * 32: 0.1}

#: Revision of the picture with number 0; others follow.
FIRST_REVISION = 1_767_323_045_000
MODEL = "bench"

#: Sizes in bytes: a picture of 640×480 as JPEG, its local map, its row; a vector and its 4-bit code.
ORIGINAL, MAP, ROW = 100_000, 6_000, 1_000
VECTOR, CODE = 512, 64

#: Every fifth picture has the tag "5", and so on.
TAGGED = (5, 20, 100)

#: Queries that exact scans are timed with: they take the same time for any.
EXACT_SCANS = 10

#: Size from which an index should beat an exact scan, and its memory exceeds the noise.
LARGE = 100_000


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of search: number of views, and the filter (every n-th row)."""

    name: str
    views: int = 1
    every: int = 1


CASES = (
    Case("one view"),
    Case("five views", views=5),
    Case("tag of 20 %", every=5),
    Case("tag of 5 %", every=20),
    Case("tag of 1 %", every=100),
)

#: Sizes that are measured, and further ones of a large benchmark, as far as they fit into memory.
SIZES = (10_000, 100_000, 500_000)
LARGE_SIZES = (1_000_000, 2_000_000, 5_000_000)

#: Bytes of memory for each picture: a vector thrice, as given, in the index and in the exact scan, and the index's rest.
BYTES_EACH = 2_000

#: Size up to which memory a row is measured, in another process that fills an index, too, and several libraries at once.
MAX_FILLED_TWICE = 1_000_000


def measure(report: Report, *, quick: bool, large: bool = False) -> None:
    """Measure the disk, then memory. ``large``: with up to five million pictures, for which 10 GB are needed."""
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build") as folder:
        puts(report, Path(folder), 50 if quick else 500)
    seeds = Seeds(50 if quick else 1500)
    sizes = (2_000, 20_000) if quick else (*SIZES, *(_that_fit(LARGE_SIZES) if large else ()))
    took = {size: searches(report, size, seeds, 5 if quick else 30) for size in sizes}
    growth(report, took)
    several(report, min(sizes[-1], MAX_FILLED_TWICE), seeds, 5 if quick else 30)
    with tempfile.TemporaryDirectory(dir="build") as folder:
        start(report, Path(folder) / "catalog.db", sizes[-1], seeds)


def _that_fit(sizes: Sequence[int]) -> list[int]:
    """Return the sizes that fit into this machine's memory, and say which do not."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    fitting = [size for size in sizes if size * BYTES_EACH <= free]
    for size in sizes[len(fitting) :]:
        print(
            f"No rows of {size:,} pictures: {size * BYTES_EACH / 1e9:.0f} GB of memory are not free.", file=sys.stderr
        )
    return fitting


def puts(report: Report, folder: Path, count: int) -> None:
    """Durable writes of 1 and 8 threads, beside one thread that writes and flushes as many bytes and does no more."""
    stores, originals = SqliteStores(folder / "catalog.db"), FolderStore(folder / "originals")
    numbers = itertools.count()
    vector, original, local_map = np.ones(DIMENSION, np.float16), os.urandom(ORIGINAL), os.urandom(MAP)
    work: dict[str, tuple[Callable[[], object], int]] = {
        "rows": (lambda: stores.catalog.put(picture(next(numbers), vector), None), ROW),
        "local maps": (lambda: stores.maps.put_map(f"map/{next(numbers)}", local_map), MAP),
        "originals": (lambda: originals.put(f"original/{next(numbers)}", original), ORIGINAL),
    }
    for threads in (1, 8):
        for name, (put, size) in work.items():
            floor = rate(appending(folder, size), count, 1)
            report.add(f"Durable puts, {threads} at once", name, rate(put, count, threads), "/s", floor=floor)
    stores.close()


def start(report: Report, file: Path, size: int, seeds: Seeds) -> None:
    """Opening a catalog of that size and filling an index from it, beside reading the rows from the file."""
    SqliteStores(file).close()
    with closing(sqlite3.connect(file)) as connection, connection:  # in one transaction: how it got there is no matter
        for batch in batches(seeds.blends(size)):
            connection.executemany(picture_row.INSERT, [picture_row.row_of(row) for row in batch])
    with closing(sqlite3.connect(file)) as connection:
        began = time.perf_counter()
        for _ in connection.execute("SELECT * FROM pictures"):
            pass
        reading = time.perf_counter() - began
    filled, from_files = started(file, seeds), started(file, seeds)
    report.add("Start", f"{size:,} pictures, made again from the catalog", filled, "s", floor=reading)
    report.add("Start", f"{size:,} pictures, from the index's files", from_files, "s", floor=reading, aim="≤ 2 s")


def started(file: Path, seeds: Seeds) -> float:
    """Seconds until an index is there, from its files if there are any."""
    began = time.perf_counter()
    with closing(SqliteStores(file)) as stores:
        keeper = FileKeeper(SegmentFolder(file.parent / "segments"), stores.changes)
        with closing(FaissIndex({Kind.SIMILAR: seeds.codebook}, keeper=keeper)) as index:
            keeper.start(index)
            return time.perf_counter() - began


def growth(report: Report, took: dict[int, tuple[float, float]]) -> None:
    """How much longer a search takes in the largest library than in a smaller one, beside how much larger it is."""
    largest = max(took)
    for size in sorted(took):
        if LARGE <= size < largest:
            for name, few, many in zip(("one view", "five views"), took[size], took[largest], strict=True):
                what = f"{largest:,} pictures beside {size:,}: time of a search, {name}"
                report.add("Growth", what, many / few, "×", floor=largest / size)


def searches(report: Report, size: int, seeds: Seeds, times: int) -> tuple[float, float]:
    """Filling an index of that size, its memory and recall, and searches beside FAISS's exact scan of the same.

    Returns the milliseconds of a search for the 100 best with one view and with five.
    """
    vectors, queries = seeds.blends(size), seeds.queries(times)
    index, plain = FaissIndex({Kind.SIMILAR: seeds.codebook}), flat(vectors)
    group = f"{size:,} pictures, one thread, processor time"
    began = time.process_time()
    index.fill(batches(vectors))
    report.add(group, "fill, rows given", time.process_time() - began, "s")
    if LARGE <= size <= MAX_FILLED_TWICE:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            growth = fresh.submit(memory_of_an_index, seeds, size).result()
        report.add(group, "memory a row", growth / size, "bytes", floor=VECTOR + CODE, aim="≤ 1.5 ×")
    for views in (1, 5):
        name = "recall, k 100, " + ("one view" if views == 1 else "five views")
        report.add(group, name, recall(index, plain, queries[:, :views]), "", aim="≥ 0.999")
    for case in CASES[2:]:
        found = recall(index, plain, queries[:, :1], only(size, case.every), TagFilter(frozenset([str(case.every)])))
        report.add(group, f"recall, k 100, {case.name}", found, "", aim="≥ 0.999")
    report.add(group, "scans that a search takes, one view", rounds(index, queries[:, :1]), "", aim="≤ 1.1")
    report.add(group, "the same, five views", rounds(index, queries), "", aim="≤ 1.1")
    for k in (100, 1000):
        for case in CASES:
            compare(report, group, index, plain, queries, k, case)
    one, five = (_took(queries[:, :views], lambda query: ask(index, query, 100)) for views in (1, 5))
    codes = np.ones(size * CODE // 8)
    reading = median_ms(codes.sum, times, clock=time.thread_time)
    report.add(group, "reading that many bytes of codes once", reading, "ms")
    del codes
    for start in range(0, size, 10 * 512):
        index.remove([picture(number, vectors[number]) for number in range(start, min(start + 10 * 512, size), 10)])
    index.wait_for_compactions()
    found = recall(index, plain, queries[:, :1], faiss_selection(np.arange(size) % 10 != 0))
    report.add(group, "recall, k 100, one view, a tenth removed", found, "", aim="≥ 0.999")
    index.close()
    return one, five


def rounds(index: FaissIndex, queries: NDArray[np.float32]) -> float:
    """Return how often a search scans, on average: once, and again where too few rows were found at first."""
    scans = 0

    def counted(*given: Any) -> Any:
        nonlocal scans
        scans += 1
        return scoring.score(*given)

    with patch.object(index_module, "score", counted):
        for views in queries:
            ask(index, views, 100)
    return scans / len(queries)


def compare(
    report: Report, group: str, index: FaissIndex, plain: Any, queries: NDArray[np.float32], k: int, case: Case
) -> None:
    """The index, which answers whole candidates, beside FAISS's exact scan, which answers numbers."""
    tags = None if case.every == 1 else TagFilter(frozenset([str(case.every)]))
    some = None if case.every == 1 else only(plain.ntotal, case.every)
    took = _took(queries, lambda query: ask(index, query[: case.views], k, tags))
    exact = _took(queries[:EXACT_SCANS], lambda query: plain.search(query[: case.views], k, params=some))
    aim = "≤ 1 ×" if plain.ntotal >= LARGE and case.every == 1 and k == 100 else ""
    aim += ", ≤ 15 ms" if aim and case.views == 5 else ""
    report.add(group, f"search, k {k}, {case.name}", took, "ms", floor=exact, aim=aim)


def _took(queries: NDArray[np.float32], search: Callable[[Any], object]) -> float:
    """Return the median milliseconds of processor time of a search, which the calling thread does by itself."""
    return median_ms(each(queries, search), len(queries), clock=time.thread_time)


def several(report: Report, size: int, seeds: Seeds, times: int) -> None:
    """Searches in several libraries at once, of different sizes, beside FAISS's exact scan of all their vectors."""
    vectors, queries = seeds.blends(size), seeds.queries(times)
    plain = flat(vectors)
    group = f"{size:,} pictures in {len(LIBRARIES)} libraries that are searched at once"
    with closing(FaissIndex({Kind.SIMILAR: seeds.codebook})) as index:
        start = 0
        for library, share in LIBRARIES.items():
            end = size if library == list(LIBRARIES)[-1] else start + int(share * size)
            index.fill(batches(vectors[start:end], library, start))
            start = end
        for views, name in ((1, "one view"), (5, "five views")):
            asked = queries[:, :views]
            exact = _took(asked[:EXACT_SCANS], lambda query: plain.search(query, 100))
            took = _took(asked, lambda query: ask(index, query, 100, libraries=tuple(LIBRARIES)))
            report.add(group, f"search, k 100, {name}", took, "ms", floor=exact)
            found = [found_by(ask(index, query, 100, libraries=tuple(LIBRARIES))) for query in asked]
            shares = [recall_of(some, exact_nearest(plain, query)) for some, query in zip(found, asked, strict=True)]
            report.add(group, f"recall, k 100, {name}", float(np.mean(shares)), "", aim="≥ 0.999")


class Seeds:
    """Vectors of photographs' cuts, and as many blends of two of them as are wanted: as dense as real libraries."""

    def __init__(self, count: int) -> None:
        chance = np.random.default_rng(1)
        embedder = OnnxEmbedder(find_model(None))
        sources = [np.asarray(photographs.photograph(name)) for name in photographs.NAMES]
        cuts = []
        for number in range(count):
            source = sources[number % len(sources)]
            height, width = (int(side * chance.uniform(0.25, 1)) for side in source.shape[:2])
            top = chance.integers(0, source.shape[0] - height + 1)
            left = chance.integers(0, source.shape[1] - width + 1)
            cuts.append(np.ascontiguousarray(source[top : top + height, left : left + width]))
        vectors = [embedder.embed([cut])[0].vectors[Kind.SIMILAR] for cut in cuts]
        self.codebook = embedder.codebook(Kind.SIMILAR)
        self._vectors = np.stack(vectors).astype(np.float32)
        self._chance = chance

    def blends(self, count: int) -> Float16Vectors:
        """Return that many unit vectors, different ones each time."""
        made = np.empty((count, DIMENSION), np.float16)
        for start in range(0, count, 10_000):
            block = made[start : start + 10_000]
            first, second = self._chance.integers(0, len(self._vectors), (2, len(block)))
            share = self._chance.uniform(0.5, 1, (len(block), 1)).astype(np.float32)
            blend = self._vectors[first] * share + self._vectors[second] * (1 - share)
            block[:] = blend / np.linalg.norm(blend, axis=1, keepdims=True)
        return made

    def queries(self, count: int) -> NDArray[np.float32]:
        """Return five views of each query, as similar as views of one picture are."""
        middle, apart = self.blends(count).astype(np.float32)[:, None], self.blends(5 * count).astype(np.float32)
        views: NDArray[np.float32] = middle + 0.4 * apart.reshape(count, 5, DIMENSION)
        views /= np.linalg.norm(views, axis=2, keepdims=True)
        return views


def batches(vectors: Float16Vectors, library: str = LIBRARY, first: int = 0) -> Iterator[list[Picture]]:
    """Yield rows as a catalog's scan does, numbered from ``first``; every n-th picture has tag n."""
    for start in range(0, len(vectors), 4096):
        rows = range(start, min(start + 4096, len(vectors)))
        yield [picture(first + row, vectors[row], library) for row in rows]


def picture(number: int, vector: NDArray[np.float16], library: str = LIBRARY) -> Picture:
    """Return a live row with a short brief."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return Picture(
        key=Key(library, digest),
        kind=Kind.SIMILAR,
        revision=FIRST_REVISION + number,
        added=FIRST_REVISION + number,
        state=State.LIVE,
        digest=digest,
        file_digest=digest,
        model=MODEL,
        vector=vector,
        metadata=Metadata(
            brief=f'{{"id": {number}}}', tags=tuple(str(every) for every in TAGGED if number % every == 0)
        ),
    )


def flat(vectors: Float16Vectors) -> Any:
    """Return FAISS's exact scan over float16 vectors."""
    plain = faiss.IndexScalarQuantizer(DIMENSION, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    plain.add_sa_codes(vectors.view(np.uint8))
    return plain


def only(size: int, every: int) -> Any:
    """Return the parameters of an exact scan of every n-th row."""
    return faiss_selection(np.arange(size) % every == 0)


def faiss_selection(allowed: NDArray[np.bool_]) -> Any:
    """Return the parameters of an exact scan of some rows."""
    bitmap = np.packbits(allowed, bitorder="little")
    return faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))  # type: ignore[call-arg, arg-type]


def ask(
    index: FaissIndex,
    views: NDArray[np.float32],
    k: int,
    tags: TagFilter | None = None,
    libraries: tuple[str, ...] = (LIBRARY,),
) -> Sequence[Candidate]:
    """Run one search."""
    return index.search(Query(Kind.SIMILAR, libraries, MODEL, views, k, tags))


def recall(
    index: FaissIndex, plain: Any, queries: NDArray[np.float32], some: Any = None, tags: TagFilter | None = None
) -> float:
    """Return the share of the 100 exactly nearest, over all views of a query, that the index answers."""
    searches = ((ask(index, views, 100, tags), exact_nearest(plain, views, some)) for views in queries)
    return float(np.mean([recall_of(found_by(answer), nearest) for answer, nearest in searches]))


def recall_of(found: set[int], nearest: set[int]) -> float:
    """Return the share of the nearest rows that were found."""
    return len(found & nearest) / len(nearest)


def found_by(answer: Sequence[Candidate]) -> set[int]:
    """Return the numbers of the rows of an answer."""
    return {candidate.revision - FIRST_REVISION for candidate in answer}


def exact_nearest(plain: Any, views: NDArray[np.float32], some: Any = None) -> set[int]:
    """Return the 100 rows nearest to any view, by an exact scan."""
    return nearest_of(*plain.search(views, 100, params=some))


def nearest_of(cosines: NDArray[np.float32], rows: NDArray[np.int64]) -> set[int]:
    """Return the 100 nearest of the rows that were found for each view, of shape (V, 100); there is no row -1."""
    best: dict[int, float] = {}
    for row, cosine in zip(rows.ravel().tolist(), cosines.ravel().tolist(), strict=True):
        best[row] = max(cosine, best.get(row, -1))
    best.pop(-1, None)  # where fewer than 100 rows are allowed
    return set(sorted(best, key=lambda row: -best[row])[:100])


def memory_of_an_index(seeds: Seeds, size: int) -> int:
    """Bytes by which a process grows while it fills an index. Run in a fresh process: one that has measured before
    fills what it has freed."""
    vectors, index = seeds.blends(size), FaissIndex({Kind.SIMILAR: seeds.codebook})
    before = resident()
    index.fill(batches(vectors))
    growth = resident() - before
    index.close()
    return growth


def appending(folder: Path, size: int) -> Callable[[], object]:
    """Return a call that appends bytes to a file and waits for the disk."""
    data = os.urandom(size)
    file = (folder / "probe").open("wb", buffering=0)

    def append() -> None:
        file.write(data)
        os.fsync(file.fileno())

    return append


def rate(work: Callable[[], object], count: int, threads: int) -> float:
    """Return the calls a second of all threads together."""
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        for done in [pool.submit(work) for _ in range(count)]:
            done.result()
        return count / (time.perf_counter() - began)


def each(over: NDArray[Any], work: Callable[[Any], object]) -> Callable[[], object]:
    """Return a function without arguments that calls ``work`` on the next item of ``over``, cyclically."""
    turns = itertools.cycle(over)
    return lambda: work(next(turns))


def resident() -> int:
    """Return the resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measure the stores alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--large", action="store_true", help="with one, two and five million pictures, too")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    chosen = parser.parse_args()
    report = Report()
    measure(report, quick=chosen.quick, large=chosen.large)
    report.print(Console())
    if chosen.json:
        chosen.json.write_text(json.dumps(report.figures(), indent=2) + "\n")


if __name__ == "__main__":
    main()
