"""Fair sharing of a limited resource: the key that holds the fewest units is served next."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

#: Seconds between the checks of a waiting thread whether its result is still wanted.
_POLL_SECONDS = 0.5

#: Seconds between the looks of what gives way: a search takes ten times as long.
_IDLE_POLL_SECONDS = 0.005


@dataclass(slots=True, eq=False)
class Ticket:
    """A request for ``units`` on behalf of ``key``: it waits, is granted or refused, and ends.

    ``decided`` is called when it is granted or refused.
    """

    key: str
    units: int
    decided: Callable[[], None]
    granted: bool = False
    refused: bool = False
    ended: bool = False


class FairShare:
    """Units of one resource, shared among keys such as tenants. Safe for threads, coroutines and finalizers.

    Of all keys with waiting tickets, the one that holds the fewest units is served next; keys that hold equally many
    take turns. Tickets of one key are served in order, and none is served before one that does not fit yet, so that
    large ones do not starve.

    Parameters
    ----------
    units : number of units.
    max_per_key : units that one key may hold even if all others are idle; the rest is free at once for other keys. Default: all.
    max_waiting : tickets that may wait. With one more, the last ticket of the key with the most waiting tickets is refused.
        Default: unlimited.
    """

    def __init__(self, units: int, *, max_per_key: int | None = None, max_waiting: int | None = None) -> None:
        self._free = units
        self._max_per_key = units if max_per_key is None else max_per_key
        self._max_waiting = max_waiting
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[Ticket]] = {}  # least recently served key first
        # A finalizer may run anywhere, even within a method of this class, so no thread may wait for the lock: changes are
        # queued, and the thread that holds the lock applies them all.
        self._changes: deque[tuple[Callable[[Ticket], None], Ticket]] = deque()
        self._lock = threading.Lock()

    def ask(self, key: str, units: int, decided: Callable[[], None]) -> Ticket:
        """Queue a ticket, which the caller must end. Any thread may call ``decided``, once it is granted or refused.

        ``units`` are reduced to what a key may hold.
        """
        ticket = Ticket(key, min(units, self._max_per_key), decided)
        self._change(self._enqueue, ticket)
        return ticket

    def end(self, ticket: Ticket) -> None:
        """Return the units granted, or stop waiting. A second call does nothing."""
        self._change(self._remove, ticket)

    def turn(self, key: str, units: int = 1, check: Callable[[], None] = lambda: None) -> Turn:
        """Return a context manager that holds ``units``.

        ``check`` is called before and while it waits; an exception from it ends the wait.
        """
        return Turn(self, key, units, check)

    @property
    def waiting(self) -> int:
        """The number of tickets that wait, about."""
        return sum(map(len, list(self._waiting.values())))

    def wait_until_idle(self, seconds: float) -> None:
        """Wait until nobody holds or waits for a unit, for ``seconds`` at most: what can wait gives way to all others."""
        until = time.monotonic() + seconds
        while (self._held or self._waiting) and time.monotonic() < until:
            time.sleep(_IDLE_POLL_SECONDS)

    def _change(self, change: Callable[[Ticket], None], ticket: Ticket) -> None:
        self._changes.append((change, ticket))
        while self._changes and self._lock.acquire(blocking=False):
            try:
                while self._changes:
                    apply, changed = self._changes.popleft()
                    apply(changed)
                    self._grant()
                    self._refuse()
            finally:
                self._lock.release()

    def _enqueue(self, ticket: Ticket) -> None:
        self._waiting.setdefault(ticket.key, deque()).append(ticket)

    def _remove(self, ticket: Ticket) -> None:
        if ticket.ended:
            return
        ticket.ended = True
        if ticket.granted:
            self._free += ticket.units
            self._held[ticket.key] -= ticket.units
            if not self._held[ticket.key]:
                del self._held[ticket.key]
            if ticket.key in self._waiting:
                self._waiting[ticket.key] = self._waiting.pop(ticket.key)  # now the most recently served
        elif not ticket.refused:
            self._dequeue(ticket)

    def _dequeue(self, ticket: Ticket) -> None:
        tickets = self._waiting[ticket.key]
        tickets.remove(ticket)
        if not tickets:
            del self._waiting[ticket.key]

    def _grant(self) -> None:
        """Grant every ticket that can be granted."""
        while (key := self._next()) is not None and self._waiting[key][0].units <= self._free:
            ticket = self._waiting[key][0]
            self._dequeue(ticket)
            self._free -= ticket.units
            self._held[key] += ticket.units
            ticket.granted = True
            ticket.decided()

    def _refuse(self) -> None:
        """While too many tickets wait, refuse the last one of the key with the most waiting tickets."""
        while self._max_waiting is not None and sum(map(len, self._waiting.values())) > self._max_waiting:
            last = max(self._waiting.values(), key=len)[-1]
            last.refused = True
            self._dequeue(last)
            last.decided()

    def _next(self) -> str | None:
        """Return the key to be served next, whether or not enough units are free; None if no key may hold more."""
        return min(filter(self._fits, self._waiting), key=self._held.__getitem__, default=None)

    def _fits(self, key: str) -> bool:
        """Whether the key may hold the units of its next ticket, too."""
        return self._held[key] + self._waiting[key][0].units <= self._max_per_key


class Turn:
    """A context manager that holds units within its block, or between :meth:`take` and :meth:`end`.

    Not reentrant.
    """

    def __init__(self, share: FairShare, key: str, units: int, check: Callable[[], None]) -> None:
        self._share = share
        self._key = key
        self._units = units
        self._check = check
        self._ticket: Ticket | None = None

    def __enter__(self) -> Turn:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def take(self) -> None:
        """Wait for the units. Raises whatever ``check`` raises."""
        self._check()
        granted = threading.Lock()  # unlike an Event, a finalizer may signal it at any moment
        granted.acquire()
        self._ticket = self._share.ask(self._key, self._units, granted.release)
        try:
            while not granted.acquire(timeout=_POLL_SECONDS):
                self._check()
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Return the units if they are held. Finalizers may call this."""
        if self._ticket is not None:
            self._share.end(self._ticket)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Return the units within the block, which waits for something else, and take them again after it."""
        self.end()
        try:
            yield
        finally:
            self.take()
