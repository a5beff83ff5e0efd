"""Measures our index beside graphs of well-kept libraries, usearch and hnswlib, where they are installed.

    python -m tests.bench.peers [--json FILE] [--quick] [--large]

The project needs neither, so nothing installs them: ``pip install usearch hnswlib`` does. Times are processor time of one
thread. A search with five views is five searches of a graph, whose results are merged, as for us.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from lookalike.domain.library import Kind
from lookalike.domain.picture import DIMENSION
from lookalike.stores.vectors.index import FaissIndex
from tests.bench.report import Report, median_ms
from tests.bench.stores import (
    Float16Vectors,
    Seeds,
    ask,
    batches,
    each,
    exact_nearest,
    flat,
    found_by,
    nearest_of,
    recall_of,
)

#: Neighbours that are asked for.
K = 100

#: Edges of a row, and rows looked at while one is added and while one is looked for. With fewer, less than 0.999 is found.
EDGES, LOOKED_AT_ADDING, LOOKED_AT = 16, 128, 1024


class Graph(Protocol):
    """An index of another library."""

    @abstractmethod
    def fill(self, vectors: Float16Vectors) -> None:
        """Add all vectors, numbered from 0."""

    @abstractmethod
    def nearest(self, views: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return cosines and rows of the K nearest of each view, both of shape (V, K)."""

    @abstractmethod
    def size(self) -> int:
        """Return the bytes of its file or, if it says so, of its memory."""


class UsearchGraph(Graph):
    """usearch's index, with vectors in float16 as ours are."""

    def __init__(self, module: Any) -> None:
        self._index = module.Index(
            ndim=DIMENSION,
            metric="ip",
            dtype="f16",
            connectivity=EDGES,
            expansion_add=LOOKED_AT_ADDING,
            expansion_search=LOOKED_AT,
        )

    def fill(self, vectors: Float16Vectors) -> None:
        self._index.add(np.arange(len(vectors)), vectors, threads=1)

    def nearest(self, views: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        found = self._index.search(views.astype(np.float16), K, threads=1)
        shape = len(views), -1
        return 1 - found.distances.reshape(shape), found.keys.reshape(shape).astype(np.int64)

    def size(self) -> int:
        return int(self._index.memory_usage)


class HnswlibGraph(Graph):
    """hnswlib's index, whose vectors are in float32."""

    def __init__(self, module: Any) -> None:
        self._index = module.Index(space="ip", dim=DIMENSION)

    def fill(self, vectors: Float16Vectors) -> None:
        self._index.init_index(max_elements=len(vectors), M=EDGES, ef_construction=LOOKED_AT_ADDING)
        self._index.set_num_threads(1)
        self._index.add_items(vectors.astype(np.float32))
        self._index.set_ef(LOOKED_AT)

    def nearest(self, views: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        rows, distances = self._index.knn_query(views, K)
        return 1 - distances, rows.astype(np.int64)

    def size(self) -> int:
        return int(self._index.index_file_size())


#: Modules, and what they make of themselves.
LIBRARIES: dict[str, tuple[str, Callable[[Any], Graph]]] = {
    "usearch": ("usearch.index", UsearchGraph),
    "hnswlib": ("hnswlib", HnswlibGraph),
}


def measure(report: Report, *, quick: bool, large: bool = False) -> None:
    """Measure our index, the exact scan, and the libraries that are installed, with the same vectors and queries."""
    seeds = Seeds(50 if quick else 1500)
    for size in (2_000,) if quick else (100_000, *((500_000,) if large else ())):
        _compare(report, size, seeds, 5 if quick else 30)
    missing = [name for name in LIBRARIES if _module(name) is None]
    if missing:
        print(f"No rows of {' and '.join(missing)}, for they are not installed.", file=sys.stderr)


def _compare(report: Report, size: int, seeds: Seeds, times: int) -> None:
    vectors, queries = seeds.blends(size), seeds.queries(times)
    plain, group = flat(vectors), f"{size:,} pictures, beside other libraries, one thread, processor time"
    exact = [[exact_nearest(plain, query[:views]) for query in queries] for views in (1, 5)]
    floors = [_took(queries, views, lambda query: plain.search(query, K)) for views in (1, 5)]
    with closing(FaissIndex({Kind.SIMILAR: seeds.codebook})) as index:
        began = time.process_time()
        index.fill(batches(vectors))
        report.add(group, "ours: fill", time.process_time() - began, "s")
        _report(report, group, "ours", queries, exact, floors, lambda query: found_by(ask(index, query, K)))
    for name in LIBRARIES:
        module = _module(name)
        if module is None:
            continue
        graph = LIBRARIES[name][1](module)
        began = time.process_time()
        graph.fill(vectors)
        report.add(group, f"{name}: fill", time.process_time() - began, "s")
        report.add(group, f"{name}: bytes a row", graph.size() / size, "bytes")

        def merged(query: NDArray[np.float32], graph: Graph = graph) -> set[int]:
            return nearest_of(*graph.nearest(query))

        _report(report, group, name, queries, exact, floors, merged)


def _report(
    report: Report,
    group: str,
    name: str,
    queries: NDArray[np.float32],
    exact: Sequence[Sequence[set[int]]],
    floors: Sequence[float],
    found: Callable[[NDArray[np.float32]], set[int]],
) -> None:
    """Report the time of a search, beside the exact scan's, and what it finds, with one view and with five."""
    for views, nearest, floor in zip((1, 5), exact, floors, strict=True):
        how = "one view" if views == 1 else "five views"
        report.add(group, f"{name}: search, {how}", _took(queries, views, found), "ms", floor=floor)
        shares = [recall_of(found(query[:views]), right) for query, right in zip(queries, nearest, strict=True)]
        report.add(group, f"{name}: recall, {how}", float(np.mean(shares)), "", aim="≥ 0.999")


def _took(queries: NDArray[np.float32], views: int, search: Callable[[NDArray[np.float32]], object]) -> float:
    return median_ms(each(queries, lambda query: search(query[:views])), len(queries), clock=time.thread_time)


def _module(name: str) -> Any | None:
    """Return a library's module; None if it is not installed."""
    try:
        return importlib.import_module(LIBRARIES[name][0])
    except ImportError:
        return None


def main() -> None:
    """Measure beside other libraries alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--large", action="store_true", help="with half a million pictures, too")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    chosen = parser.parse_args()
    report = Report()
    measure(report, quick=chosen.quick, large=chosen.large)
    report.print(Console(width=None if sys.stdout.isatty() else 140))
    if chosen.json:
        chosen.json.write_text(json.dumps(report.figures(), indent=2) + "\n")


if __name__ == "__main__":
    main()
