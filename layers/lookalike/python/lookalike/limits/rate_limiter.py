"""A rate limiter per second, which leases permits from a shared count, several at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Protocol

#: Permits leased at a time, so that few calls wait for the shared count. Permits that a process leases and does not use
#: are lost to the others: fewer calls than allowed may be admitted, never more.
PERMITS_PER_LEASE = 10

_SECOND_MS = 1_000

#: Milliseconds after its second at which a count may be forgotten.
_KEPT_MS = 60_000


class SharedCounts(Protocol):
    """The part of :class:`lookalike.ports.Counters` that a rate limiter needs."""

    def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None) -> int:
        """Raise the count by ``wanted``, or by less where it would pass ``limit``; return the amount."""


@dataclass(frozen=True, slots=True)
class _Lease:
    """Permits left of those that were leased of one second; ``last``: the shared count has no more."""

    second: int
    leased: int
    left: int
    last: bool


class RateLimiter:
    """A rate limiter for calls per second, over all processes that share the counters. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: dict[str, _Lease] = {}

    def take(self, counters: SharedCounts, who: str, limit: int, now: int) -> bool:
        """Take a permit of the second of Unix milliseconds ``now``. False if ``who`` has none left of ``limit``."""
        second = now // _SECOND_MS
        permit = self._permit(who, second)
        if permit is not None:
            return permit
        wanted = min(PERMITS_PER_LEASE, limit)
        given = counters.take(f"second/{who}/{second}", wanted, limit, (second + 1) * _SECOND_MS + _KEPT_MS)
        with self._lock:
            lease = self._leases.get(who)
            others = lease if lease is not None and lease.second == second else _Lease(second, 0, 0, last=False)
            left = others.left + max(given - 1, 0)
            self._leases[who] = _Lease(second, others.leased + given, left, last=given < wanted)
        return given > 0

    def used_up(self, who: str, now: int) -> bool:
        """Whether this process knows, without asking the counters, that the second of ``now`` has no permit left."""
        with self._lock:
            lease = self._leases.get(who)
            return lease is not None and lease.second == now // _SECOND_MS and lease.last and not lease.left

    def left(self, who: str, limit: int, now: int) -> int:
        """Return the permits left to ``who`` of ``limit`` in the second of ``now``, as far as this process knows.

        The shared count is not asked: what other processes have leased is only known once it has no more.
        """
        with self._lock:
            lease = self._leases.get(who)
            if lease is None or lease.second != now // _SECOND_MS:
                return limit
            return lease.left if lease.last else max(limit - lease.leased, 0) + lease.left

    def give_back(self, who: str, now: int) -> None:
        """Return an unused permit taken at Unix milliseconds ``now``. No effect once its second is over."""
        with self._lock:
            lease = self._leases.get(who)
            if lease is not None and lease.second == now // _SECOND_MS:
                self._leases[who] = replace(lease, left=lease.left + 1)

    def _permit(self, who: str, second: int) -> bool | None:
        """Take a leased permit. False if the second has none left; None if the counters have to be asked."""
        with self._lock:
            lease = self._leases.get(who)
            if lease is None or lease.second != second:
                return None
            if lease.left:
                self._leases[who] = replace(lease, left=lease.left - 1)
                return True
            return False if lease.last else None
