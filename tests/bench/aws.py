"""``make bench-aws``: searches in a real OpenSearch compared with its exact scan of the same library, and whole adds.

    python -m tests.bench.aws [--json FILE] [--million | --quick] [--compressed]

One server, one library, one connection; both figures of a ratio are measured in the same run. Vectors are clustered by
:mod:`tests.support.clusters`. With ``--compressed`` they are searched by 7 bits a number, as Lucene compresses them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opensearchpy import OpenSearch
from PIL import Image
from rich.console import Console

from lookalike.domain.library import Kind
from lookalike.domain.picture import Key
from lookalike.domain.search import Generation, Query, TagFilter
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from lookalike.handlers.process_ports import serving
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.opensearch_admin import GRAPH, create_index
from lookalike.stores.aws.opensearch_client import connect
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from lookalike.stores.aws.opensearch_query import search_body
from lookalike.stores.aws.s3_objects import CONFIG, S3Store
from tests.bench.report import Report
from tests.bench.stores import LIBRARY, MODEL, batches, picture
from tests.conftest import ALICE
from tests.servers.dynamodb.server import new_table
from tests.servers.opensearch.server import OpenSearchServer, missing
from tests.support import photographs
from tests.support.baidu import Caller
from tests.support.clusters import clustered
from tests.support.emulated import aws
from tests.support.fakes import MemoryGenerations, memory_ports

#: Rows of one bulk write.
BATCH = 500

#: ``filter_path`` of a search, as the service sends it.
_FILTER_PATH = "hits.hits._source,hits.hits.sort"

#: Callers that add at once.
CALLERS = 8

#: The same graph over vectors of 7 bits a number (Lucene's scalar quantiser; rescored by nothing).
COMPRESSED = {**GRAPH, "parameters": {**GRAPH["parameters"], "encoder": {"name": "sq", "parameters": {"bits": 7}}}}

#: Rows that are added a second while searches are measured, in two writes that wait until they are visible.
ADDED_A_SECOND = 100


@dataclass(frozen=True, slots=True)
class Case:
    """A search: number of views, number of neighbours, and a tag that every ``every``-th row has (1: no tag)."""

    name: str
    views: int = 1
    k: int = 100
    every: int = 1


CASES = (
    Case("one view, k 100"),
    Case("one view, k 100, tag of 20 %", every=5),
    Case("one view, k 100, tag of 1 %", every=100),
    Case("one view, k 1002", k=1002),
    Case("five views, k 100", views=5),
    Case("five views, k 302", views=5, k=302),
)


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """The index of one library on a server. ``vectors``: float32 of shape (n, DIMENSION); row n is picture n."""

    client: OpenSearch
    name: str
    index: OpenSearchIndex
    vectors: NDArray[np.float32]

    def search(self, case: Case, views: NDArray[np.float32]) -> set[int]:
        """Numbers of the pictures that the service's search finds."""
        tags = None if case.every == 1 else TagFilter(frozenset([str(case.every)]))
        found = self.index.search(Query(Kind.SIMILAR, (LIBRARY,), MODEL, views, case.k, tags))
        return {one.revision - picture(0, self.vectors[0]).revision for one in found}

    def scan(self, case: Case, views: NDArray[np.float32]) -> None:
        """The same search as an exact scan by the server of every picture that passes the filter."""
        wanted: list[dict[str, Any]] = [{"term": {"library": LIBRARY}}, {"term": {"live": True}}]
        wanted += [{"term": {"tags": str(case.every)}}] if case.every > 1 else []
        scored = [
            {
                "script_score": {
                    "query": {"bool": {"filter": wanted}},
                    "script": {
                        "lang": "knn",
                        "source": "knn_score",
                        "params": {"field": "vector", "query_value": view.tolist(), "space_type": "cosinesimil"},
                    },
                }
            }
            for view in views
        ]
        body = {"size": case.k, "query": {"dis_max": {"queries": scored}}, "track_total_hits": False}
        self.client.search(index=self.name, body=body, params={"routing": LIBRARY, "filter_path": "hits.hits._source"})

    def bodies(self, case: Case, views: NDArray[np.float32]) -> tuple[dict[str, Any], bytes]:
        """Body of the service's search by all views, and lines of an ``_msearch`` with a search for each view."""
        k = max(case.k, 100)
        several = [views, *views[:, np.newaxis]]
        together, *alone = (
            search_body(Query(Kind.SIMILAR, (LIBRARY,), MODEL, one, case.k), (LIBRARY,), k) for one in several
        )
        lines = [line for body in alone for line in ({"index": self.name, "routing": LIBRARY}, body)]
        return together, b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    def together(self, body: dict[str, Any]) -> None:
        """Send one search."""
        self.client.search(index=self.name, body=body, params={"routing": LIBRARY, "filter_path": _FILTER_PATH})

    def one_by_one(self, lines: bytes) -> None:
        """Send a search for each view in one request."""
        self.client.msearch(body=lines, params={"filter_path": f"responses.{_FILTER_PATH}"})

    def nearest(self, case: Case, views: NDArray[np.float32]) -> set[int]:
        """Numbers of the pictures that an exact search finds."""
        cosines = (self.vectors[:: case.every] @ views.T).max(axis=1)
        return {int(row) * case.every for row in np.argsort(-cosines)[: case.k]}

    def segments(self) -> int:
        """Number of segments of the index, each with its own graph."""
        return len(self.client.cat.segments(index=self.name, params={"format": "json"}))

    def merge(self) -> None:
        """Merge all segments into one, which takes longer than a request may."""
        self.client.indices.forcemerge(
            index=self.name, params={"max_num_segments": "1", "wait_for_completion": "false"}
        )
        while self.segments() > 1:
            time.sleep(1)


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of libraries, how many times each case is measured, the graph, and the server's process to be weighed."""

    sizes: Sequence[int]
    times: int
    graph: Mapping[str, Any] = field(default_factory=lambda: GRAPH)
    pid: int | None = None


def measure(report: Report, url: str, plan: Plan) -> None:
    """Fill a library of each size, and measure every case before and after its segments are merged."""
    took: dict[tuple[str, str, int], float] = {}
    sizes, times = plan.sizes, plan.times
    for size in sizes:
        bench = fill_library(report, url, size, plan.graph)
        settle(bench)
        weigh(report, bench, plan.pid)
        while_adding(report, bench, times)
        settle(bench)
        states: list[tuple[str, Callable[[], None]]] = [("as written", lambda: None), ("merged", bench.merge)]
        for state, prepare in states:
            prepare()
            group = f"{size:,} pictures, {state} (segments: {bench.segments()})"
            for case in CASES:
                took[state, case.name, size] = compare(report, group, bench, case, times)
    small, large = sizes[0], sizes[-1]
    for state, name in dict.fromkeys((state, name) for state, name, _ in took):
        growth = took[state, name, large] / took[state, name, small]
        report.add(f"Growth from {small:,} to {large:,} pictures, {state}", name, growth, "×")


def weigh(report: Report, bench: Bench, pid: int | None) -> None:
    """Report the disk that a row takes, and the memory of the server, most of it Java's heap, beside that."""
    count = len(bench.vectors)
    stored = bench.client.indices.stats(index=bench.name, metric="store")["_all"]["total"]["store"]["size_in_bytes"]
    status = Path(f"/proc/{pid}/status")
    group = f"{count:,} pictures: room"
    report.add(group, "disk a row, as written", int(stored) / count, "bytes")
    if status.exists():
        held = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
        report.add(group, "memory of the server, with the files that it maps", int(held) / 1024, "MB")


def while_adding(report: Report, bench: Bench, times: int) -> None:
    """Report a search's recall and time while rows of another library are added and made visible."""
    case, ended = CASES[0], threading.Event()
    others = [replace(row, key=Key("a" * 32, row.key.id)) for row in next(bulk_batches(clustered(BATCH, seed=3)))]
    half = ADDED_A_SECOND // 2

    def add() -> int:
        added = 0
        while True:
            begin = added % BATCH
            rows = [replace(row, revision=row.revision + added) for row in others[begin : begin + half]]
            bench.index.write(rows, wait=True)
            added += half
            if ended.wait(0.5):
                return added

    views = clustered(times * case.views, seed=4).astype(np.float32).reshape(times, case.views, -1)
    with ThreadPoolExecutor(1) as pool:
        adding, began = pool.submit(add), time.perf_counter()
        try:
            shares = [recall(bench.search(case, one), bench.nearest(case, one)) for one in views]
            took = sorted(milliseconds(partial(bench.search, case, one)) for one in views)
        finally:
            ended.set()
        added, seconds = adding.result(), time.perf_counter() - began
    group = f"{len(bench.vectors):,} pictures, while others are added"
    report.add(group, f"{case.name}: recall", statistics.mean(shares), "", aim="≥ 0.98")
    report.add(group, f"{case.name}: p50", took[len(took) // 2], "ms")
    report.add(group, f"{case.name}: p95", took[int(len(took) * 0.95)], "ms", aim="< 100 ms")
    report.add(group, "rows added and visible", added / seconds, "rows/s")


def fill_library(report: Report, url: str, size: int, graph: Mapping[str, Any]) -> Bench:
    """Write a library of ``size`` pictures with two threads."""
    client, generations, name = connect(url, seconds=120), MemoryGenerations(), f"bench-{size}"
    create_index(client, name, replicas=0, graph=dict(graph))
    generations.save_generation(Kind.SIMILAR, Generation(name, (name,)), None)
    index, vectors = OpenSearchIndex(client, generations, seconds=120), clustered(size, seed=1)
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(index.write, rows, wait=False) for rows in bulk_batches(vectors)]:
            done.result()
    report.add("Fill, two threads", f"{size:,} pictures", size / (time.perf_counter() - began), "rows/s")
    return Bench(client, name, index, vectors.astype(np.float32))


def bulk_batches(vectors: NDArray[np.float16]) -> Iterator[Sequence[Any]]:
    """Rows of pictures in batches of one bulk request."""
    for rows in batches(vectors):
        for start in range(0, len(rows), BATCH):
            yield rows[start : start + BATCH]


def settle(bench: Bench) -> None:
    """Wait until all rows are searchable and the server's own merges are done."""
    bench.client.indices.refresh(index=bench.name)
    while int(bench.client.indices.stats(index=bench.name, metric="merge")["_all"]["total"]["merges"]["current"]):
        time.sleep(0.5)


def compare(report: Report, group: str, bench: Bench, case: Case, times: int) -> float:
    """Report a case's recall, and its latency beside the exact scan's; returns the median in milliseconds."""
    views = clustered(times * case.views, seed=2).astype(np.float32).reshape(times, case.views, -1)
    shares = [recall(bench.search(case, one), bench.nearest(case, one)) for one in views]
    report.add(group, f"{case.name}: recall", statistics.mean(shares), "", aim="≥ 0.98" if case.k == 100 else "")
    # Alternating, so that other load of the machine affects both.
    pairs = [
        (milliseconds(partial(bench.search, case, one)), milliseconds(partial(bench.scan, case, one))) for one in views
    ]
    found, scanned = sorted(pair[0] for pair in pairs), sorted(pair[1] for pair in pairs)
    for name, place in (("p50", len(found) // 2), ("p95", int(len(found) * 0.95))):
        report.add(group, f"{case.name}: {name}", found[place], "ms", floor=scanned[place])
    if case.views > 1:
        compare_requests(report, group, bench, case, views)
    return found[len(found) // 2]


def compare_requests(report: Report, group: str, bench: Bench, case: Case, views: NDArray[np.float32]) -> None:
    """Report the median of one search by all views beside an ``_msearch`` with a search for each."""
    bodies = [bench.bodies(case, one) for one in views]
    pairs = [
        (milliseconds(partial(bench.together, one)), milliseconds(partial(bench.one_by_one, each)))
        for one, each in bodies
    ]
    together, alone = (statistics.median(times) for times in zip(*pairs, strict=True))
    report.add(group, f"{case.name}: p50 by dis_max beside _msearch", together, "ms", floor=alone)


def measure_adds(report: Report, url: str, adds: int) -> None:
    """Report adds through the whole handler: DynamoDB Local or moto, moto's S3, OpenSearch refreshed as deployed."""
    client, generations, table = connect(url, connections=CALLERS), MemoryGenerations(), new_table()
    create_index(client, "adds", replicas=0)
    generations.save_generation(Kind.SAME, Generation("adds", ("adds",)), None)
    embedder = OnnxEmbedder(find_model(None))
    files = [
        photographs.jpeg(photographs.cropped(photographs.photograph(n), share))
        for n, share in cropped_photographs(2 * adds)
    ]
    with aws() as make:
        s3 = make("s3", config=CONFIG)
        s3.create_bucket(Bucket="originals")
        ports = memory_ports(
            ALICE,
            catalog=DynamoCatalog(table),
            maps=DynamoMaps(table),
            originals=S3Store(s3, "originals"),
            index=OpenSearchIndex(client, generations),
            embedder=embedder,
        )
        caller = Caller(ALICE)
        with serving(ports), ThreadPoolExecutor(CALLERS) as pool:
            caller.add("same_hq", files[0])
            alone = [milliseconds(partial(caller.add, "same_hq", file)) for file in files[1:adds]]
            began = time.perf_counter()
            for done in [pool.submit(caller.add, "same_hq", file) for file in files[adds:]]:
                done.result()
            rate = adds / (time.perf_counter() - began)
    pixels = [decode(file) for file in files[:adds]]
    floor = statistics.median(milliseconds(partial(embedder.embed, [one])) for one in pixels)
    group = "Adds through the whole handler, same_hq"
    report.add(group, "one at a time, p50 (floor: the model)", statistics.median(alone), "ms", floor=floor)
    report.add(group, f"{CALLERS} callers at once", rate, "adds/s")


def cropped_photographs(number: int) -> Iterator[tuple[str, float]]:
    """Pairs of a photograph's name and the share of it to keep: a different picture each."""
    for count in range(number):
        yield photographs.NAMES[count % len(photographs.NAMES)], 0.95 - 0.01 * (count // len(photographs.NAMES))


def decode(file: bytes) -> NDArray[np.uint8]:
    """Pixels of a picture."""
    with Image.open(io.BytesIO(file)) as picture:
        return np.asarray(picture.convert("RGB"))


def recall(found: set[int], nearest: set[int]) -> float:
    """Return the share of the nearest that were found."""
    return len(found & nearest) / len(nearest)


def milliseconds(work: Callable[[], object]) -> float:
    """Milliseconds that a call takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Run the benchmark, print its tables, and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("build/bench-aws.json"), help="where the figures go")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--million", action="store_true", help="up to a million pictures, which takes hours")
    size.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    parser.add_argument("--compressed", action="store_true", help="7 bits a number instead of 32")
    chosen = parser.parse_args()
    if (reason := missing()) is not None:
        parser.exit(1, f"{reason}\n")
    sizes = (1_000, 6_000) if chosen.quick else (100_000, 1_000_000) if chosen.million else (10_000, 100_000)
    report = Report()
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build") as folder, closing(OpenSearchServer(Path(folder))) as server:
        graph = COMPRESSED if chosen.compressed else GRAPH
        measure(report, server.url, Plan(sizes, 5 if chosen.quick else 50, graph, server.process.pid))
        measure_adds(report, server.url, 10 if chosen.quick else 100)
    report.print(Console())
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    about = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    chosen.json.write_text(json.dumps({**about, "figures": report.figures()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
