"""Permits for calls within a second, leased a few at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike.ports import Counters

#: Permits of one second are leased so many at a time, so that few calls wait for the count. What a process has leased
#: and not used is lost to the others: fewer calls than allowed may be admitted, never more.
LEASE = 10


_SECOND = 1_000

#: Counts of a second are of no use soon after it; so much later, in milliseconds, they may be forgotten.
_KEPT = 60_000


@dataclass(frozen=True, slots=True)
class _Lease:
    """Permits of one second; ``last`` if the count had no more to give."""

    second: int
    left: int
    last: bool


class Leases:
    """Permits that this process has leased. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: dict[str, _Lease] = {}

    def take(self, counters: Counters, who: str, limit: int, now: int) -> bool:
        """One permit of the second of Unix milliseconds ``now``, if any is left."""
        second = now // _SECOND
        permit = self._permit(who, second)
        if permit is not None:
            return permit
        wanted = min(LEASE, limit)
        given = counters.take(f"second/{who}/{second}", wanted, limit, (second + 1) * _SECOND + _KEPT)
        with self._lock:
            lease = self._leases.get(who)
            others = lease.left if lease is not None and lease.second == second else 0
            self._leases[who] = _Lease(second, others + max(given - 1, 0), last=given < wanted)
        return given > 0

    def used_up(self, who: str, now: int) -> bool:
        """Whether this process knows that the second of ``now`` has no permit left. No count is asked."""
        with self._lock:
            lease = self._leases.get(who)
            return lease is not None and lease.second == now // _SECOND and lease.last and not lease.left

    def give_back(self, who: str, now: int) -> None:
        """A permit taken at Unix milliseconds ``now`` was not used; once its second is over that is of no use."""
        with self._lock:
            lease = self._leases.get(who)
            if lease is not None and lease.second == now // _SECOND:
                self._leases[who] = _Lease(lease.second, lease.left + 1, lease.last)

    def _permit(self, who: str, second: int) -> bool | None:
        """Whether there is one; None if the count has to be asked."""
        with self._lock:
            lease = self._leases.get(who)
            if lease is None or lease.second != second:
                return None
            if lease.left:
                self._leases[who] = _Lease(second, lease.left - 1, lease.last)
                return True
            return False if lease.last else None
