"""Measures adds and searches through the handlers, beside decode, model and fsync alone."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import numpy as np
from PIL import Image

from functions.add.app import handler as add
from functions.search.app import handler as search
from functions.token.app import handler as token
from lookalike import bootstrap
from lookalike.domain.geometry import QueryView
from lookalike.domain.library import Identity, Kind
from lookalike.domain.picture import Pixels
from lookalike.domain.search import Candidate, Query
from lookalike.embedding.library_embedding import embed_for_library
from lookalike.handlers.http import Handler
from lookalike.handlers.process_ports import serving
from lookalike.imaging.decode import Bounds, decode
from lookalike.limits.call import usable_cores
from lookalike.ports import Ports
from lookalike.server import api_gateway
from lookalike.server.api_gateway import HttpRequest
from lookalike.service.applications import create_application
from lookalike.service.looks import query_views
from lookalike.service.renditions import Renditions
from lookalike.service.reranking import Reranker
from lookalike.settings import Settings
from lookalike.training.fitted_views import fitted_crops, fitted_views
from lookalike.transfer import importing
from lookalike.transfer.columns import Columns
from lookalike.transfer.importing import Plan
from lookalike.transfer.journal import Journal
from lookalike.transfer.outcomes import Outcome, Totals
from lookalike.transfer.sources import open_source
from lookalike.transfer.stores_target import StoresTarget
from lookalike.transfer.target import Wanted
from tests.bench.report import Report, median_ms_each
from tests.support import photographs

#: Concurrent callers: half of the server's request threads.
THREADS = 16

BOUNDS = Bounds(
    max_bytes=4 << 20, min_side=15, max_side=4096, max_pixels=4096 * 4096, formats=frozenset({"JPEG", "PNG"})
)
PATHS = {
    Kind.SAME: "/rest/2.0/realtime_search/same_hq",
    Kind.SIMILAR: "/rest/2.0/image-classify/v1/realtime_search/similar",
}
T = TypeVar("T")
Call = Callable[[], None]
#: Pictures of an import.
IMPORTED = 2_000

FORM = (("content-type", "application/x-www-form-urlencoded"), ("host", "localhost"))


def files(count: int) -> list[bytes]:
    """Return different photographs as JPEG, 640×480."""
    chance = random.Random(1)
    sources = [photographs.photograph(name, 1200) for name in ("coffee.png", "china.jpg", "flower.jpg", "rocket.jpg")]
    made = []
    for number in range(count):
        picture = sources[number % len(sources)]
        width, height = picture.size
        cut = chance.uniform(0.6, 0.95)
        left, top = chance.uniform(0, 1 - cut) * width, chance.uniform(0, 1 - cut) * height
        box = (int(left), int(top), int(left + cut * width), int(top + cut * height))
        made.append(photographs.jpeg(picture.crop(box).resize((640, 480), Image.Resampling.BICUBIC)))
    return made


class Caller:
    """Calls handlers as API Gateway would."""

    def __init__(self, ports: Ports) -> None:
        keys = create_application(ports.applications, ports.clock, "bench")
        form = {
            "grant_type": "client_credentials",
            "client_id": keys.access_key,
            "client_secret": keys.secret_key,
        }
        event = self._event("/oauth/2.0/token", "", urlencode(form).encode())
        self.tenant = keys.tenant
        self.token: str = json.loads(token(event, None)["body"])["access_token"]

    def adding(self, kind: Kind, file: bytes, brief: str = "b") -> Call:
        """Return a call that adds a picture, and raises RuntimeError if that is refused: refusals are quick."""
        return self._call(add, kind, "add", file, brief=brief)

    def searching(self, kind: Kind, file: bytes) -> Call:
        """Return a call that searches for a picture, and raises RuntimeError if that is refused."""
        return self._call(search, kind, "search", file, rn=10)

    def _call(self, handler: Handler, kind: Kind, operation: str, file: bytes, **form: object) -> Call:
        # The event is made beforehand: that is the client's and the gateway's work.
        body = urlencode({"image": base64.b64encode(file).decode(), **form}).encode()
        event = self._event(f"{PATHS[kind]}/{operation}", urlencode({"access_token": self.token}), body)

        def call() -> None:
            answer = handler(event, None)["body"]
            if "error_code" in answer:
                raise RuntimeError(f"{operation} was refused: {answer}")

        return call

    @staticmethod
    def _event(path: str, query: str, body: bytes) -> dict[str, object]:
        return api_gateway.to_event(HttpRequest("POST", path, query, FORM, body, "127.0.0.1", api_gateway.now()))


@contextmanager
def service(before: Callable[[Path], None] | None = None) -> Iterator[Ports]:
    """Open the service on a data folder on the checkout's disk; ``before`` may fill the folder."""
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        data.mkdir()
        if before is not None:
            before(data)
        with serving_from(data) as ports:
            yield ports


@contextmanager
def serving_from(data: Path) -> Iterator[Ports]:
    """Open the service on this data folder."""
    ports = bootstrap.build(Settings(data=data, log_level="ERROR"))
    with serving(ports):
        yield ports
    ports.close()


def measure(report: Report, *, quick: bool) -> None:
    """Measure single adds, concurrent adds, and searches."""
    pictures = files(40 if quick else 600)
    times = 10 if quick else 60
    with service() as ports:
        caller = Caller(ports)
        parts = Parts.of(ports)
        alone(report, parts, pictures[:times])
        one_add(report, caller, parts, pictures[:times])
        many_adds(report, ports, caller, pictures[times:])
        an_import(report, ports, pictures if quick else files(IMPORTED))
        searches(report, ports, caller, parts, pictures[-times:])


@dataclass(frozen=True, slots=True)
class Parts:
    """The milliseconds of a call's parts."""

    decode: Callable[[bytes], object]
    one_pass: Callable[[Pixels], object]
    stored: Callable[[Pixels], object]
    five_views: Callable[[Pixels], object]
    fsync: Callable[[], object]

    @classmethod
    def of(cls, ports: Ports) -> Parts:
        """The service's own."""
        return cls(
            decode=lambda file: decode(file, BOUNDS),
            one_pass=lambda pixels: ports.embedder.embed([pixels]),
            stored=lambda pixels: embed_for_library(ports.embedder, Kind.SIMILAR, Identity.PICTURE, pixels),
            five_views=lambda pixels: ports.embedder.embed(fitted_crops(Kind.SAME, pixels)),
            fsync=fsync_of(Path("build")),
        )


def alone(report: Report, parts: Parts, pictures: list[bytes]) -> None:
    """Measure decode, the model and the disk, each alone."""
    pixels = pixels_of(pictures)
    took = median_ms_each(
        {
            "plain": each(pictures, lambda file: Image.open(io.BytesIO(file)).convert("RGB")),
            "decode": each(pictures, parts.decode),
            "one pass": each(pixels, parts.one_pass),
            "five views": each(pixels, parts.five_views),
            "fsync": parts.fsync,
        },
        len(pictures),
    )
    group = "The parts of a call, one thread (640×480 JPEG)"
    report.add(group, "decode and digest", took["decode"], "ms", floor=took["plain"])
    report.add(group, "model, one pass", took["one pass"], "ms")
    report.add(group, "model, the five views of a same query", took["five views"], "ms", floor=5 * took["one pass"])
    report.add(group, "fsync of a small write", took["fsync"], "ms")


def one_add(report: Report, caller: Caller, parts: Parts, pictures: list[bytes]) -> None:
    """Measure adds one after the other."""
    took = median_ms_each(
        {
            "add": each([caller.adding(Kind.SIMILAR, file) for file in pictures], run),
            "decode": each(pictures, parts.decode),
            "two passes": each(pixels_of(pictures), parts.stored),
            "fsync": parts.fsync,
        },
        len(pictures) - 1,
    )
    group, add = "One thread, handler", took.pop("add")
    report.add(
        group, "add to similar, beside decode, two passes of the model and fsync", add, "ms", floor=sum(took.values())
    )
    floor = took["decode"] + took["two passes"]
    report.add(group, "add to similar, beside decode and two passes", add, "ms", floor=floor, aim="≤ 1.3 ×")


def many_adds(report: Report, ports: Ports, caller: Caller, pictures: list[bytes]) -> None:
    """Measure concurrent adds, beside decode and model alone, also concurrent."""
    stored = Parts.of(ports).stored
    alone = rate(pictures, lambda file: stored(decode(file, BOUNDS).pixels))
    adds = rate([caller.adding(Kind.SIMILAR, file) for file in pictures], run)
    group = f"{THREADS} threads on {os.cpu_count()} cores, handler"
    report.add(group, "durable adds a second", adds, "/s", floor=alone, aim="≥ 100, ≥ 0.7 ×")


def an_import(report: Report, ports: Ports, pictures: Sequence[bytes]) -> None:
    """Measure an import of a table, beside decode and model alone, also concurrent."""
    kind, identity = Kind.SAME, Identity.OWN
    alone = rate(pictures, lambda file: embed_for_library(ports.embedder, kind, identity, decode(file, BOUNDS).pixels))
    with tempfile.TemporaryDirectory(dir="build") as folder:
        table = Path(folder) / "table.csv"
        for number, file in enumerate(pictures):
            table.with_name(f"{number}.jpg").write_bytes(file)
        rows = "".join(f"{number},{number}.jpg,the picture {number},a\n" for number in range(len(pictures)))
        table.write_text(f"id,file,brief,tags\n{rows}")
        target = StoresTarget(ports, ports.applications.applications()[0], Wanted("imported", kind))
        with closing(Journal(table.with_name("journal"), target.name)) as journal:
            plan = Plan(open_source(table, Columns()), target, journal, 2 * usable_cores() + 2)
            began = time.perf_counter()
            importing.prepare(plan)
            importing.run(plan, _Silent())
            importing.verify(plan)
            took = time.perf_counter() - began
            if journal.totals().counts != {Outcome.ADDED: len(pictures)}:
                raise RuntimeError(f"an import has gone wrong: {journal.totals()}")
    group = f"{THREADS} threads on {os.cpu_count()} cores, handler"
    what = f"rows a second of an import of {len(pictures):,} with a table"
    report.add(group, what, len(pictures) / took, "/s", floor=alone, aim="≥ 0.7 ×")


class _Silent:
    """Shows nothing."""

    def show(self, totals: Totals) -> None:
        pass


def searches(report: Report, ports: Ports, caller: Caller, parts: Parts, pictures: list[bytes]) -> None:
    """Measure searches one after the other, for pictures in the library."""
    rate([caller.adding(Kind.SAME, file) for file in pictures], run)
    uid = present(ports.catalog.library(caller.tenant, "same_hq")).uid
    pixels = pixels_of(pictures)
    similar = {"passes": each(pixels, parts.one_pass)}
    same = {
        "passes": each(pixels, parts.five_views),
        "proof": each([proving(ports, uid, file) for file in pictures], run),
    }
    for name, kind, floor in (("search in similar", Kind.SIMILAR, similar), ("search in same", Kind.SAME, same)):
        search = each([caller.searching(kind, file) for file in pictures], run)
        took = median_ms_each({"search": search, "decode": each(pictures, parts.decode), **floor}, len(pictures))
        searching, proof = took.pop("search"), took.get("proof")
        what = name if proof is None else f"{name}, of which {proof:.0f} ms are proof"
        report.add("One thread, handler", what, searching, "ms", floor=sum(took.values()), aim="≤ 1.3 ×")


def pixels_of(pictures: Sequence[bytes]) -> list[Pixels]:
    """Return the decoded pictures."""
    return [decode(file, BOUNDS).pixels for file in pictures]


@dataclass(frozen=True, slots=True)
class Nearest:
    """What a search in kind ``same`` has before it proves: the query's views and pixels, and candidates."""

    views: Sequence[QueryView]
    pixels: Pixels
    candidates: Sequence[Candidate]


def nearest(ports: Ports, library: str, file: bytes, k: int) -> Nearest:
    """The ``k`` nearest to a picture, without the picture itself."""
    picture = decode(file, BOUNDS)
    embeddings = ports.embedder.embed(fitted_crops(Kind.SAME, picture.pixels))
    vectors = np.stack([embedding.vectors[Kind.SAME] for embedding in embeddings]).astype(np.float32)
    near = ports.index.search(Query(Kind.SAME, (library,), ports.embedder.model, vectors, k))
    return Nearest(
        query_views(fitted_views(Kind.SAME, picture.pixels), embeddings),
        picture.pixels,
        [one for one in near if one.digest != picture.digest],
    )


def proving(ports: Ports, library: str, file: bytes) -> Call:
    """A call that does of a search in kind ``same`` what comes after the index, and no more."""
    near = nearest(ports, library, file, 302)

    def call() -> None:
        query = ports.verifier.query(near.pixels, near.views)
        job = ports.job("bench")
        renditions = Renditions(ports.originals, ports.embedder, job)
        Reranker(query, ports.embedder, ports.maps, renditions, job).verify(near.candidates)

    return call


def present(it: T | None) -> T:
    """Return a value that must not be None."""
    if it is None:
        raise LookupError("not there")
    return it


def run(call: Call) -> None:
    """Call the handler; return its answer."""
    call()


def each(over: Sequence[T], work: Callable[[T], object]) -> Callable[[], object]:
    """Return a function without arguments that calls ``work`` on the next item of ``over``, cyclically."""
    turns = itertools.cycle(over)
    return lambda: work(next(turns))


def rate(over: Sequence[T], work: Callable[[T], object]) -> float:
    """Return the calls a second of all threads together."""
    with ThreadPoolExecutor(THREADS) as pool:
        began = time.perf_counter()
        list(pool.map(work, over))
        return len(over) / (time.perf_counter() - began)


def fsync_of(folder: Path) -> Callable[[], object]:
    """Append 1 kB to a file and wait for the disk."""
    file = (folder / "fsync.probe").open("wb", buffering=0)

    def write() -> None:
        file.write(b"x" * 1024)
        os.fsync(file.fileno())

    return write
