"""Processes that search beside the server find what it would find itself, at once, and end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from lookalike import bootstrap
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Metadata
from lookalike.domain.search import Candidate, Found, TagFilter
from lookalike.errors import Busy
from lookalike.imaging.decode import Bounds
from lookalike.limits.call import Call
from lookalike.ports import Finder, Looking, Ports
from lookalike.server.workers.frames import LostError
from lookalike.server.workers.pool import Census, WorkerPool
from lookalike.server.workers.process import FailedError, WorkerProcess
from lookalike.service.add import Add, add
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.ranking import Page
from lookalike.service.search import Search, search
from lookalike.settings import Settings
from tests.support.photographs import NAMES, cropped, jpeg, photograph, png
from tests.support.processes import gone

BOUNDS = Bounds(
    max_bytes=64 << 20, min_side=1, max_side=5000, max_pixels=5000 * 5000, formats=frozenset({"JPEG", "PNG"})
)
REFS = {kind: LibraryRef("tenant", kind.value, kind) for kind in (Kind.SAME, Kind.SIMILAR)}
ABSENT = "coffee.png"
PRESENT = tuple(name for name in NAMES if name != ABSENT)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data=tmp_path_factory.mktemp("workers") / "data", log_level="ERROR")


@pytest.fixture(scope="module")
def ports(settings: Settings) -> Iterator[Ports]:
    with closing(bootstrap.build(settings)) as made:
        for name in PRESENT:
            for ref in REFS.values():
                described = Metadata(brief=name, tags=("1",) if name < "m" else ("2",))
                add(made, Add(ref, Source(BOUNDS, data=png(photograph(name))), metadata=described))
        yield made


@pytest.fixture(scope="module")
def worker(settings: Settings, ports: Ports) -> Iterator[WorkerProcess]:
    assert ports.settings == settings
    made = WorkerProcess(settings)
    yield made
    made.end()


def asked(ports: Ports, file: bytes, kind: Kind = Kind.SAME, tags: TagFilter | None = None) -> Page:
    return search(ports, Search(REFS[kind], Source(BOUNDS, data=file), tags=tags))


def without_times(found: Found) -> Found:
    looks = tuple(replace(look, prepare_ms=0.0, embed_ms=0.0, search_ms=0.0, verify_ms=0.0) for look in found.looks)
    return replace(found, looks=looks)


@dataclass
class There(Finder):
    """Has a worker look for pictures, and if so wished this process, too."""

    worker: WorkerProcess
    both: bool = False
    found: list[Found] = field(default_factory=list)
    sent_pixels: int = 0

    def find(self, looking: Looking) -> Found:
        there = self.worker.find(looking)
        if self.both:
            assert without_times(there) == without_times(looking.here(looking.job))
        self.found.append(there)
        height, width, _ = looking.reduced().picture.pixels.shape
        self.sent_pixels = height * width
        return there


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8))


QUERIES: dict[str, Callable[[], bytes]] = {
    "identical": lambda: png(photograph(PRESENT[0])),
    "recompressed": lambda: jpeg(photograph(PRESENT[1]), 50),
    "cropped": lambda: jpeg(cropped(photograph(PRESENT[2]), 0.4), 80),
    "mirrored": lambda: jpeg(ImageOps.mirror(photograph(PRESENT[3])), 80),
    "grey": lambda: jpeg(photograph(PRESENT[4]).convert("L"), 80),
    "recoloured": lambda: jpeg(ImageOps.invert(photograph(PRESENT[0]).convert("RGB")), 80),
    "absent": lambda: jpeg(photograph(ABSENT), 80),
    "blank": lambda: png(Image.new("RGB", (200, 100), "white")),
    "tiny": lambda: png(noise(1, 1)),
    "narrow": lambda: png(noise(2000, 2)),
    "transparent": lambda: png(Image.new("RGBA", (90, 90), (200, 10, 10, 0))),
    "large": lambda: jpeg(photograph(PRESENT[5]).resize((4000, 3000)), 60),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("kind", REFS)
def test_a_worker_finds_what_the_server_finds(ports: Ports, worker: WorkerProcess, kind: Kind, name: str) -> None:
    file = QUERIES[name]()
    there = There(worker, both=True)
    assert asked(replace(ports, finder=there), file, kind).matches == asked(ports, file, kind).matches
    (found,) = there.found
    if name == "large":
        assert (there.sent_pixels < 300 * 300) is (kind is Kind.SIMILAR)
    if name in ("identical", "recompressed") and kind is Kind.SAME:
        assert found.exact or found.verified


def test_a_worker_keeps_to_tags(ports: Ports, worker: WorkerProcess) -> None:
    there = replace(ports, finder=There(worker, both=True))
    file = png(photograph(PRESENT[0]))
    (tag,) = asked(there, file).matches[0].candidate.metadata.tags
    assert asked(there, file, tags=TagFilter(all_of=frozenset({tag}))).matches
    assert not asked(there, file, tags=TagFilter(none_of=frozenset({tag}))).matches


def test_a_worker_finds_at_once_what_was_added_and_not_what_was_deleted(ports: Ports, worker: WorkerProcess) -> None:
    there = replace(ports, finder=There(worker))
    for turn in range(3):
        file = png(photograph(ABSENT).rotate(90 * turn, expand=True).resize((300, 200)))
        similar = jpeg(photograph(ABSENT).rotate(90 * turn, expand=True).resize((280, 190)), 70)
        add(ports, Add(REFS[Kind.SAME], Source(BOUNDS, data=file), metadata=Metadata(brief="new")))
        assert asked(there, file).matches[0].score == 1.0
        assert asked(there, similar).matches[0].candidate.metadata.brief == "new"
        delete(ports, Delete(REFS[Kind.SAME], Source(BOUNDS, data=file)))
        assert not asked(there, file).matches


class Limited(Call):
    """A call that is no longer wanted after so many checks."""

    def __init__(self, checks: int) -> None:
        self.left = checks

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Busy("waited too long")


def test_a_search_that_is_no_longer_wanted_stops_and_the_worker_goes_on(ports: Ports, worker: WorkerProcess) -> None:
    there, file = replace(ports, finder=There(worker)), jpeg(photograph(ABSENT), 80)
    stopped = 0
    for checks in range(12):
        try:
            asked(replace(there, call=Limited(checks)), file)
        except Busy:
            stopped += 1
    assert stopped
    assert asked(there, QUERIES["recompressed"]()).matches


def test_an_index_that_fails_fails_the_search_and_not_the_worker(ports: Ports, worker: WorkerProcess) -> None:
    class Fails(Finder):
        def find(self, looking: Looking) -> Found:
            def nearest(_: object) -> Sequence[Candidate]:
                raise OSError("broken")

            return worker.find(replace(looking, nearest=nearest))

    with pytest.raises(OSError, match="broken"):
        asked(replace(ports, finder=Fails()), jpeg(photograph(ABSENT), 80))
    assert asked(replace(ports, finder=There(worker)), QUERIES["recompressed"]()).matches


def test_a_worker_says_that_it_cannot_tell_and_goes_on(ports: Ports, worker: WorkerProcess) -> None:
    class Nowhere(Finder):
        def find(self, looking: Looking) -> Found:
            return worker.find(replace(looking, libraries=()))

    with pytest.raises(FailedError):
        asked(replace(ports, finder=Nowhere()), jpeg(photograph(ABSENT), 80))
    assert asked(replace(ports, finder=There(worker)), QUERIES["recompressed"]()).matches


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.0, 0.01, 0.03, 0.1])
def test_no_answer_is_lost_with_a_worker(ports: Ports, settings: Settings, after: float) -> None:
    with closing(WorkerPool.of(settings, 1)) as pool:
        pool._take()  # as a second search at once does
        while not pool.pids:
            time.sleep(0.02)
        (pid,) = pool.pids
        with pool._here:  # another search is being done here
            threading.Timer(after, os.kill, (pid, signal.SIGKILL)).start()
            assert asked(replace(ports, finder=pool), QUERIES["cropped"]()).matches
            assert gone(pid)
            assert asked(replace(ports, finder=pool), QUERIES["cropped"]()).matches


def test_a_census_counts_the_living(settings: Settings, ports: Ports) -> None:
    with closing(WorkerPool.of(settings, 1)) as pool:
        assert pool.census == Census(0, {})
        for started in (1, 2):
            pool._take()
            while pool.census.started < started:
                time.sleep(0.02)
            (pid,) = pool.pids
            assert pool.census == Census(started, {1: pid})
            os.kill(pid, signal.SIGKILL)
            assert gone(pid)
            assert pool.census == Census(started, {}), "nobody has missed it yet"
            with pool._here:
                assert asked(replace(ports, finder=pool), QUERIES["cropped"]()).matches
                assert pool.pids == [], "it is missed now"


def test_a_worker_that_is_not_there_is_lost(ports: Ports, settings: Settings) -> None:
    made = WorkerProcess(settings)
    os.kill(made.pid, signal.SIGKILL)
    assert gone(made.pid)
    with pytest.raises(LostError):
        asked(replace(ports, finder=There(made)), QUERIES["blank"]())
    made.kill()


def test_a_worker_without_a_data_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(LostError, match="no data folder"):
        WorkerProcess(Settings(data=tmp_path / "nothing"))


#: Starts a worker, prints its number and waits.
SERVER = """
import sys, time
from pathlib import Path
from lookalike.server.workers.process import WorkerProcess
from lookalike.settings import Settings
print(WorkerProcess(Settings(data=Path(sys.argv[1]))).pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_a_worker_ends_with_its_server_and_by_no_other_signal(ports: Ports) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(ports.settings.data)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        time.sleep(0.2)
        assert Path(f"/proc/{pid}").exists()
        assert int(Path(f"/proc/{pid}/oom_score_adj").read_text()) >= 500
        server.kill()
    assert gone(pid)
