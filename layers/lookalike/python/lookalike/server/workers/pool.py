"""Looks for pictures in the server's own process while one is looked for, and in workers while there are more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from lookalike.domain.search import Found
from lookalike.observability import logger
from lookalike.ports import Finder, Looking
from lookalike.server.workers.frames import LostError
from lookalike.server.workers.process import FailedError, WorkerProcess
from lookalike.settings import Settings

#: Seconds after a worker that did not start in which no other is started: what it lacks is likely to be lacking still.
_MIN_RETRY_SECONDS = 60.0


#: Seconds that a stop waits for workers that are being started; later ones are ended when they are ready.
_MAX_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Census:
    """How many workers have ever been started, and the processes of those that run, by a small number of each."""

    started: int = 0
    pids: Mapping[int, int] = field(default_factory=dict)


class WorkerPool(Finder):
    """Has one picture looked for in this process, and others at the same time in workers.

    Whoever asks alone pays nothing for workers: they are started in the background when there are several at once, and
    until they are ready these are looked for here. So is what a worker was looking for when it was lost.

    Parameters
    ----------
    most : workers at most.
    start : starts one. Raises LostError or OSError.
    """

    def __init__(self, most: int, start: Callable[[], WorkerProcess]) -> None:
        self._most = most
        self._start = start
        self._lock = threading.Lock()
        self._here = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._running: dict[int, WorkerProcess] = {}  # by the least number that none of the others has
        self._ever_started = 0
        self._started = 0  # workers that are there, or being started
        self._start_at = 0.0  # monotonic seconds
        self._starting: set[threading.Thread] = set()
        self._closed = False

    @classmethod
    def of(cls, settings: Settings, most: int) -> WorkerPool:
        """Make a pool of workers with these settings."""
        return cls(most, partial(WorkerProcess, settings))

    @property
    def pids(self) -> list[int]:
        """The numbers of the idle workers' processes."""
        with self._lock:
            return [worker.pid for worker in self._idle]

    @property
    def census(self) -> Census:
        """The workers that run, idle or not: one that was killed is not among them, although nobody has missed it yet."""
        with self._lock:
            running = {place: worker.pid for place, worker in self._running.items() if worker.is_running}
            return Census(self._ever_started, running)

    def find(self, looking: Looking) -> Found:
        """Return what is found, after waiting for a turn. Raises whatever ``looking`` raises."""
        with looking.job.turn():
            if self._here.acquire(blocking=False):
                try:
                    return looking.here(looking.job.within_turn())
                finally:
                    self._here.release()
            worker = self._take()
            found = None if worker is None else self._find_there(worker, looking)
            return looking.here(looking.job.within_turn()) if found is None else found

    def close(self) -> None:
        """End the workers. No picture may be looked for any more."""
        with self._lock:
            self._closed = True
            starting = list(self._starting)
        for thread in starting:
            thread.join(_MAX_CLOSE_SECONDS)
        while (worker := self._taken()) is not None:
            worker.end()

    def _find_there(self, worker: WorkerProcess, looking: Looking) -> Found | None:
        """Return what a worker finds; None if it is lost, or cannot tell."""
        try:
            found = worker.find(looking)
        except LostError as error:
            self._drop(worker, error)
            return None
        except FailedError as error:
            logger.warning(
                f"a search process has found nothing; searched again here: {error}", extra={"operation": "search"}
            )
            found = None
        except BaseException:
            self._return(worker)
            raise
        self._return(worker)
        return found

    def _taken(self) -> WorkerProcess | None:
        """Take an idle worker; None if there is none."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _take(self) -> WorkerProcess | None:
        """Take an idle worker. If there is none, return None, and start one if there may be more."""
        if (worker := self._taken()) is not None:
            return worker
        with self._lock:
            if not self._closed and self._started < self._most and time.monotonic() >= self._start_at:
                self._started += 1
                thread = threading.Thread(target=self._add, name="starting a worker", daemon=True)
                self._starting.add(thread)
                thread.start()
        return None

    def _return(self, worker: WorkerProcess) -> None:
        """Let a worker be taken, or end it if nobody is left to take it."""
        with self._lock:
            closed = self._closed
            if not closed:
                self._idle.append(worker)
        if closed:
            worker.end()

    def _drop(self, worker: WorkerProcess, error: LostError) -> None:
        worker.kill()
        logger.warning(f"a search process has ended; searched again here: {error}", extra={"operation": "search"})
        with self._lock:
            self._started -= 1
            self._running = {place: one for place, one in self._running.items() if one is not worker}

    def _add(self) -> None:
        """Start a worker, and let it be taken."""
        try:
            worker = self._start()
        except (LostError, OSError) as error:
            logger.warning(f"a search process could not be started: {error}", extra={"operation": "search"})
            with self._lock:
                self._started -= 1
                self._start_at = time.monotonic() + _MIN_RETRY_SECONDS
        else:
            logger.info("a search process has started", extra={"operation": "search"})
            with self._lock:
                self._ever_started += 1
                self._running[next(place for place in count(1) if place not in self._running)] = worker
            self._return(worker)
        with self._lock:
            self._starting.discard(threading.current_thread())
