"""``make bench-aws``: searches in a real OpenSearch, beside its own exact scan of the same library; and whole adds.

    python -m tests.bench.aws [--json FILE] [--million | --quick]

One server, one library, one connection; both figures of a ratio are taken in this one run. Clusters are as
:mod:`tests.support.clusters` makes them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog, DynamoMaps
from lookalike.stores.aws.opensearch_index import OpenSearchIndex, _search, connect, create_index
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

#: What of an answer is sent, as for the service.
_SHOWN = "hits.hits._source,hits.hits.sort"

#: Callers that add at once.
CALLERS = 8


@dataclass(frozen=True, slots=True)
class Case:
    """What is searched for: by how many views, for how many, and among every which row."""

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
    """An index of one library on a server. ``vectors`` is float32 of shape (n, DIMENSION), row n picture n."""

    client: OpenSearch
    name: str
    index: OpenSearchIndex
    vectors: NDArray[np.float32]

    def search(self, case: Case, views: NDArray[np.float32]) -> set[int]:
        """Numbers of the pictures found, as the service finds them."""
        tags = None if case.every == 1 else TagFilter(frozenset([str(case.every)]))
        found = self.index.search(Query(Kind.SIMILAR, (LIBRARY,), MODEL, views, case.k, tags))
        return {one.revision - picture(0, self.vectors[0]).revision for one in found}

    def scan(self, case: Case, views: NDArray[np.float32]) -> None:
        """The same by the server's own exact scan of every picture that passes the filter."""
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
        """All views in one search, as the service asks; and a search for each, as ``_msearch`` takes them."""
        k = max(case.k, 100)
        several = [views, *views[:, np.newaxis]]
        together, *alone = (
            _search(Query(Kind.SIMILAR, (LIBRARY,), MODEL, one, case.k), (LIBRARY,), k) for one in several
        )
        lines = [line for body in alone for line in ({"index": self.name, "routing": LIBRARY}, body)]
        return together, b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    def together(self, body: dict[str, Any]) -> None:
        """One search."""
        self.client.search(index=self.name, body=body, params={"routing": LIBRARY, "filter_path": _SHOWN})

    def one_by_one(self, lines: bytes) -> None:
        """A search for each view, in one request."""
        self.client.msearch(body=lines, params={"filter_path": f"responses.{_SHOWN}"})

    def nearest(self, case: Case, views: NDArray[np.float32]) -> set[int]:
        """What an exact search finds."""
        cosines = (self.vectors[:: case.every] @ views.T).max(axis=1)
        return {int(row) * case.every for row in np.argsort(-cosines)[: case.k]}

    def segments(self) -> int:
        """How many parts the index has, each with a graph of its own."""
        return len(self.client.cat.segments(index=self.name, params={"format": "json"}))

    def merge(self) -> None:
        """Make one segment of all; that takes longer than a request may."""
        self.client.indices.forcemerge(
            index=self.name, params={"max_num_segments": "1", "wait_for_completion": "false"}
        )
        while self.segments() > 1:
            time.sleep(1)


def measure(report: Report, url: str, sizes: Sequence[int], times: int) -> None:
    """Fill a library of each size on that server, and search it as it was written and merged, so often per case."""
    took: dict[tuple[str, str, int], float] = {}
    for size in sizes:
        bench = fill(report, url, size)
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


def fill(report: Report, url: str, size: int) -> Bench:
    """A library of that many pictures, written by two threads."""
    client, generations, name = connect(url, seconds=120), MemoryGenerations(), f"bench-{size}"
    create_index(client, name, replicas=0)
    generations.save_generation(Kind.SIMILAR, Generation(name, (name,)), None)
    index, vectors = OpenSearchIndex(client, generations, seconds=120), clustered(size, seed=1)
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(index.write, rows, wait=False) for rows in some(vectors)]:
            done.result()
    report.add("Fill, two threads", f"{size:,} pictures", size / (time.perf_counter() - began), "rows/s")
    return Bench(client, name, index, vectors.astype(np.float32))


def some(vectors: NDArray[np.float16]) -> Iterator[Sequence[Any]]:
    """Rows of pictures, a bulk request's worth at a time."""
    for rows in batches(vectors):
        for start in range(0, len(rows), BATCH):
            yield rows[start : start + BATCH]


def settle(bench: Bench) -> None:
    """Wait until all is searchable and the server has merged what it merges by itself."""
    bench.client.indices.refresh(index=bench.name)
    while int(bench.client.indices.stats(index=bench.name, metric="merge")["_all"]["total"]["merges"]["current"]):
        time.sleep(0.5)


def compare(report: Report, group: str, bench: Bench, case: Case, times: int) -> float:
    """Recall of a case, its latency beside the exact scan's; answers the median in milliseconds."""
    views = clustered(times * case.views, seed=2).astype(np.float32).reshape(times, case.views, -1)
    shares = [recall(bench.search(case, one), bench.nearest(case, one)) for one in views]
    report.add(group, f"{case.name}: recall", statistics.mean(shares), "", aim="≥ 0.98" if case.k == 100 else "")
    # Turn by turn, so that whatever else the machine does meets both.
    pairs = [(ms(partial(bench.search, case, one)), ms(partial(bench.scan, case, one))) for one in views]
    found, scanned = sorted(pair[0] for pair in pairs), sorted(pair[1] for pair in pairs)
    for name, place in (("p50", len(found) // 2), ("p95", int(len(found) * 0.95))):
        report.add(group, f"{case.name}: {name}", found[place], "ms", floor=scanned[place])
    if case.views > 1:
        compare_requests(report, group, bench, case, views)
    return found[len(found) // 2]


def compare_requests(report: Report, group: str, bench: Bench, case: Case, views: NDArray[np.float32]) -> None:
    """The median of one search by all views, beside a search for each in one ``_msearch``."""
    bodies = [bench.bodies(case, one) for one in views]
    pairs = [(ms(partial(bench.together, one)), ms(partial(bench.one_by_one, each))) for one, each in bodies]
    together, alone = (statistics.median(times) for times in zip(*pairs, strict=True))
    report.add(group, f"{case.name}: p50 by dis_max beside _msearch", together, "ms", floor=alone)


def measure_adds(report: Report, url: str, adds: int) -> None:
    """Adds through the whole handler: DynamoDB Local (or moto), moto's S3, and that OpenSearch, refreshed as deployed."""
    client, generations, table = connect(url, connections=CALLERS), MemoryGenerations(), new_table()
    create_index(client, "adds", replicas=0)
    generations.save_generation(Kind.SAME, Generation("adds", ("adds",)), None)
    embedder = OnnxEmbedder(find_model(None))
    files = [photographs.jpeg(photographs.cropped(photographs.photograph(n), share)) for n, share in cuts(2 * adds)]
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
            alone = [ms(partial(caller.add, "same_hq", file)) for file in files[1:adds]]
            began = time.perf_counter()
            for done in [pool.submit(caller.add, "same_hq", file) for file in files[adds:]]:
                done.result()
            rate = adds / (time.perf_counter() - began)
    pixels = [decode(file) for file in files[:adds]]
    floor = statistics.median(ms(partial(embedder.embed, [one])) for one in pixels)
    group = "Adds through the whole handler, same_hq"
    report.add(group, "one at a time, p50 (floor: the model)", statistics.median(alone), "ms", floor=floor)
    report.add(group, f"{CALLERS} callers at once", rate, "adds/s")


def cuts(number: int) -> Iterator[tuple[str, float]]:
    """Photographs by name, and the share of each that is kept: every pair another picture."""
    for count in range(number):
        yield photographs.NAMES[count % len(photographs.NAMES)], 0.95 - 0.01 * (count // len(photographs.NAMES))


def decode(file: bytes) -> NDArray[np.uint8]:
    """A picture's pixels."""
    with Image.open(io.BytesIO(file)) as picture:
        return np.asarray(picture.convert("RGB"))


def recall(found: set[int], nearest: set[int]) -> float:
    """Share of the nearest that were found."""
    return len(found & nearest) / len(nearest)


def ms(work: Callable[[], object]) -> float:
    """Milliseconds that takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Run the benchmark, print its tables, write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("build/bench-aws.json"), help="where the figures go")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--million", action="store_true", help="up to a million pictures, which takes hours")
    size.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    chosen = parser.parse_args()
    if (reason := missing()) is not None:
        parser.exit(1, f"{reason}\n")
    sizes = (1_000, 6_000) if chosen.quick else (100_000, 1_000_000) if chosen.million else (10_000, 100_000)
    report = Report()
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build") as folder, closing(OpenSearchServer(Path(folder))) as server:
        measure(report, server.url, sizes, 5 if chosen.quick else 50)
        measure_adds(report, server.url, 10 if chosen.quick else 100)
    report.print(Console())
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    about = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    chosen.json.write_text(json.dumps({**about, "figures": report.figures()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
