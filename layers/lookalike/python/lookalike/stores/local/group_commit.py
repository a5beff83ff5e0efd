"""Group commit: one expensive, durable step serves every caller that waits for one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

W = TypeVar("W")


@dataclass(slots=True, eq=False)
class _Ticket(Generic[W]):
    work: W
    done: bool = False
    outcome: object = None


class GroupCommit(Generic[W]):
    """Collects the work of concurrent callers and commits it in batches, one at a time.

    A caller that arrives while no batch is being committed becomes the leader: it takes all waiting work, its own
    included, and commits it on its own thread. Callers that arrive meanwhile wait, and one of them leads the next batch.
    A lone caller pays for no hand-over between threads, and there is no thread to start or stop.

    Parameters
    ----------
    commit : makes a batch durable, in order. Returns one outcome per work; an exception among the outcomes is raised to
        that work's caller alone.
    """

    def __init__(self, commit: Callable[[Sequence[W]], Sequence[object]]) -> None:
        self._commit = commit
        self._waiting: list[_Ticket[W]] = []
        self._committing = False
        self._changed = threading.Condition()

    def __call__(self, work: W) -> object:
        """Commit ``work`` together with other waiting work. Return its outcome once durable, or raise it."""
        ticket = _Ticket(work)
        with self._changed:
            self._waiting.append(ticket)
            while self._committing and not ticket.done:
                self._changed.wait()
            leads = not ticket.done
            if leads:
                self._committing = True
                batch, self._waiting = self._waiting, []
        if leads:
            self._lead(batch)
        if isinstance(ticket.outcome, BaseException):
            raise ticket.outcome
        return ticket.outcome

    def _lead(self, batch: Sequence[_Ticket[W]]) -> None:
        outcomes: Sequence[object] = ()
        try:
            outcomes = self._commit([ticket.work for ticket in batch])
        except BaseException as error:  # of any kind: the others must not wait for ever
            outcomes = [error] * len(batch)
        finally:
            with self._changed:
                for ticket, outcome in zip(batch, outcomes, strict=True):
                    ticket.outcome, ticket.done = outcome, True
                self._committing = False
                self._changed.notify_all()
