"""Running jobs: whoever takes a job from the queue holds a lease on it, and saves what is done step by step.

A job is done by one runner at a time. A runner that stops for longer than its lease has lost the job to the next one: what
it writes then is refused, as the job's revision has changed. What it did meanwhile is done once more, and comes to the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from lookalike.domain.job import Job, JobKind, JobState
from lookalike.errors import Abandoned, Busy, LibraryNotFound, LookalikeError, RevisionConflict, Unavailable
from lookalike.observability import error_fields, logger
from lookalike.ports import Ports
from lookalike.service import duplicates
from lookalike.service.jobs import forget_entry, queued_jobs, save_job

#: Milliseconds that a runner holds a job without saving it. Steps take two seconds or so; one may wait for stores.
LEASE_MS = 120_000

#: Milliseconds that a job works while others wait. Each turn begins by reading the pairs that are stored, seconds at most.
TURN_MS = 30_000

#: Milliseconds after which an entry of the queue without a job is of one that was never started.
_ENTRY_AGE_MS = 3_600_000

#: Times in succession that a store may not answer before a job is given up; between them, the queue is read anew.
MAX_FAILURES = 20

Steps = Callable[[Ports, Job], Iterator[Job]]
"""The work of a job: yields it after every step, with what is done and where to go on; the last one is done."""

#: The work by kind of job.
WORK: Mapping[JobKind, Steps] = {JobKind.DUPLICATES: duplicates.sweep}


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run has done: jobs taken, and how many of them have finished. ``idle``: nothing is left to do."""

    taken: int
    finished: int
    idle: bool


def run_jobs(ports: Ports, time_left: Callable[[], bool]) -> Ran:
    """Do the jobs that wait, in turn, while ``time_left()``. Raises Unavailable if the queue cannot be read."""
    tally = _Tally()
    idle: bool | None = None
    while idle is None:
        idle = _round(ports, time_left, tally)
    return Ran(tally.taken, tally.finished, idle)


@dataclass(slots=True)
class _Tally:
    """What a run has done so far: jobs taken and finished, and turns by tenant."""

    taken: int = 0
    finished: int = 0
    turns: Counter[str] = field(default_factory=Counter)


def _round(ports: Ports, time_left: Callable[[], bool], tally: _Tally) -> bool | None:
    """Do the jobs of the queue; whether nothing is left to do, and None if others may have come: then the queue is read anew."""
    idle, began = True, ports.clock()
    for key, waiting in _in_turn(ports, tally):
        if waiting is None or waiting.state.finished:
            _forget(ports, key, waiting)
            continue
        if not time_left():
            return False
        if not waiting.state.runnable:
            continue
        job = _claim(ports, waiting)
        if job is None:
            idle = False
            continue
        ended = _run(ports, job, time_left)
        tally.taken += 1
        tally.turns[job.tenant] += 1
        tally.finished += ended is not None and ended.state.finished
        idle = idle and ended is not None and not ended.state.runnable
        if ports.clock() - began >= TURN_MS:
            return None
    return idle


def _in_turn(ports: Ports, tally: _Tally) -> list[tuple[str, Job | None]]:
    """Return the queue: those of tenants with the fewest turns first, and of a tenant's those that were taken least."""

    def place(entry: tuple[str, Job | None]) -> tuple[int, int, str]:
        key, job = entry
        return (0, 0, key) if job is None else (tally.turns[job.tenant], job.fence, key)

    return sorted(queued_jobs(ports), key=place)


def _forget(ports: Ports, key: str, job: Job | None) -> None:
    if job is not None or int(key.partition("/")[0]) < ports.clock() - _ENTRY_AGE_MS:
        forget_entry(ports, key)


def _claim(ports: Ports, job: Job) -> Job | None:
    """Take the job; None if another runner has it."""
    now = ports.clock()
    if job.leased_until > now:
        return None
    claimed = job.but(state=JobState.RUNNING, leased_until=now + LEASE_MS, fence=job.fence + 1)
    try:
        return save_job(ports, claimed)
    except RevisionConflict:
        return None


def _run(ports: Ports, job: Job, time_left: Callable[[], bool]) -> Job | None:
    """Do steps of the job until it is finished, or time is up, or its turn is over and others wait.

    Return the job as it was saved, None if it is another's now.
    """
    began = ports.clock()
    try:
        for step in WORK[job.kind](ports, job):
            now = ports.clock()
            stops = step.state.finished or not time_left()
            if not stops and now - began >= TURN_MS:
                stops, began = _others_wait(ports, job), now
            ahead = step.but(revision=job.revision, leased_until=0 if stops else now + LEASE_MS, failures=0)
            job = save_job(ports, ahead)
            if stops:
                break
    except RevisionConflict:  # paused, cancelled, or taken over
        return None
    except Exception as error:
        return _after_failure(ports, job, error)
    _log(job)
    return job


def _others_wait(ports: Ports, job: Job) -> bool:
    """Whether another job could run now."""
    now = ports.clock()
    waiting = (other for _, other in queued_jobs(ports) if other is not None and other.state.runnable)
    return any((other.tenant, other.id) != (job.tenant, job.id) and other.leased_until <= now for other in waiting)


def _after_failure(ports: Ports, job: Job, error: Exception) -> Job | None:
    """Save that the job has failed; one whose stores did not answer is tried again."""
    passing = isinstance(error, (Unavailable, Busy, Abandoned)) and job.failures < MAX_FAILURES
    if passing:
        failed = job.but(leased_until=0, failures=job.failures + 1)
        logger.warning("a job waits for a store", extra={**_fields(job), **error_fields(error)})
    else:
        failed = job.but(state=JobState.FAILED, detail=_detail(job, error), leased_until=0)
        _log_failure(job, error)
    try:
        return save_job(ports, failed)
    except (RevisionConflict, Unavailable):
        return None


def _log_failure(job: Job, error: Exception) -> None:
    if isinstance(error, LibraryNotFound):  # its owner has removed it
        logger.info("a job has ended with its library", extra=_fields(job))
    else:
        logger.error("a job has failed", exc_info=error, extra=_fields(job))


def _detail(job: Job, error: Exception) -> str:
    """Return why a job has failed, in words for its client: a failure of ours has none."""
    if isinstance(error, LibraryNotFound):
        return f"the library {job.library} was removed"
    return (
        error.problem.format(error) if isinstance(error, LookalikeError) else "the service has failed: its log says how"
    )


def _log(job: Job) -> None:
    if job.state.finished:
        logger.info("a job is done", extra={**_fields(job), **job.result})


def _fields(job: Job) -> dict[str, object]:
    return {"operation": "jobs", "job": job.id, "tenant": job.tenant, "library": job.library, "kind": job.kind.value}
