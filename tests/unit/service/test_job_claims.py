"""Jobs that are asked for at once: one job a library, whatever the order in which stores see the callers' steps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.domain.job import Job, JobKind
from lookalike.domain.library import Identity, Kind, Library, LibraryRef
from lookalike.domain.record import Record
from lookalike.ports import Ports, Records
from lookalike.service.job_errors import JobInProgress
from lookalike.service.jobs import (
    CLAIM_MS,
    QUEUE,
    cancel_job,
    find_job,
    list_jobs,
    start_job,
    start_or_join,
    working_partition,
)
from lookalike.service.libraries import create_library
from tests.conftest import ALICE
from tests.support.examples import examples
from tests.support.fakes import MemoryRecords, SetClock, memory_ports, with_stores

CALLERS = 3


class Turns:
    """Lets callers in threads do a step each, in the order of ``order``; whoever is named and has ended is passed over."""

    def __init__(self, order: Sequence[int]) -> None:
        self._order = iter(order)
        self._changed = threading.Condition()
        self._waiting: set[int] = set()
        self._alive = set(range(CALLERS))
        self._next: int | None = None

    def step(self, caller: int) -> None:
        """Wait for the caller's turn."""
        with self._changed:
            self._waiting.add(caller)
            self._choose()
            assert self._changed.wait_for(lambda: self._next == caller, timeout=20)
            self._next = None
            self._waiting.discard(caller)

    def ended(self, caller: int) -> None:
        """The caller takes no more steps."""
        with self._changed:
            self._alive.discard(caller)
            self._choose()

    def _choose(self) -> None:
        """Choose the next one, once all that are alive wait for it."""
        if self._next is None and self._alive and self._waiting == self._alive:
            ready = sorted(self._waiting)
            self._next = ready[next(self._order, 0) % len(ready)]
            self._changed.notify_all()


class Stepwise(Records):
    """Records, whose every access is a step of its caller's."""

    def __init__(self, records: Records, step: Callable[[], None]) -> None:
        self._records, self._step = records, step

    def record(self, partition: str, key: str) -> Record | None:
        self._step()
        return self._records.record(partition, key)

    def records(self, partition: str, after: str, limit: int) -> Sequence[Record]:
        return self._records.records(partition, after, limit)

    def put_record(self, record: Record, previous: int | None) -> None:
        self._step()
        self._records.put_record(record, previous)

    def save_records(self, records: Sequence[Record]) -> None:
        self._step()
        self._records.save_records(records)

    def remove_records(self, partition: str, keys: Sequence[str]) -> None:
        self._records.remove_records(partition, keys)


def asked_at_once(
    ports: Ports, order: Sequence[int], ask: Callable[[Ports, int], tuple[Job, bool]]
) -> dict[int, tuple[Job, bool] | Exception]:
    """What each caller is answered, whose steps are done in that order."""
    turns, answers = Turns(order), dict[int, tuple[Job, bool] | Exception]()

    def call(caller: int) -> None:
        own = with_stores(ports, records=Stepwise(ports.records, lambda: turns.step(caller)))
        try:
            answers[caller] = ask(own, caller)
        except Exception as error:
            answers[caller] = error
        finally:
            turns.ended(caller)

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def shop(ports: Ports) -> Library:
    return create_library(ports, LibraryRef(ALICE.tenant, "shop", Kind.SAME, Identity.OWN))


orders = st.lists(st.integers(0, CALLERS - 1), max_size=30)


@settings(max_examples=examples(150), deadline=None)
@given(orders, st.booleans())
def test_all_who_ask_at_once_are_answered_one_job(order: Sequence[int], swept_before: bool) -> None:
    ports = memory_ports(ALICE)
    library = shop(ports)
    if swept_before:
        start_job(ports, library, JobKind.DUPLICATES, "before")
        cancel_job(ports, ALICE.tenant, "before")
    answers = asked_at_once(
        ports, order, lambda own, caller: start_or_join(own, library, JobKind.DUPLICATES, f"job-{caller}")
    )
    jobs = [job for job in list_jobs(ports, ALICE.tenant) if job.id != "before"]
    assert len(jobs) == 1, answers
    said = [answer for answer in answers.values() if not isinstance(answer, Exception)]
    assert [job for job, _ in said] == jobs * CALLERS, answers
    assert sum(created for _, created in said) == 1
    assert {record.body for record in ports.records.records(QUEUE, "", 10)} >= {
        f'{{"tenant": "{ALICE.tenant}", "id": "{jobs[0].id}"}}'
    }


@settings(max_examples=examples(100), deadline=None)
@given(orders)
def test_a_job_of_another_name_is_refused_with_the_name_of_one_that_is_there(order: Sequence[int]) -> None:
    ports = memory_ports(ALICE)
    library = shop(ports)
    answers = asked_at_once(
        ports, order, lambda own, caller: start_job(own, library, JobKind.DUPLICATES, f"job-{caller}")
    )
    (job,) = list_jobs(ports, ALICE.tenant)
    refused = [answer for answer in answers.values() if isinstance(answer, Exception)]
    assert len(refused) == CALLERS - 1
    assert {str(one) for one in refused} == {job.id}
    assert all(isinstance(one, JobInProgress) for one in refused)


@settings(max_examples=examples(100), deadline=None)
@given(orders)
def test_a_name_that_is_used_at_once_is_one_job(order: Sequence[int]) -> None:
    ports = memory_ports(ALICE)
    library = shop(ports)
    answers = asked_at_once(ports, order, lambda own, _caller: start_job(own, library, JobKind.DUPLICATES, "mine"))
    assert [job.id for job in list_jobs(ports, ALICE.tenant)] == ["mine"]
    assert sum(answer[1] for answer in answers.values() if not isinstance(answer, Exception)) == 1, answers


def test_a_job_whose_caller_stopped_after_its_claim_is_started_all_the_same(clock: SetClock) -> None:
    ports = memory_ports(ALICE, clock=clock)
    library = shop(ports)

    class Killed(BaseException):
        pass

    class Dying(MemoryRecords):
        def save_records(self, records: Sequence[Record]) -> None:
            raise Killed

    dying = Dying()
    assert isinstance(ports.records, MemoryRecords)
    dying.rows = ports.records.rows
    with pytest.raises(Killed):
        start_job(with_stores(ports, records=dying), library, JobKind.DUPLICATES, "first")
    assert list_jobs(ports, ALICE.tenant) == []
    job, created = start_or_join(ports, library, JobKind.DUPLICATES, "second")
    assert (job.id, created) == ("first", False)
    assert find_job(ports, ALICE.tenant, "first") == job


@pytest.mark.parametrize("body", ["gone", '{"id": "gone", "created": 0}'])
def test_the_claim_of_a_job_that_is_kept_no_more_holds_nobody_up(clock: SetClock, body: str) -> None:
    """Also one by a version that did not say when it was made."""
    clock.now += CLAIM_MS
    ports = memory_ports(ALICE, clock=clock)
    library = shop(ports)
    ports.records.put_record(Record(working_partition(library.uid), JobKind.DUPLICATES, body, 1), None)
    assert start_job(ports, library, JobKind.DUPLICATES, "new")[1]
