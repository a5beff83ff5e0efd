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
    """Gathers the work of concurrent callers and commits what waits in one go, one batch at a time.

    Whoever arrives while nothing is being committed leads: it takes all that waits, its own work included, and
    commits it on its own thread. Whoever arrives meanwhile waits, and one of them leads the next batch. A lone
    caller pays for no hand-over to another thread, and nothing has to be started or stopped.

    Parameters
    ----------
    commit : makes a batch durable, in order. Returns one outcome per work; an outcome that is an exception is
        raised to that work's caller alone.
    """

    def __init__(self, commit: Callable[[Sequence[W]], Sequence[object]]) -> None:
        self._commit = commit
        self._waiting: list[_Ticket[W]] = []
        self._committing = False
        self._changed = threading.Condition()

    def __call__(self, work: W) -> object:
        """Commit ``work``, with whatever else waits. Returns its outcome when it is durable, or raises it."""
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
        except BaseException as error:  # whatever it was, nobody may wait for ever
            outcomes = [error] * len(batch)
        finally:
            with self._changed:
                for ticket, outcome in zip(batch, outcomes, strict=True):
                    ticket.outcome, ticket.done = outcome, True
                self._committing = False
                self._changed.notify_all()
