"""Measures adds and searches in ``similar`` over HTTP, by one, four and sixteen callers of a running server.

    python -m tests.bench.throughput [--json FILE] [--quick]

Searches come on connections that are kept, and on new ones. :mod:`tests.bench.same_http` does the same for ``same_hq``.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from rich.console import Console

from lookalike.domain.library import Kind
from tests.bench.callers import PROC, Body, Place, Run, cores, report_rates
from tests.bench.connection import worked
from tests.bench.pipeline import PATHS, files
from tests.bench.report import Report
from tests.support.live import LiveServer

CALLERS = (1, 4, 16)

#: Calls of each sort by each number of callers.
FULL, QUICK = 96, 16

#: Milliseconds that a client on a kept connection waits longer than the service works.
MAX_BETWEEN = "≤ 3 ms"


def measure(report: Report, *, quick: bool) -> None:
    """Measure adds, then searches for what was added."""
    if not (PROC / "self/stat").exists():
        print("No throughput: a server's processor time is read from /proc, on Linux.", file=sys.stderr)
        return
    calls = QUICK if quick else FULL
    made = files((len(CALLERS) + 1) * calls)
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build", ignore_cleanup_errors=True) as name:
        server = LiveServer(Path(name) / "data")
        try:
            adds = [_body(file, brief=str(number)) for number, file in enumerate(made)]
            _report_adds(report, _place(server, "add"), adds, calls)
            searches = [_body(file, rn="1") for file in made[:calls]]
            _report_searches(report, server, searches)
        finally:
            server.stop()


def _place(server: LiveServer, operation: str) -> Place:
    token = server.token(server.keys(f"bench {operation}", "bench"))
    path = f"{PATHS[Kind.SIMILAR]}/{operation}?{urlencode({'access_token': token})}"
    return Place(urlsplit(server.url).netloc, path, server.process.pid)


def _body(file: bytes, **form: str) -> Body:
    return urlencode({"image": base64.b64encode(file).decode(), **form}).encode(), None


def _report_adds(report: Report, place: Place, adds: Sequence[Body], calls: int) -> None:
    place.ask(adds[:calls], 1)  # opens the library, and loads the model
    runs = {callers: place.ask(adds[(turn + 1) * calls :][:calls], callers) for turn, callers in enumerate(CALLERS)}
    group = f"Adds to similar over HTTP, {cores()} cores"
    report_rates(report, group, runs, "adds")
    _report_waits(report, group, runs)


def _report_searches(report: Report, server: LiveServer, searches: Sequence[Body]) -> None:
    place = _place(server, "search")
    place.start_workers(searches[:12])
    group = f"Searches in similar over HTTP, {cores()} cores"
    before = len(worked(server, "search"))
    runs = {callers: place.ask(searches, callers) for callers in CALLERS}
    kept_ms = worked(server, "search")[before:][: len(searches)]
    report_rates(report, group, runs)
    _report_waits(report, group, runs)
    opened = place.ask(searches, 1, kept=False)
    opened_ms = worked(server, "search")[-len(searches) :]
    for run, work, what, aim in ((runs[1], kept_ms, "kept", MAX_BETWEEN), (opened, opened_ms, "new", "")):
        wait, own = statistics.median(run.waits), statistics.median(work)
        name = f"one caller, {what} connections: the client's wait"
        report.add(group, f"{name}, beside the service's own time", wait, "ms", floor=own)
        report.add(group, f"{name} beyond that", wait - own, "ms", aim=aim)


def _report_waits(report: Report, group: str, runs: Mapping[int, Run]) -> None:
    for callers, run in runs.items():
        name = "one caller" if callers == 1 else f"{callers} callers"
        report.add(group, f"{name}: processor time a call", 1000 * run.each, "ms")
        report.add(group, f"{name}: median", statistics.median(run.waits), "ms")


def main() -> None:
    """Measure throughput alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    chosen = parser.parse_args()
    report = Report()
    measure(report, quick=chosen.quick)
    report.print(Console(width=None if sys.stdout.isatty() else 140))
    if chosen.json:
        chosen.json.write_text(json.dumps(report.figures(), indent=2) + "\n")


if __name__ == "__main__":
    main()
