"""Jobs: started once, paused, resumed, cancelled, and done by one runner at a time, whatever happens to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from lookalike.domain.job import Job, JobKind, JobState
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.errors import InvalidArgument, LibraryNotFound, LookalikeError, RevisionConflict, Unavailable
from lookalike.ports import Ports
from lookalike.service import job_runner
from lookalike.service.job_errors import JobFinished, JobInProgress, JobIsOther, JobNotFound
from lookalike.service.job_runner import LEASE_MS, MAX_FAILURES, TURN_MS, run_jobs
from lookalike.service.jobs import (
    MAX_KEPT,
    QUEUE,
    cancel_job,
    find_job,
    list_jobs,
    pause_job,
    resume_job,
    save_job,
    start_job,
)
from lookalike.service.libraries import create_library
from tests.conftest import ALICE, BOB
from tests.support.fakes import SetClock

#: Steps of the work in these tests.
STEPS = 5

#: What each step of the work does before it is done.
happening: list[object] = []


def steps(ports: Ports, job: Job) -> Iterator[Job]:
    """Counts to STEPS, and does what was put into ``happening``."""
    while job.done < STEPS:
        if happening:
            thing = happening.pop(0)
            if isinstance(thing, Exception):
                raise thing
            if callable(thing):
                thing()
        job = job.but(done=job.done + 1, total=STEPS, cursor=str(job.done + 1))
        yield job
    yield job.but(state=JobState.DONE, result={"counted": job.done})


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    happening.clear()
    monkeypatch.setattr(job_runner, "WORK", {JobKind.DUPLICATES: steps})


@pytest.fixture
def library(memory: Ports) -> Library:
    return a_library(memory)


def a_library(ports: Ports, name: str = "shop", tenant: str = ALICE.tenant) -> Library:
    return create_library(ports, LibraryRef(tenant, name, Kind.SAME, Identity.OWN))


def start(ports: Ports, library: Library, id_: str = "first") -> Job:
    return start_job(ports, library, JobKind.DUPLICATES, id_)[0]


def run(ports: Ports, steps: int = 1000) -> bool:
    """Run jobs for so many steps; whether nothing is left to do."""
    left = iter(range(steps))
    return run_jobs(ports, lambda: next(left, None) is not None).idle


def test_a_job_is_done_and_says_so(memory: Ports, library: Library, clock: SetClock) -> None:
    job = start(memory, library)
    assert (job.state, job.done) == (JobState.QUEUED, 0)
    clock.now += 5
    assert run(memory)
    done = find_job(memory, ALICE.tenant, "first")
    assert (done.state, done.done, done.total, done.result) == (JobState.DONE, STEPS, STEPS, {"counted": STEPS})
    assert done.updated == done.created + 5
    assert run(memory)
    assert not memory.records.records(QUEUE, "", 10), "what has finished waits no longer"


def test_starting_may_be_repeated(memory: Ports, library: Library) -> None:
    first, created = start_job(memory, library, JobKind.DUPLICATES, "first")
    again, not_created = start_job(memory, library, JobKind.DUPLICATES, "first")
    assert (created, not_created) == (True, False)
    assert again == first
    run(memory)
    assert start_job(memory, library, JobKind.DUPLICATES, "first")[0].state is JobState.DONE


def test_one_job_at_a_time_works_on_a_library(memory: Ports, library: Library) -> None:
    start(memory, library)
    with pytest.raises(JobInProgress) as refused:
        start(memory, library, "second")
    assert refused.value.name == "first"
    with pytest.raises(JobIsOther):
        start(memory, a_library(memory, "other"))
    run(memory)
    assert start(memory, library, "second").state is JobState.QUEUED


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "é", "a" * 129, "\0"])
def test_names_are_plain(memory: Ports, library: Library, name: str) -> None:
    with pytest.raises(InvalidArgument):
        start(memory, library, name)


def test_a_paused_job_goes_on_where_it_was(memory: Ports, library: Library) -> None:
    start(memory, library)
    happening.extend([None, None, lambda: pause_job(memory, ALICE.tenant, "first")])
    run(memory)
    paused = find_job(memory, ALICE.tenant, "first")
    assert (paused.state, paused.done) == (JobState.PAUSED, 2)
    assert run(memory), "there is nothing to do while it is paused"
    assert find_job(memory, ALICE.tenant, "first") == paused
    assert pause_job(memory, ALICE.tenant, "first") == paused
    assert resume_job(memory, ALICE.tenant, "first").state is JobState.QUEUED
    assert run(memory)
    assert find_job(memory, ALICE.tenant, "first").done == STEPS


def test_a_cancelled_job_stays_so(memory: Ports, library: Library) -> None:
    start(memory, library)
    happening.extend([None, lambda: cancel_job(memory, ALICE.tenant, "first")])
    run(memory)
    assert find_job(memory, ALICE.tenant, "first").state is JobState.CANCELLED
    for change in (pause_job, resume_job):
        with pytest.raises(JobFinished):
            change(memory, ALICE.tenant, "first")
    assert cancel_job(memory, ALICE.tenant, "first").state is JobState.CANCELLED


def test_a_run_that_is_out_of_time_leaves_the_rest_to_the_next(memory: Ports, library: Library) -> None:
    start(memory, library)
    runs = 1
    while not run(memory, 2):
        runs += 1
        assert runs < 10
    assert runs > 1
    job = find_job(memory, ALICE.tenant, "first")
    assert (job.state, job.done) == (JobState.DONE, STEPS)
    assert job.fence == runs


def test_a_killed_runner_loses_its_job_when_its_lease_is_over(memory: Ports, library: Library, clock: SetClock) -> None:
    start(memory, library)
    happening.extend([None, None, KeyboardInterrupt])

    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    happening[2] = die
    with pytest.raises(Killed):
        run(memory)
    held = find_job(memory, ALICE.tenant, "first")
    assert (held.state, held.done) == (JobState.RUNNING, 2)
    assert not run(memory), "its lease holds"
    assert find_job(memory, ALICE.tenant, "first") == held
    clock.now += LEASE_MS + 1
    assert run(memory)
    done = find_job(memory, ALICE.tenant, "first")
    assert (done.state, done.done, done.fence) == (JobState.DONE, STEPS, held.fence + 1)


def test_a_runner_that_was_overtaken_writes_nothing_more(memory: Ports, library: Library, clock: SetClock) -> None:
    start(memory, library)
    states: list[Job] = []

    def overtaken() -> None:
        clock.now += LEASE_MS + 1
        run(memory)
        states.append(find_job(memory, ALICE.tenant, "first"))

    happening.extend([None, overtaken])
    run(memory)
    assert states[0].state is JobState.DONE
    assert find_job(memory, ALICE.tenant, "first") == states[0]
    with pytest.raises(RevisionConflict):
        save_job(memory, replace(states[0], revision=states[0].revision - 1))


def test_a_store_that_does_not_answer_is_asked_again_and_not_for_ever(memory: Ports, library: Library) -> None:
    start(memory, library)
    happening.extend([None, Unavailable("no answer")])
    assert not run(memory)
    assert find_job(memory, ALICE.tenant, "first").failures == 1
    assert run(memory)
    assert find_job(memory, ALICE.tenant, "first").state is JobState.DONE
    start(memory, library, "second")
    happening.extend([Unavailable("no answer")] * (MAX_FAILURES + 1))
    for _ in range(MAX_FAILURES):
        assert not run(memory)
    run(memory)
    failed = find_job(memory, ALICE.tenant, "second")
    assert failed.state is JobState.FAILED
    assert "no answer" in failed.detail


def test_a_failure_of_ours_fails_the_job_alone(memory: Ports, library: Library) -> None:
    other = a_library(memory, "other")
    start(memory, library)
    start(memory, other, "second")
    happening.append(ValueError("secret"))
    run(memory)
    failed, done = (find_job(memory, ALICE.tenant, name) for name in ("first", "second"))
    assert (failed.state, done.state) == (JobState.FAILED, JobState.DONE)
    assert "secret" not in failed.detail


def test_a_long_job_does_not_keep_the_others_waiting(memory: Ports, library: Library) -> None:
    start(memory, library)
    run(memory, 2)
    start(memory, a_library(memory, "other", BOB.tenant), "second")
    run(memory, 1000)
    run(memory, 0)
    assert find_job(memory, BOB.tenant, "second").updated <= find_job(memory, ALICE.tenant, "first").updated


def test_jobs_are_those_of_their_tenant(memory: Ports, library: Library) -> None:
    start(memory, library)
    assert list_jobs(memory, BOB.tenant) == []
    for change in (find_job, pause_job, resume_job, cancel_job):
        with pytest.raises(JobNotFound):
            change(memory, BOB.tenant, "first")
    theirs = start(memory, a_library(memory, tenant=BOB.tenant))
    assert theirs.tenant == BOB.tenant
    assert find_job(memory, ALICE.tenant, "first").tenant == ALICE.tenant


def test_the_oldest_finished_jobs_are_forgotten(memory: Ports, library: Library, clock: SetClock) -> None:
    for number in range(MAX_KEPT + 5):
        clock.now += 1
        start(memory, library, f"job-{number}")
        run(memory)
    kept = [job.id for job in list_jobs(memory, ALICE.tenant)]
    assert kept == [f"job-{number}" for number in reversed(range(5, MAX_KEPT + 5))]


def test_errors_name_the_job() -> None:
    error: LookalikeError = JobFinished("sweep", "done")
    assert error.explanation == "job: sweep is done"


def test_a_long_job_gives_way_to_one_that_comes_while_it_works(
    memory: Ports, library: Library, clock: SetClock
) -> None:
    """Another tenant's, which waits for a turn at most, whether its library is small or not."""
    start(memory, library)
    ended: list[int] = []

    def later() -> None:
        clock.now += TURN_MS // 2

    def another() -> None:
        later()
        start(memory, a_library(memory, "other", BOB.tenant), "second")

    happening.extend([another, later, *[lambda: ended.append(clock.now)] * STEPS])
    assert run(memory)
    ours, theirs = find_job(memory, ALICE.tenant, "first"), find_job(memory, BOB.tenant, "second")
    assert (ours.state, theirs.state) == (JobState.DONE, JobState.DONE)
    assert (ours.fence, theirs.fence) == (2, 1), "ours was taken up again, once theirs was done"


def test_a_long_job_that_nobody_waits_for_is_not_interrupted(memory: Ports, library: Library, clock: SetClock) -> None:
    start(memory, library)

    def later() -> None:
        clock.now += 2 * TURN_MS

    happening.extend([later] * STEPS)
    assert run(memory)
    assert find_job(memory, ALICE.tenant, "first").fence == 1


def test_turns_go_from_tenant_to_tenant(memory: Ports, library: Library, clock: SetClock) -> None:
    """A tenant of many jobs does not keep one of a single job waiting for all of them."""
    libraries = [library, *(a_library(memory, f"l{number}") for number in range(3))]
    for number, one in enumerate(libraries):
        clock.now += 1
        start(memory, one, f"job-{number}")
    clock.now += 1
    start(memory, a_library(memory, "other", BOB.tenant), "last")
    order: list[str] = []

    def running() -> None:
        jobs = [*list_jobs(memory, ALICE.tenant), *list_jobs(memory, BOB.tenant)]
        order.extend(job.id for job in jobs if job.leased_until > clock.now)
        clock.now += TURN_MS

    happening.extend([running] * 5 * STEPS)
    run(memory)
    assert order[:4] == ["job-0", "last", "job-1", "last"]


def test_a_job_whose_library_is_removed_has_ended_without_a_fault(
    memory: Ports, library: Library, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    start(memory, library)
    happening.append(LibraryNotFound("shop"))
    assert run(memory)
    job = find_job(memory, ALICE.tenant, "first")
    assert (job.state, job.detail) == (JobState.FAILED, "the library shop was removed")
    lines = log_lines()
    assert [(line["level"], line["message"]) for line in lines] == [("INFO", "a job has ended with its library")]
