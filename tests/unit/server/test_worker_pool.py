"""One picture is looked for here, further ones in workers; what a worker does not find is looked for here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.picture import Decoded, Key
from lookalike.domain.search import Found
from lookalike.errors import Busy
from lookalike.limits.call import Call, Job
from lookalike.limits.fair_share import FairShare
from lookalike.ports import Looking
from lookalike.server.workers import pool as pool_module
from lookalike.server.workers.count import BYTES_EACH, MAX_DEFAULT, default_count, usable_memory
from lookalike.server.workers.frames import LostError
from lookalike.server.workers.pool import WorkerPool
from lookalike.server.workers.process import FailedError

HERE, THERE = Found(exact=frozenset({Key("here", "")})), Found(exact=frozenset({Key("there", "")}))
PICTURE = Decoded(np.zeros((1, 1, 3), np.uint8), "", "", "PNG")


@dataclass
class FakeWorker:
    """A worker that finds THERE, or raises."""

    error: BaseException | None = None
    ended: bool = False
    killed: bool = False
    pid: int = 0

    def find(self, _: Looking) -> Found:
        if self.error is not None:
            raise self.error
        return THERE

    def end(self) -> None:
        self.ended = True

    def kill(self) -> None:
        self.killed = True


@dataclass
class Workers:
    """Starts workers that fail as told, and keeps them."""

    error: BaseException | None = None
    refusal: BaseException | None = None
    started: list[FakeWorker] = field(default_factory=list)
    tried: int = 0

    def start(self) -> Any:
        self.tried += 1
        if self.refusal is not None:
            raise self.refusal
        self.started.append(FakeWorker(self.error))
        return self.started[-1]


def looking(here: Callable[[Job], Found] = lambda _: HERE, turns: FairShare | None = None) -> Looking:
    return Looking(Job("t", Call(), turns or FairShare(9)), (), 1, None, PICTURE, lambda _: [], here)


@contextmanager
def one_here(pool: WorkerPool) -> Iterator[Future[Found]]:
    """A picture is looked for here while the block runs."""
    begun, go = threading.Event(), threading.Event()

    def here(_: Job) -> Found:
        begun.set()
        assert go.wait(30)
        return HERE

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(pool.find, looking(here))
        assert begun.wait(30)
        try:
            yield coming
        finally:
            go.set()


def started(pool: WorkerPool) -> None:
    """Wait until workers that are being started are there."""
    for thread in list(pool._starting):
        thread.join()


def warm(pool: WorkerPool) -> None:
    """Have one worker started: a second picture is looked for here meanwhile."""
    with one_here(pool):
        assert pool.find(looking()) is HERE
    started(pool)


def test_who_asks_alone_starts_no_worker() -> None:
    workers = Workers()
    with closing(WorkerPool(2, workers.start)) as pool:
        assert [pool.find(looking()) for _ in range(3)] == [HERE] * 3
    assert workers.started == []


def test_a_second_picture_is_looked_for_in_a_worker_once_there_is_one() -> None:
    workers = Workers()
    with closing(WorkerPool(1, workers.start)) as pool:
        warm(pool)
        with one_here(pool) as first:
            assert pool.find(looking()) is THERE
            assert pool.find(looking()) is THERE
        assert first.result() is HERE
        assert pool.find(looking()) is HERE
        assert pool.pids == [0]
    assert len(workers.started) == 1
    assert workers.started[0].ended


def test_no_more_workers_are_started_than_may_be() -> None:
    workers = Workers()
    with closing(WorkerPool(1, workers.start)) as pool, one_here(pool):
        begun, go = threading.Event(), threading.Event()
        assert pool.find(looking()) is HERE
        started(pool)
        worker = workers.started[0]

        def slowly(_: Looking) -> Found:
            begun.set()
            assert go.wait(30)
            return THERE

        worker.find = slowly  # type: ignore[method-assign]
        with ThreadPoolExecutor(1) as thread:
            second = thread.submit(pool.find, looking())
            assert begun.wait(30)
            assert pool.find(looking()) is HERE
            go.set()
            assert second.result() is THERE
    assert workers.tried == 1


def test_what_a_lost_worker_was_asked_is_looked_for_here_and_another_is_started(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    workers = Workers(error=LostError("gone"))
    with closing(WorkerPool(1, workers.start)) as pool:
        warm(pool)
        workers.error = None
        with one_here(pool):
            assert pool.find(looking()) is HERE
            assert workers.started[0].killed
            assert pool.find(looking()) is HERE  # none is left, so one is started
            started(pool)
            assert pool.find(looking()) is THERE
    started_line, ended_line = "a search process has started", "a search process has ended; searched again here: gone"
    assert [line["message"] for line in log_lines()] == [started_line, ended_line, started_line]


def test_what_a_worker_cannot_tell_is_looked_for_here_and_it_is_asked_again() -> None:
    workers = Workers(error=FailedError("no"))
    with closing(WorkerPool(1, workers.start)) as pool:
        warm(pool)
        with one_here(pool):
            assert pool.find(looking()) is HERE
            workers.started[0].error = None
            assert pool.find(looking()) is THERE
    assert workers.tried == 1


def test_an_answer_that_is_no_longer_wanted_leaves_the_worker_to_others() -> None:
    workers = Workers(error=Busy("too long"))
    with closing(WorkerPool(1, workers.start)) as pool:
        warm(pool)
        with one_here(pool):
            with pytest.raises(Busy):
                pool.find(looking())
            assert pool.pids == [0]


@pytest.mark.parametrize("refusal", [LostError("not ready"), OSError("no memory")])
@pytest.mark.parametrize(("pause", "tried"), [(60.0, 1), (0.0, 2)])
def test_after_a_worker_that_does_not_start_there_is_a_pause(
    refusal: Exception, pause: float, tried: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_MIN_RETRY_SECONDS", pause)
    workers = Workers(refusal=refusal)
    with closing(WorkerPool(2, workers.start)) as pool:
        warm(pool)
        workers.refusal = None
        warm(pool)
        assert workers.tried == tried
        with one_here(pool):
            assert pool.find(looking()) is (HERE if pause else THERE)


def test_a_worker_that_is_ready_too_late_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_MAX_CLOSE_SECONDS", 0.01)
    workers, go = Workers(), threading.Event()

    def slowly() -> Any:
        assert go.wait(30)
        return workers.start()

    pool = WorkerPool(1, slowly)
    with one_here(pool):
        assert pool.find(looking()) is HERE
    pool.close()
    assert workers.started == []
    go.set()
    started(pool)
    assert workers.started[0].ended


def test_an_error_here_is_raised_and_the_place_is_free_again() -> None:
    def fails(_: Job) -> Found:
        raise Busy("waited too long")

    workers = Workers()
    with closing(WorkerPool(1, workers.start)) as pool:
        for _ in range(2):
            with pytest.raises(Busy):
                pool.find(looking(fails))
        assert pool.find(looking()) is HERE
    assert workers.tried == 0


def test_a_turn_is_held_all_along_and_stages_wait_for_no_other() -> None:
    turns = FairShare(1)

    def here(job: Job) -> Found:
        assert turns.ask("x", 1, lambda: None).granted is False
        with job.turn(), job.turn():
            return HERE

    with closing(WorkerPool(1, Workers().start)) as pool:
        assert pool.find(looking(here, turns)) is HERE


@given(cores=st.integers(1, 512), memory=st.integers(0, 1 << 42))
def test_a_core_is_the_servers_own_and_each_worker_has_its_memory(cores: int, memory: int) -> None:
    count = default_count(cores, memory)
    assert 0 <= count < cores
    assert count * BYTES_EACH <= memory
    assert count <= MAX_DEFAULT


@pytest.mark.parametrize(("cores", "gib", "count"), [(1, 64, 0), (2, 0.9, 0), (2, 2, 1), (4, 16, 3), (8, 4, 4)])
def test_numbers_of_workers(cores: int, gib: float, count: int) -> None:
    assert default_count(cores, int(gib * (1 << 30))) == count


def test_memory_is_the_machines_or_what_a_container_may_use(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    whole = usable_memory(())
    assert whole > 1 << 28
    assert usable_memory((limit,)) == whole
    limit.write_text("max\n")
    assert usable_memory((limit,)) == whole
    limit.write_text("1073741824\n")
    assert usable_memory((limit,)) == min(whole, 1 << 30)
