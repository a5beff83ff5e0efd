"""Adds and searches through the very handlers, beside decode, model and fsync alone."""

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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

from PIL import Image

from functions.add.app import handler as add
from functions.search.app import handler as search
from functions.token.app import handler as token
from lookalike import bootstrap
from lookalike.embedding.views import views
from lookalike.local import gateway
from lookalike.local.gateway import Received
from lookalike.model import Kind
from lookalike.picture.decode import Bounds, decode
from lookalike.ports import Ports
from lookalike.service.applications import create_application
from lookalike.settings import Settings
from tests import photographs
from tests.bench.report import Report, median_ms

#: As many as the server works on at once.
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
FORM = (("content-type", "application/x-www-form-urlencoded"), ("host", "localhost"))


def files(count: int) -> list[bytes]:
    """Different photographs, 640×480, as a camera or a web page would send them."""
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
        self._token = json.loads(token(event, None)["body"])["access_token"]

    def adding(self, kind: Kind, file: bytes) -> Call:
        """A call that adds a picture. It raises RuntimeError if it is refused: refusals are quick, and worth nothing."""
        return self._call(add, kind, "add", file, brief="b")

    def searching(self, kind: Kind, file: bytes) -> Call:
        """A call that searches for a picture. It raises RuntimeError if it is refused."""
        return self._call(search, kind, "search", file, rn=10)

    def _call(self, handler: bootstrap.Handler, kind: Kind, operation: str, file: bytes, **form: object) -> Call:
        # The event is made beforehand: that is the client's and the gateway's work.
        body = urlencode({"image": base64.b64encode(file).decode(), **form}).encode()
        event = self._event(f"{PATHS[kind]}/{operation}", urlencode({"access_token": self._token}), body)

        def call() -> None:
            answer = handler(event, None)["body"]
            if "error_code" in answer:
                raise RuntimeError(f"{operation} was refused: {answer}")

        return call

    @staticmethod
    def _event(path: str, query: str, body: bytes) -> dict[str, object]:
        return gateway.event_of(Received("POST", path, query, FORM, body, "127.0.0.1", gateway.now()))


@contextmanager
def service() -> Iterator[Ports]:
    """The service on an empty data folder, on the disk that this checkout is on."""
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build", ignore_cleanup_errors=True) as folder:
        ports = bootstrap.build(Settings(data=Path(folder) / "data", log_level="ERROR"))
        with bootstrap.serving(ports):
            yield ports
        ports.close()


@dataclass(frozen=True, slots=True)
class Floor:
    """What the parts of one call take alone, in milliseconds."""

    decode: float
    one_pass: float
    five_views: float
    fsync: float


def measure(report: Report, *, quick: bool) -> None:
    """One picture's way, many adds at once, searches."""
    pictures = files(40 if quick else 600)
    times = 10 if quick else 60
    with service() as ports:
        caller = Caller(ports)
        floor = parts(report, ports, pictures[:times], times)
        one_add(report, caller, pictures[:times], floor)
        many_adds(report, ports, caller, pictures[times:])
        searches(report, caller, pictures[-times:], floor)


def parts(report: Report, ports: Ports, pictures: list[bytes], times: int) -> Floor:
    """Decode, the model and the disk, each alone."""
    pixels = [decode(file, BOUNDS).pixels for file in pictures]
    plain = median_ms(each(pictures, lambda file: Image.open(io.BytesIO(file)).convert("RGB")), times)
    floor = Floor(
        decode=median_ms(each(pictures, lambda file: decode(file, BOUNDS)), times),
        one_pass=median_ms(each(pixels, lambda one: ports.embedder.embed([one])), times),
        five_views=median_ms(each(pixels, lambda one: ports.embedder.embed(views(Kind.SAME, one))), times),
        fsync=median_ms(fsync_of(Path("build")), times),
    )
    group = "The parts of a call, one thread (640×480 JPEG)"
    report.add(group, "decode and digest", floor.decode, "ms", floor=plain)
    report.add(group, "model, one pass", floor.one_pass, "ms")
    report.add(group, "model, the five views of a same query", floor.five_views, "ms", floor=5 * floor.one_pass)
    report.add(group, "fsync of a small write", floor.fsync, "ms")
    return floor


def one_add(report: Report, caller: Caller, pictures: list[bytes], floor: Floor) -> None:
    """One add after the other."""
    adding = median_ms(each([caller.adding(Kind.SIMILAR, file) for file in pictures], run), len(pictures) - 1)
    least = floor.decode + floor.one_pass + floor.fsync
    report.add("One thread, handler", "add to similar", adding, "ms", floor=least, aim="≤ 1.3 ×")


def many_adds(report: Report, ports: Ports, caller: Caller, pictures: list[bytes]) -> None:
    """Adds side by side, beside decode and model alone side by side."""
    alone = rate(pictures, lambda file: ports.embedder.embed([decode(file, BOUNDS).pixels]))
    adds = rate([caller.adding(Kind.SIMILAR, file) for file in pictures], run)
    group = f"{THREADS} threads on {os.cpu_count()} cores, handler"
    report.add(group, "durable adds a second", adds, "/s", floor=alone, aim="≥ 0.7 ×")


def searches(report: Report, caller: Caller, pictures: list[bytes], floor: Floor) -> None:
    """One search after the other, for pictures that are there."""
    for kind, passes in ((Kind.SIMILAR, floor.one_pass), (Kind.SAME, floor.five_views)):
        if kind is Kind.SAME:
            rate([caller.adding(Kind.SAME, file) for file in pictures], run)
        searching = median_ms(each([caller.searching(kind, file) for file in pictures], run), len(pictures))
        report.add(
            "One thread, handler", f"search in {kind}", searching, "ms", floor=floor.decode + passes, aim="≤ 1.3 ×"
        )


def run(call: Call) -> None:
    """Make the call."""
    call()


def each(over: Sequence[T], work: Callable[[T], object]) -> Callable[[], object]:
    """A call without arguments that works on the next of ``over`` each time, round and round."""
    turns = itertools.cycle(over)
    return lambda: work(next(turns))


def rate(over: Sequence[T], work: Callable[[T], object]) -> float:
    """How many a second, all threads together."""
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
