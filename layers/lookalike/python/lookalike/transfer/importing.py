"""An import: rows of a source into a target, in parallel, with a journal."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from lookalike.domain.library import Identity
from lookalike.transfer.journal import Entry, Journal, JournalError
from lookalike.transfer.outcomes import Outcome, Result, Totals
from lookalike.transfer.pace import Pace
from lookalike.transfer.rows import FIELDS, Row, Source
from lookalike.transfer.target import Target, TargetError, Work, missing

#: Rows in a row that fail by the target's fault before the import is broken off.
MAX_FAILURES = 10

#: Rows whose outcomes are recorded at once.
_RECORDED = 8

#: Seconds between looks at how far it is.
_TICK_SECONDS = 0.2


class Progress(Protocol):
    """Shows how far an import is. Called by one thread."""

    def show(self, totals: Totals) -> None:
        """Show the number of rows with each outcome, several times a second."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is imported, and how: ``workers`` threads, at that pace; ``dry`` changes nothing."""

    source: Source
    target: Target
    journal: Journal
    workers: int
    dry: bool = False
    pace: Pace = field(default_factory=Pace)

    @property
    def rows_at_once(self) -> int:
        """Rows that a thread takes at a time."""
        return self.pace.at_once(self.target.rows_per_call)


@dataclass(slots=True)
class _Run:
    """What the threads of an import share."""

    stopping: threading.Event = field(default_factory=threading.Event)
    reason: str = ""
    failures: int = 0
    error: BaseException | None = None


def prepare(plan: Plan) -> Totals:
    """Read all rows, and register them; return how many there are, and how many of them were done before.

    Raises SourceError.
    """
    own = plan.target.identity is Identity.OWN
    name = Row.own_id if own else Row.old_sign
    plan.journal.register((row, None if row.fault else name(row) or None) for row in plan.source.rows())
    return plan.journal.totals()


def run(plan: Plan, progress: Progress) -> str:
    """Do all rows that are not done yet. Returns why it was broken off; empty if it was not.

    Rows with the id or the sign of an earlier row come last, one by one: what becomes of them depends on that row.

    KeyboardInterrupt ends it as soon as the rows under way are done, and is raised again.
    """
    shared = _Run()
    _do(plan, progress, shared, _Works(plan), plan.workers)
    if not shared.reason and plan.journal.has_twins():
        _do(plan, progress, shared, _Works(plan, twins=True), 1)
    return shared.reason


def _do(plan: Plan, progress: Progress, shared: _Run, works: _Works, workers: int) -> None:
    """Do all works, in so many threads."""
    shared.stopping.clear()
    threads = [
        threading.Thread(target=_work, args=(plan, works, shared), name=f"import-{number}", daemon=True)
        for number in range(workers)
    ]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            threads[0].join(_TICK_SECONDS) if threads[0].is_alive() else shared.stopping.wait(_TICK_SECONDS / 4)
            progress.show(plan.journal.totals())
    finally:
        shared.stopping.set()
        for thread in threads:
            thread.join()
    if shared.error is not None:
        raise shared.error


def verify(plan: Plan) -> tuple[int, int]:
    """Ask the library for every picture that it was said to hold; return how many it holds, and how many it should.

    Rows whose pictures it does not hold have failed, and are done by the next :func:`run`. Raises TargetError, and
    NotShown if the key may not look.
    """
    ids = set(plan.journal.ids())
    lost = missing(plan.target, ids)
    plan.journal.lost(lost)
    return len(ids) - len(lost), len(ids)


class _Works:
    """The rows to do, handed out to threads a few at a time: those without an earlier twin, or those with one."""

    def __init__(self, plan: Plan, *, twins: bool = False) -> None:
        self._plan = plan
        self._twins = twins
        self._rows = plan.source.rows()
        if twins:
            self._rows = (row for row in self._rows if plan.journal.is_twin(row.number))
        self._lock = threading.Lock()

    @property
    def at_once(self) -> int:
        """Rows that a thread takes at a time: of twins, one, as the next may be its twin."""
        return 1 if self._twins else self._plan.rows_at_once

    def take(self) -> Sequence[tuple[Row, Entry]]:
        """Return the next rows; none at the end. Rows that were done before are passed over."""
        with self._lock:
            while some := [*islice(self._rows, self.at_once)]:
                stamped = [(row, row.stamp()) for row in some]
                if taken := self._plan.journal.begin(stamped, twins=self._twins):
                    return taken
            return []


def _work(plan: Plan, works: _Works, shared: _Run) -> None:
    try:
        while not shared.stopping.wait(plan.pace.wait(works.at_once)) and (taken := works.take()):
            outcomes = _outcomes(plan, taken)
            while some := [*islice(outcomes, _RECORDED)]:
                plan.journal.record(some)
                for _, result in some:
                    _count(result, shared)
    except (TargetError, JournalError) as error:
        shared.reason = shared.reason or str(error)
        shared.stopping.set()
    except BaseException as error:  # whatever it is: the main thread raises it
        shared.error = error
        shared.stopping.set()


def _outcomes(plan: Plan, taken: Sequence[tuple[Row, Entry]]) -> Iterator[tuple[Entry, Result]]:
    works = []
    for row, entry in taken:
        before = _before(plan, row, entry)
        if before is None:
            works.append(Work(row, entry))
        else:
            yield entry, _named(plan.source, before)
    for entry, result in plan.target.try_out(works) if plan.dry else plan.target.put(works):
        yield entry, _named(plan.source, _beside_twin(entry, result))


def _before(plan: Plan, row: Row, entry: Entry) -> Result | None:
    """Return what becomes of a row that the target is not asked about; None if it is asked."""
    if row.fault:
        return Result(Outcome.REFUSED, "", row.fault)
    named = "id" if plan.target.identity is Identity.OWN else "sign"
    if entry.waits:
        return Result(Outcome.FAILED, "", f"row {entry.twin} has its {named}, too, and is not done yet")
    if entry.twin is not None and plan.target.identity is Identity.OWN:
        return Result(Outcome.REFUSED, "", f"row {entry.twin} has its id, too")
    return None


def _beside_twin(entry: Entry, result: Result) -> Result:
    """Return what has become of a row; its twin's number instead of its picture if it is refused because of its sign."""
    if entry.twin is not None and result.outcome is Outcome.REFUSED and result.reason.startswith("old_cont_sign: "):
        return replace(result, reason=f"row {entry.twin} has its sign, too")
    return result


def _named(source: Source, result: Result) -> Result:
    """Return the result; its reason names the table's column, where it names a field."""
    path, colon, reason = result.reason.partition(": ")
    name, slash, index = path.partition("/")
    field_ = "sign" if name == "old_cont_sign" else name
    if not colon or field_ not in FIELDS:
        return result
    return replace(result, reason=f"{source.column(field_)}{slash}{index}: {reason}")


def _count(result: Result, shared: _Run) -> None:
    shared.failures = shared.failures + 1 if result.by_target else 0
    if shared.failures >= MAX_FAILURES:
        raise TargetError(f"{MAX_FAILURES} rows in a row have failed, the last one because of: {result.reason}")
