"""The benchmark's stages of a search: what calls take is attributed where it belongs, whatever a search calls."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.bench import same_http, stages
from tests.bench.report import Report
from tests.bench.stages import Recorder


def _spend(milliseconds: float) -> None:
    """Keep the processor busy."""
    until = time.thread_time() + milliseconds / 1000
    while time.thread_time() < until:
        pass


def test_a_call_takes_what_the_calls_within_it_leave() -> None:
    recorder = Recorder()
    inner = recorder.wrapping("MapStore.maps", lambda: _spend(30))

    def outer() -> None:
        _spend(10)
        inner()
        inner()

    recorder.wrapping("_ranked", outer)()
    assert recorder.seconds["_ranked/MapStore.maps"] == pytest.approx(0.06, abs=0.02)
    assert recorder.seconds["_ranked"] == pytest.approx(0.01, abs=0.008)


def test_work_of_other_threads_is_of_the_stage_that_waits_for_it() -> None:
    recorder = Recorder()
    work = recorder.wrapping("_rendition", lambda: _spend(30))

    def load() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()

    recorder.wrapping("_load_renditions", load)()
    assert list(recorder.seconds) == ["_load_renditions"]
    assert recorder.seconds["_load_renditions"] == pytest.approx(0.03, abs=0.015)


def test_a_call_that_fails_is_counted_and_closed() -> None:
    recorder = Recorder()

    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        recorder.wrapping("load", fail)()
    recorder.wrapping("rank", lambda: None)()
    assert set(recorder.seconds) == {"load", "rank"}


@dataclass(frozen=True, slots=True)
class Look:
    """Stands for a look of a search."""

    name: str


def test_what_follows_from_another_look_is_a_stage_of_its_own() -> None:
    recorder = Recorder()
    embed = recorder.wrapping("Embedder.embed", lambda _, pictures: _spend(10))
    take = recorder.wrapping("_take", lambda look, pictures: embed(None, pictures))
    take(Look("whole"), [0])
    take(Look("windows"), [0, 0])
    assert {stages.stage_of(path) for path in recorder.seconds if "embed" in path} == {
        "looks",
        "look at windows, and all that follows from it",
    }
    assert list(recorder.passes.values()) == [1, 2]


def test_stages_that_come_and_go_are_shown() -> None:
    recorder = Recorder()
    recorder.wrapping("_windows", lambda: _spend(20))()
    recorder.wrapping("load", lambda: _spend(20))()
    report = Report()
    stages._report(report, "a test", recorder, [45.0], 10.0)
    rows = {row.name: row.value for row in report.rows}
    assert rows["_windows"] == pytest.approx(20, abs=8)
    assert rows["decode"] == pytest.approx(20, abs=8)
    assert rows["maps"] == 0
    assert sum(rows.values()) == pytest.approx(2 * rows["search"])


@pytest.mark.slow
def test_searches_are_measured_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same_http, "QUICK", same_http.Size(24, 2))
    report = Report()
    same_http.measure(report, quick=True)
    shown = {(row.group.partition(", ")[0], row.name) for row in report.rows}
    assert ("same_hq over HTTP", "4 callers: 95th percentile") in shown
    first = {row.name.partition(",")[0]: row.value for row in report.rows if "recompressed" in row.group}
    for stage in ("decode", "looks", "index", "maps", "proof by cells"):
        assert first[stage] > 0, stage
    rows = [row for row in report.rows if row.unit == "/s"]
    assert len(rows) == 4 * len(same_http.CALLERS)
    assert all(row.value > 0 for row in rows)


def test_the_benchmarks_say_how_many_threads_numpy_starts_before_it_is_loaded() -> None:
    program = "import os, sys, tests.bench; print(os.environ['OPENBLAS_NUM_THREADS'], 'numpy' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["1", "False"]
