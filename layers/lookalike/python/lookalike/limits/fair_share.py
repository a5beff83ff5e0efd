"""Fair shares of a limited resource: whoever holds least of it is served next."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

#: Seconds after which a thread that waits for its turn checks again whether anyone still waits for its work.
_POLL = 0.5


@dataclass(slots=True, eq=False)
class Ticket:
    """A request for ``units`` on behalf of ``key``: it waits, is granted or refused, and ends."""

    key: str
    units: int
    decided: Callable[[], None]
    granted: bool = False
    refused: bool = False
    ended: bool = False


class FairShare:
    """Units of one resource, shared by keys (tenants, say). Safe to call from threads, coroutines and finalizers.

    Of all keys with waiting tickets, the one that holds the fewest units is served next; keys that hold equally many
    take turns. Tickets of one key are served in order, and nobody overtakes a ticket that does not fit yet, so large
    ones do not starve.

    Parameters
    ----------
    units : how many there are.
    most : how many one key may hold, even if all others are idle: what is left is there at once for whoever comes.
        Default: all.
    waiting : how many tickets may wait. One more, and the last ticket of the key with most of them is refused.
        Default: any number.
    """

    def __init__(self, units: int, *, most: int | None = None, waiting: int | None = None) -> None:
        self._free = units
        self._most = units if most is None else most
        self._room = waiting
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[Ticket]] = {}  # those that were served last are at the end
        # Finalizers run anywhere, even within a method of this, so nobody ever waits for the lock: changes are queued,
        # and whoever holds the lock makes them all.
        self._changes: deque[tuple[Callable[[Ticket], None], Ticket]] = deque()
        self._lock = threading.Lock()

    def ask(self, key: str, units: int, decided: Callable[[], None]) -> Ticket:
        """Queue a ticket. ``decided`` is called, by any thread, when it is granted or refused. End it in any case.

        More than a key may hold is cut to that.
        """
        ticket = Ticket(key, min(units, self._most), decided)
        self._change(self._enqueue, ticket)
        return ticket

    def end(self, ticket: Ticket) -> None:
        """Give back what was granted, or stop waiting. A second call does nothing."""
        self._change(self._remove, ticket)

    def turn(self, key: str, units: int = 1, check: Callable[[], None] = lambda: None) -> Turn:
        """A context manager that holds ``units``. ``check`` is called before and while it waits; what it raises ends
        the wait."""
        return Turn(self, key, units, check)

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
                self._waiting[ticket.key] = self._waiting.pop(ticket.key)  # behind all others
        elif not ticket.refused:
            self._dequeue(ticket)

    def _dequeue(self, ticket: Ticket) -> None:
        tickets = self._waiting[ticket.key]
        tickets.remove(ticket)
        if not tickets:
            del self._waiting[ticket.key]

    def _grant(self) -> None:
        """Grant all that can be granted."""
        while (key := self._next()) is not None and self._waiting[key][0].units <= self._free:
            ticket = self._waiting[key][0]
            self._dequeue(ticket)
            self._free -= ticket.units
            self._held[key] += ticket.units
            ticket.granted = True
            ticket.decided()

    def _refuse(self) -> None:
        """Refuse the last ticket of whoever has most of them waiting, while more wait than may."""
        while self._room is not None and sum(map(len, self._waiting.values())) > self._room:
            last = max(self._waiting.values(), key=len)[-1]
            last.refused = True
            self._dequeue(last)
            last.decided()

    def _next(self) -> str | None:
        """The key that is served next, whether or not there are enough units by now."""
        return min(filter(self._fits, self._waiting), key=self._held.__getitem__, default=None)

    def _fits(self, key: str) -> bool:
        """Whether the key may hold its next ticket as well."""
        return self._held[key] + self._waiting[key][0].units <= self._most


class Turn:
    """Units that are held until the block ends, or between :meth:`take` and :meth:`end`; one at a time."""

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
        """Wait for the units. Raises what ``check`` raises."""
        self._check()
        granted = threading.Lock()  # unlike an Event, a finalizer may signal it at any moment
        granted.acquire()
        self._ticket = self._share.ask(self._key, self._units, granted.release)
        try:
            while not granted.acquire(timeout=_POLL):
                self._check()
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Give them back, if they are held. Finalizers may call this."""
        if self._ticket is not None:
            self._share.end(self._ticket)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold nothing within the block, for the time of a wait."""
        self.end()
        try:
            yield
        finally:
            self.take()
