"""``make bench-aws``: searches in a real OpenSearch compared with its exact scan of the same library, and whole adds.

    python -m tests.bench.aws [--json FILE] [--size N ... | --million | --quick] [--graph NAME ...] [--brief] [--url URL]

One server, one library at a time, one connection; both figures of a ratio are measured in the same run. Vectors are
clustered by :mod:`tests.support.clusters`. Several graphs of :mod:`tests.bench.graphs` are measured one after the other.
``--brief`` leaves out exact scans, segments merged into one, and whole adds: that is what a million pictures take hours
for. Figures are written as soon as a library is measured.
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
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opensearchpy import OpenSearch
from PIL import Image
from rich.console import Console

from lookalike.domain.library import Kind
from lookalike.domain.search import Generation, Query, TagFilter
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.embedding.model_path import find_model
from lookalike.handlers.process_ports import serving
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.opensearch_admin import (
    REFRESH_INTERVAL,
    create_index,
    delete_index,
    search_on_all_cores,
    update_layout,
)
from lookalike.stores.aws.opensearch_client import connect
from lookalike.stores.aws.opensearch_index import OpenSearchIndex
from lookalike.stores.aws.opensearch_query import search_body
from lookalike.stores.aws.s3_objects import CONFIG, S3Store
from tests.bench.graphs import GRAPHS, needs_native_code
from tests.bench.report import Report
from tests.bench.stores import LIBRARY, MODEL, batches, picture
from tests.conftest import ALICE
from tests.servers.dynamodb.server import new_table
from tests.servers.opensearch.server import VECTOR_UNIT, OpenSearchServer, missing
from tests.support import photographs
from tests.support.baidu import Caller
from tests.support.clusters import clustered
from tests.support.emulated import aws
from tests.support.fakes import MemoryGenerations, memory_ports

#: Rows of one bulk write.
BATCH = 500

#: ``filter_path`` of a search, as the service sends it.
_FILTER_PATH = "hits.hits._source,hits.hits.sort"

#: Bulk writes that wait for the two threads of a fill.
WAITING = 8

#: What is aimed at among the 100 nearest.
RECALL = "≥ 0.99"

#: Callers that add at once.
CALLERS = 8

#: Library of the pictures that are added meanwhile, and the first one's number.
OTHER_LIBRARY, FIRST_OTHER = "a" * 32, 100_000_000

#: Files of a segment that a search walks: edges, and numbers of 32 bits where there are none of fewer.
EDGES, COMPRESSED, PLAIN = ("vex", "faiss", "faissc"), "veq", "vec"

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


#: Cases of a brief run, and those that are measured while pictures are added.
BRIEF = tuple(case for case in CASES if case.k == 100)
WHILE_ADDING = tuple(case for case in BRIEF if case.every == 1)


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
        if len(cosines) <= case.k:
            return set(range(0, len(self.vectors), case.every))
        return {int(row) * case.every for row in np.argpartition(-cosines, case.k)[: case.k]}

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
    """What is measured, and the server's process to be weighed.

    ``sizes``: of libraries. ``times``: that each case is measured. ``graphs``: names of graphs. ``refresh``: time until a
    write is visible while a library is filled. ``save``: called with what is there so far.
    """

    sizes: Sequence[int]
    times: int
    graphs: Sequence[str] = ("lucene",)
    pid: int | None = None
    brief: bool = False
    refresh: str = REFRESH_INTERVAL
    save: Callable[[Report], None] = lambda report: None


def measure(report: Report, url: str, plan: Plan) -> None:
    """Fill a library of each size with each graph, and measure every case."""
    took: dict[tuple[str, str, int], float] = {}
    with closing(connect(url)) as client:
        search_on_all_cores(client)
    for size in plan.sizes:
        for graph in plan.graphs:
            bench = fill_library(report, url, size, graph, plan.refresh)
            for (state, case), median in measure_library(report, bench, graph, plan).items():
                took[f"{graph}, {state}", case, size] = median
            delete_index(bench.client, bench.name)
            bench.client.close()
            plan.save(report)
    small, large = plan.sizes[0], plan.sizes[-1]
    if large == small:
        return
    for state, name in dict.fromkeys((state, name) for state, name, _ in took):
        growth = took[state, name, large] / took[state, name, small]
        report.add(f"Growth from {small:,} to {large:,} pictures, {state}", name, growth, "×")


def measure_library(report: Report, bench: Bench, graph: str, plan: Plan) -> dict[tuple[str, str], float]:
    """Measure every case while pictures are added, then at rest, and after all segments were merged into one.

    Returns median milliseconds at rest by the state of the segments and the case.
    """
    about = f"{len(bench.vectors):,} pictures, {graph}"
    settle(bench)
    weigh(report, bench, about, plan.pid)
    while_adding(report, bench, about, plan.times)
    plan.save(report)
    settle(bench)
    states: dict[str, Callable[[], None]] = {"as written": lambda: None}
    if not plan.brief:
        states["merged"] = bench.merge
    took = {}
    for state, prepare in states.items():
        prepare()
        group = f"{about}, {state} (segments: {bench.segments()})"
        for case in BRIEF if plan.brief else CASES:
            took[state, case.name] = compare(report, group, bench, case, plan)
    return took


def weigh(report: Report, bench: Bench, about: str, pid: int | None) -> None:
    """Report the room that a row takes on the disk and of what a search walks, and the memory of the server."""
    count, group = len(bench.vectors), f"{about}: room"
    stats = bench.client.indices.stats(
        index=bench.name, metric="store,segments", params={"include_segment_file_sizes": "true"}
    )["_all"]["total"]
    report.add(group, "disk a row, as written", int(stats["store"]["size_in_bytes"]) / count, "bytes")
    files = {name: int(file["size_in_bytes"]) for name, file in stats["segments"]["file_sizes"].items()}
    walked = sum(files.get(name, 0) for name in (*EDGES, COMPRESSED if COMPRESSED in files else PLAIN))
    report.add(group, "graph and its numbers a row, walked by searches", walked / count, "bytes")
    native = bench.client.transport.perform_request("GET", "/_plugins/_knn/stats/graph_memory_usage")
    held = sum(int(node["graph_memory_usage"]) for node in native["nodes"].values())
    if held:
        report.add(group, "FAISS's memory a row", held * 1024 / count, "bytes")
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        for name, field in (("memory of the server", "RssAnon"), ("files that it maps, in memory", "RssFile")):
            report.add(group, name, int(lines[field].split()[0]) / 1024, "MB")


def while_adding(report: Report, bench: Bench, about: str, times: int) -> None:
    """Report recall and time of searches while pictures of another library are added and made visible."""
    ended, group = threading.Event(), f"{about}, while others are added"
    others, half = clustered(BATCH, seed=3), ADDED_A_SECOND // 2

    def add() -> int:
        added = 0
        while True:
            numbers = range(added, added + half)
            rows = [picture(FIRST_OTHER + one, others[one % BATCH], OTHER_LIBRARY) for one in numbers]
            bench.index.write(rows, wait=True)
            added += half
            if ended.wait(0.5):
                return added

    with ThreadPoolExecutor(1) as pool:
        adding, began = pool.submit(add), time.perf_counter()
        try:
            for case in WHILE_ADDING:
                views = views_of(case, times, seed=4)
                found = sorted(milliseconds(partial(bench.search, case, one)) for one in views)
                shares = [recall(bench.search(case, one), bench.nearest(case, one)) for one in views]
                report.add(group, f"{case.name}: recall", statistics.mean(shares), "", aim=RECALL)
                report.add(group, f"{case.name}: p50", found[len(found) // 2], "ms")
                report.add(group, f"{case.name}: p95", found[int(len(found) * 0.95)], "ms", aim="< 100 ms")
        finally:
            ended.set()
        added, seconds = adding.result(), time.perf_counter() - began
    report.add(group, "rows added and visible", added / seconds, "rows/s")


def fill_library(report: Report, url: str, size: int, graph: str, refresh: str) -> Bench:
    """Write a library of ``size`` pictures with two threads."""
    client, generations, name = connect(url, seconds=120), MemoryGenerations(), f"bench-{graph}-{size}"
    create_index(client, name, replicas=0, refresh_interval=refresh, graph=GRAPHS[graph])
    generations.save_generation(Kind.SIMILAR, Generation(name, (name,)), None)
    index, vectors = OpenSearchIndex(client, generations, seconds=120), clustered(size, seed=1)
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        waiting: deque[Future[None]] = deque()
        for rows in bulk_batches(vectors):
            waiting.append(pool.submit(index.write, rows, wait=False))
            if len(waiting) > WAITING:
                waiting.popleft().result()
        for done in waiting:
            done.result()
    taken = time.perf_counter() - began
    group = f"{size:,} pictures, {graph}: fill, two threads, refreshed every {refresh}"
    report.add(group, "until written", size / taken, "rows/s")
    update_layout(client, name, replicas=0, refresh_interval=REFRESH_INTERVAL)
    bench = Bench(client, name, index, vectors.astype(np.float32))
    settle(bench)
    report.add(
        group, "until merged as far as the server does by itself", size / (time.perf_counter() - began), "rows/s"
    )
    return bench


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


def views_of(case: Case, times: int, seed: int) -> NDArray[np.float32]:
    """Views of that many queries, shape (times, views, DIMENSION)."""
    return clustered(times * case.views, seed).astype(np.float32).reshape(times, case.views, -1)


def compare(report: Report, group: str, bench: Bench, case: Case, plan: Plan) -> float:
    """Report a case's recall, and its latency beside the exact scan's; returns the median in milliseconds."""
    views = views_of(case, plan.times, seed=2)
    shares = [recall(bench.search(case, one), bench.nearest(case, one)) for one in views]
    report.add(group, f"{case.name}: recall", statistics.mean(shares), "", aim=RECALL if case.k == 100 else "")
    found, scanned = [], []
    for one in views:  # alternating, so that other load of the machine affects both
        found.append(milliseconds(partial(bench.search, case, one)))
        if not plan.brief:
            scanned.append(milliseconds(partial(bench.scan, case, one)))
    found.sort()
    scanned.sort()
    for name, place in (("p50", len(found) // 2), ("p95", int(len(found) * 0.95))):
        floor = scanned[place] if scanned else None
        report.add(
            group, f"{case.name}: {name}", found[place], "ms", floor=floor, aim="< 100 ms" if case.k == 100 else ""
        )
    if case.views > 1 and not plan.brief:
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
    size.add_argument("--size", type=int, nargs="+", help="numbers of pictures", metavar="N")
    size.add_argument("--million", action="store_true", help="up to a million pictures, which takes hours")
    size.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    parser.add_argument("--graph", nargs="+", choices=GRAPHS, default=["lucene"], help="graphs, one after the other")
    parser.add_argument("--brief", action="store_true", help="no exact scans, no forced merge, no whole adds")
    parser.add_argument(
        "--refresh", default=REFRESH_INTERVAL, help="how often a library is refreshed while it is filled"
    )
    parser.add_argument("--heap", default="4g", help="Java's heap")
    parser.add_argument("--url", help="an OpenSearch without login that runs already, instead of one of our own")
    chosen = parser.parse_args()
    if chosen.url is None and (reason := missing()) is not None:
        parser.exit(1, f"{reason}\n")
    if chosen.url is None and (native := [name for name in chosen.graph if needs_native_code(name)]):
        parser.exit(1, f"{', '.join(native)}: our server lacks FAISS's library; name one that has it by --url\n")
    Path("build").mkdir(exist_ok=True)
    if chosen.url is not None:
        run(chosen, chosen.url, None)
        return
    with (
        tempfile.TemporaryDirectory(dir="build") as folder,
        closing(OpenSearchServer(Path(folder), 0, f"-Xms{chosen.heap}", f"-Xmx{chosen.heap}", *VECTOR_UNIT)) as server,
    ):
        run(chosen, server.url, server.process.pid)


def run(chosen: argparse.Namespace, url: str, pid: int | None) -> None:
    """Measure on a server."""
    sizes = chosen.size or (
        (1_000, 6_000) if chosen.quick else (100_000, 1_000_000) if chosen.million else (10_000, 100_000)
    )
    report = Report()
    with closing(connect(url)) as client:
        java = next(iter(client.nodes.info(metric="jvm")["nodes"].values()))["jvm"]["version"]

    def save(so_far: Report) -> None:
        about = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "java": java}
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps({**about, "figures": so_far.figures()}, indent=2) + "\n")

    times = 5 if chosen.quick else 50
    measure(report, url, Plan(sizes, times, chosen.graph, pid, chosen.brief, chosen.refresh, save))
    if not chosen.brief:
        measure_adds(report, url, 10 if chosen.quick else 100)
    save(report)
    report.print(Console())


if __name__ == "__main__":
    main()
