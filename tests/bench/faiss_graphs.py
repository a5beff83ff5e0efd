"""Measures FAISS's graphs as OpenSearch 2.19 makes them, in this process: no server here has OpenSearch's native library.

    python -m tests.bench.faiss_graphs [--json FILE] [--size N | --quick]

Vectors, queries, edges and rows looked at are those of :mod:`tests.bench.aws`. Times are processor time of one thread,
without HTTP, JSON and segments: compare them with each other, and their recall with Lucene's.
"""

from __future__ import annotations

import argparse
import json
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from lookalike.domain.picture import DIMENSION
from lookalike.stores.aws.opensearch_admin import GRAPH
from tests.bench.report import Report, median_ms
from tests.bench.stores import each, exact_nearest, flat, nearest_of, recall_of
from tests.support.clusters import clustered

import faiss  # isort: skip  # after the stores, which load it for one thread

#: Neighbours that are asked for, and rows looked at for them.
K, LOOKED_AT = 100, 300

#: How many times as many rows are compared once more, with vectors of 32 bits, for up to 1,000 dimensions.
OVERSAMPLED = 5


class Graph(Protocol):
    """A graph that has been filled."""

    @abstractmethod
    def nearest(self, views: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return cosines and rows of the K nearest of each view, both of shape (V, K)."""

    @abstractmethod
    def size(self) -> int:
        """Return the bytes that searches hold in memory."""


class PlainGraph(Graph):
    """A graph over numbers of 32 or 16 bits."""

    def __init__(self, vectors: NDArray[np.float32], bits: int) -> None:
        kind = faiss.ScalarQuantizer.QT_fp16
        edges = GRAPH["method"]["parameters"]["m"]
        self._index: Any = (
            faiss.IndexHNSWFlat(DIMENSION, edges, faiss.METRIC_INNER_PRODUCT)
            if bits == 32
            else faiss.IndexHNSWSQ(DIMENSION, kind, edges, faiss.METRIC_INNER_PRODUCT)  # type: ignore[arg-type]
        )
        _prepare(self._index)
        self._index.train(vectors)
        self._index.add(vectors)

    def nearest(self, views: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        cosines, rows = self._index.search(views, K)
        return cosines, rows

    def size(self) -> int:
        return len(faiss.serialize_index(self._index))


class BinaryGraph(Graph):
    """A graph over 1, 2 or 4 bits a number, compared by the bits that differ; the best are compared with the vectors.

    A number's bits say which thresholds it exceeds: its mean, or as many as there are bits, evenly spread within a
    standard deviation of it.
    """

    def __init__(self, vectors: NDArray[np.float32], bits: int) -> None:
        self._vectors = vectors  # on the disk, in OpenSearch
        places = np.zeros(1) if bits == 1 else -1 + 2 * np.arange(1, bits + 1) / (bits + 1)
        mean, spread = vectors.mean(axis=0), vectors.std(axis=0)
        self._thresholds = (mean + places[:, np.newaxis] * spread).astype(np.float32)
        self._index: Any = faiss.IndexBinaryHNSW(DIMENSION * bits, GRAPH["method"]["parameters"]["m"])
        _prepare(self._index)
        for start in range(0, len(vectors), 10_000):
            self._index.add(self._codes(vectors[start : start + 10_000]))

    def _codes(self, vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.packbits((vectors[:, np.newaxis] > self._thresholds).reshape(len(vectors), -1), axis=1)

    def nearest(self, views: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        _, rows = self._index.search(self._codes(views), OVERSAMPLED * K)
        cosines = np.einsum("vkd,vd->vk", self._vectors[rows], views)
        best = np.argsort(-cosines, axis=1)[:, :K]
        return np.take_along_axis(cosines, best, 1), np.take_along_axis(rows, best, 1).astype(np.int64)

    def size(self) -> int:
        return len(faiss.serialize_index_binary(self._index))


def _prepare(index: Any) -> None:
    index.hnsw.efConstruction = GRAPH["method"]["parameters"]["ef_construction"]
    index.hnsw.efSearch = LOOKED_AT


#: Graphs by their names in :mod:`tests.bench.graphs`.
KINDS: Mapping[str, Callable[[NDArray[np.float32]], Graph]] = {
    "faiss": partial(PlainGraph, bits=32),
    "faiss-fp16": partial(PlainGraph, bits=16),
    "faiss-on-disk-8x": partial(BinaryGraph, bits=4),
    "faiss-on-disk-16x": partial(BinaryGraph, bits=2),
    "faiss-on-disk-32x": partial(BinaryGraph, bits=1),
}


def measure(report: Report, size: int, times: int) -> None:
    """Fill every graph with the same vectors, and ask for the nearest of the same queries."""
    halves = clustered(size, seed=1)
    vectors, plain = halves.astype(np.float32), flat(halves)
    for name, kind in KINDS.items():
        group = f"{size:,} pictures, {name}: one thread, processor time"
        began = time.process_time()
        graph = kind(vectors)
        report.add(group, "fill", size / (time.process_time() - began), "rows/s")
        report.add(group, "memory a row", graph.size() / size, "bytes")
        for views in (1, 5):
            queries = clustered(times * views, seed=2).astype(np.float32).reshape(times, views, -1)
            shares = [recall_of(nearest_of(*graph.nearest(one)), exact_nearest(plain, one)) for one in queries]
            case = "one view" if views == 1 else "five views"
            report.add(group, f"{case}: recall", float(np.mean(shares)), "", aim="≥ 0.99")
            taken = median_ms(each(queries, graph.nearest), times, time.process_time)
            report.add(group, f"{case}: p50", taken, "ms")


def main() -> None:
    """Measure, print a table for each graph, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--size", type=int, default=100_000, help="number of pictures")
    parser.add_argument("--quick", action="store_true", help="small: shows that it works, not how fast it is")
    chosen = parser.parse_args()
    report = Report()
    measure(report, 2_000 if chosen.quick else chosen.size, 5 if chosen.quick else 50)
    report.print(Console())
    if chosen.json:
        chosen.json.write_text(json.dumps(report.figures(), indent=2) + "\n")


if __name__ == "__main__":
    main()
