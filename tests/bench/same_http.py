"""Measures searches in ``same_hq`` over HTTP, by one, two and four callers of a running server, and their stages.

python -m tests.bench.same_http [--json FILE] [--quick] [--stages] [--pictures DIR]

The server is a process of its own, as ``make run`` starts it, with 1,000 photographs that were added through the
handlers. It is asked for recompressed copies, for hard copies (tests/quality/attacks.py), and for what is not there.
Times of the server are its processor time, from Linux's /proc: they hold on a busy machine. Searches a second do not,
so the cores that others used meanwhile stand beside them.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
from PIL import Image
from rich.console import Console

from lookalike.domain.library import Kind
from lookalike.embedding.embedder import OnnxEmbedder
from lookalike.training.picture_files import image
from tests.bench import stages
from tests.bench.callers import PROC, Body, Place, Run, children, cores, memory_mb, report_rates
from tests.bench.connection import worked
from tests.bench.model import MODEL
from tests.bench.pipeline import PATHS, THREADS, Call, Caller, run, serving_from
from tests.bench.report import Report
from tests.bench.same import NAMES, cut, pictures, quarter
from tests.quality import attacks
from tests.support import photographs
from tests.support.live import LiveServer

CALLERS = (1, 2, 4)
SEARCH = f"{PATHS[Kind.SAME]}/search"
#: Processor time of a search in passes of the model, by sort.
AIMS = {"recompressed copies": "≤ 4 ×", "hard copies": "≤ 8 ×", "not there": "≤ 9 ×"}


@dataclass(frozen=True, slots=True)
class Size:
    """Pictures in the library, and searches of each sort by each number of callers."""

    library: int
    searches: int


FULL, QUICK = Size(1_000, 36), Size(60, 6)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query's file, and the brief of its picture in the library; None: it is not there."""

    file: bytes
    brief: str | None


@dataclass(frozen=True, slots=True)
class Photographs:
    """The files of a library, by number, and queries by sort."""

    library: Sequence[bytes]
    sorts: Mapping[str, Sequence[Asked]]


def measure(report: Report, *, quick: bool, folder: Path | None = None, http: bool = True) -> None:
    """Fill a library, measure the stages of a search in this process, then searches over HTTP."""
    size = QUICK if quick else FULL
    made = packaged(size) if folder is None else of_folder(folder, size)
    one_pass = partial(OnnxEmbedder(MODEL, threads=1).embed, [np.asarray(quarter(NAMES[0], 1, 0))])
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build", ignore_cleanup_errors=True) as name:
        data = Path(name) / "data"
        data.mkdir()
        with serving_from(data) as ports:
            caller = Caller(ports)
            fill(caller, made.library)
            stages.measure(report, {sort: _calls(caller, asked) for sort, asked in made.sorts.items()}, one_pass)
        if not http:
            return
        if not (PROC / "self/stat").exists():
            print("No searches over HTTP: a server's processor time is read from /proc, on Linux.", file=sys.stderr)
            return
        over_http(report, data, caller.token, made, one_pass)


def packaged(size: Size) -> Photographs:
    """Photographs that packages ship: upper left quarters and cuts of lower halves; upper right quarters are not there."""
    chance = random.Random(2)
    library = list(pictures(size.library, chance))
    outside = [cut(quarter(name, 1, 0), chance) for name in NAMES]
    return photographs_of([photographs.jpeg(one) for one in library], library[: len(NAMES)], outside, size.searches)


def of_folder(folder: Path, size: Size) -> Photographs:
    """Photographs of a folder; an eighth as many as the library has are not there. Raises ValueError if they are few."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    random.Random(2).shuffle(files)
    outside = files[: max(size.searches, size.library // 8)]
    library = files[len(outside) :][: size.library]
    if len(library) < size.searches:
        raise ValueError(f"{folder}: {len(files)} photographs are too few")
    inside, others = ([image(path.read_bytes()) for path in some[: size.searches]] for some in (library, outside))
    return photographs_of([path.read_bytes() for path in library], inside, others, size.searches)


def photographs_of(
    library: Sequence[bytes], inside: Sequence[Image.Image], outside: Sequence[Image.Image], count: int
) -> Photographs:
    """Return a library and ``count`` queries of each sort: ``inside`` are its first pictures, ``outside`` not in it."""
    chance = random.Random(3)
    names = itertools.cycle(attacks.ATTACKS)
    light, hard, absent = [], [], []
    for number in range(count):
        own = number % len(inside)
        light.append(Asked(photographs.jpeg(inside[own], chance.randint(40, 85)), str(own)))
        shown = attacks.draw(next(names), inside[own], chance.sample(list(outside), 8), chance)
        hard.append(Asked(photographs.jpeg(shown, 85), str(own)))
        absent.append(Asked(photographs.jpeg(outside[number % len(outside)], chance.randint(40, 85)), None))
    return Photographs(library, dict(zip(AIMS, (light, hard, absent), strict=True)))


def fill(caller: Caller, library: Sequence[bytes]) -> None:
    """Add the pictures, each with its number as its brief."""
    calls = [caller.adding(Kind.SAME, file, str(number)) for number, file in enumerate(library)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, calls))


def _calls(caller: Caller, asked: Sequence[Asked]) -> list[Call]:
    return [caller.searching(Kind.SAME, one.file) for one in asked]


def over_http(report: Report, data: Path, token: str, made: Photographs, one_pass: Callable[[], object]) -> None:
    """Start a server on the folder; report searches of each sort, and of all together, by each number of callers."""
    server = LiveServer(data)
    try:
        place = Place(urlsplit(server.url).netloc, f"{SEARCH}?{urlencode({'access_token': token})}", server.process.pid)
        bodies = {sort: [body(one) for one in asked] for sort, asked in made.sorts.items()}
        for some in bodies.values():
            place.ask(some[:2], 1)
        place.start_workers([body for some in bodies.values() for body in some[:4]])
        runs: dict[str, dict[int, Run]] = {}
        passed = []
        for sort, some in bodies.items():
            before = len(worked(server, "search"))
            runs[sort] = {}
            for callers in CALLERS:
                passed.append(processor_ms(one_pass))
                runs[sort][callers] = place.ask(some, callers)
                passed.append(processor_ms(one_pass))
            own = worked(server, "search")[before:][: len(some)]
            _report_sort(report, _group(len(made.library), sort), sort, runs[sort], own, statistics.median(passed))
        group = _group(len(made.library), "all three sorts")
        every = {callers: sum((one[callers] for one in runs.values()), Run()) for callers in CALLERS}
        report_rates(report, group, every)
        report.add(group, "processes that search beside the server", len(children(server.process.pid)), "")
        report.add(group, "memory of all of them", memory_mb(server.process.pid), "MB")
    finally:
        server.stop()


def body(asked: Asked) -> Body:
    """Return the form of a search, and the brief of the right answer."""
    form = {"image": base64.b64encode(asked.file).decode(), "rn": 10}
    return urlencode(form).encode(), asked.brief


def processor_ms(work: Callable[[], object]) -> float:
    """Return the processor milliseconds of a call: the median of five."""
    spent = []
    for _ in range(5):
        began = time.process_time()
        work()
        spent.append(1000 * (time.process_time() - began))
    return statistics.median(spent)


def _group(library: int, what: str) -> str:
    return f"same_hq over HTTP, {library:,} photographs, {cores()} cores: {what}"


def _report_sort(
    report: Report, group: str, sort: str, runs: Mapping[int, Run], own: Sequence[float], one_pass: float
) -> None:
    alone = runs[1]
    wait = statistics.median(alone.waits)
    report.add(
        group, "one caller: the client's wait, beside the service's own time", wait, "ms", floor=statistics.median(own)
    )
    for callers, one in runs.items():
        name = "one caller" if callers == 1 else f"{callers} callers"
        aim = AIMS[sort] if callers == 1 else ""
        spent = 1000 * one.each
        report.add(group, f"{name}: processor time a search, beside a pass", spent, "ms", floor=one_pass, aim=aim)
        report.add(group, f"{name}: median", statistics.median(one.waits), "ms")
        report.add(group, f"{name}: 95th percentile", float(np.percentile(one.waits, 95)), "ms")
    report_rates(report, group, runs)
    right = "answered nothing" if sort == "not there" else "right one first"
    report.add(group, right, 100 * alone.right / len(alone.waits), "%")


def main() -> None:
    """Measure searches over HTTP alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    parser.add_argument("--stages", action="store_true", help="the stages of a search alone, in this process")
    parser.add_argument("--pictures", type=Path, help="a folder of photographs; default: cuts of those of packages")
    chosen = parser.parse_args()
    report = Report()
    measure(report, quick=chosen.quick, folder=chosen.pictures, http=not chosen.stages)
    report.print(Console(width=None if sys.stdout.isatty() else 140))
    if chosen.json:
        chosen.json.write_text(json.dumps(report.figures(), indent=2) + "\n")


if __name__ == "__main__":
    main()
