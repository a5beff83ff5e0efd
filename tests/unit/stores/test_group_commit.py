"""Group commit: batches, outcomes, failures."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from lookalike.stores.local.group_commit import GroupCommit


class Gate:
    """Commits by noting each batch; holds the first batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.begun = threading.Event()
        self.go = threading.Event()

    def commit(self, batch: Sequence[object]) -> Sequence[object]:
        self.batches.append(list(batch))
        self.begun.set()
        self.go.wait(10)
        return [ValueError(work) if work == "bad" else f"{work} done" for work in batch]


def waiting(group: GroupCommit[object], count: int) -> None:
    """Wait until that many works wait for the next batch."""
    while len(group._waiting) < count:
        threading.Event().wait(0.001)


def test_lone_caller_commits_alone() -> None:
    gate = Gate()
    gate.go.set()
    group: GroupCommit[object] = GroupCommit(gate.commit)
    assert [group("a"), group("b")] == ["a done", "b done"]
    assert gate.batches == [["a"], ["b"]]


def test_all_that_wait_share_the_next_batch_and_each_has_its_own_outcome() -> None:
    gate = Gate()
    group: GroupCommit[object] = GroupCommit(gate.commit)
    outcomes: dict[str, object] = {}

    def call(work: str) -> None:
        try:
            outcomes[work] = group(work)
        except ValueError as error:
            outcomes[work] = repr(error)

    first = threading.Thread(target=call, args=("first",))
    first.start()
    gate.begun.wait(10)
    others = [threading.Thread(target=call, args=(work,)) for work in ("a", "bad", "c")]
    for number, thread in enumerate(others):
        thread.start()
        waiting(group, number + 1)
    gate.go.set()
    for thread in [first, *others]:
        thread.join()
    assert gate.batches == [["first"], ["a", "bad", "c"]]
    assert outcomes == {"first": "first done", "a": "a done", "bad": "ValueError('bad')", "c": "c done"}


def test_failing_commit_is_everybodys_failure_and_the_next_works() -> None:
    failures = [OSError("disk"), KeyboardInterrupt()]

    def commit(batch: Sequence[object]) -> Sequence[object]:
        if failures:
            raise failures.pop(0)
        return batch

    group: GroupCommit[object] = GroupCommit(commit)
    with pytest.raises(OSError, match="disk"):
        group("a")
    with pytest.raises(KeyboardInterrupt):
        group("b")
    assert group("c") == "c"


def test_nothing_is_lost_or_committed_twice_under_load() -> None:
    committed: list[int] = []

    def commit(batch: Sequence[int]) -> Sequence[object]:
        committed.extend(batch)
        return [-work for work in batch]

    group: GroupCommit[int] = GroupCommit(commit)
    wrong: list[int] = []

    def call(start: int) -> None:
        wrong.extend(work for work in range(start, start + 500) if group(work) != -work)

    threads = [threading.Thread(target=call, args=(500 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sorted(committed) == list(range(4000))
