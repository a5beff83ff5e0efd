"""Signing in: how often it may be tried with wrong keys, and links that work once."""

from __future__ import annotations

import hashlib

from lookalike.errors import LimitReached
from lookalike.limits.sender import sender_of
from lookalike.ports import Ports
from lookalike.ports.clock import SECOND_MS

#: Failures in a minute (of the clock) of one sender, and with one access key.
MAX_FAILURES = 5

_MINUTE_MS = 60 * SECOND_MS

#: Milliseconds after which it may be forgotten that a link was used: more than any link lasts, and clocks differ.
_LINK_KEPT_MS = 3_600_000


class TooManyFailures(LimitReached):
    """Too many attempts to sign in with wrong keys within a minute. ``seconds``: after them another may be made."""

    field = "sign_in"
    problem = "too many wrong keys within a minute"
    remedy = "wait a minute; lookalike keys show prints the right ones, and lookalike console a link that needs none"
    retryable = True

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def check_failures(ports: Ports, access_key: str, address: str) -> None:
    """Raise TooManyFailures if this address may not try again within the minute.

    So it is after MAX_FAILURES failures of its own; or after one, when others have used up those with the access key. Who
    has failed with nothing is never kept out by the failures of others.
    """
    now = ports.clock()
    own = ports.counters.counted(_of_sender(address, now))
    if own and (own >= MAX_FAILURES or ports.counters.counted(_of_key(access_key, now)) >= MAX_FAILURES):
        raise TooManyFailures(-(-(_MINUTE_MS - now % _MINUTE_MS) // SECOND_MS))


def count_failure(ports: Ports, access_key: str, address: str) -> None:
    """Count a failure of that address with that access key; with a link there is no key."""
    now = ports.clock()
    names = (_of_sender(address, now), *((_of_key(access_key, now),) if access_key else ()))
    for name in names:
        ports.counters.take(name, 1, MAX_FAILURES, now + 2 * _MINUTE_MS)


def use_link(ports: Ports, nonce: str) -> bool:
    """Return whether the link of that nonce is used for the first time, which from now on it is not."""
    return ports.counters.take(f"link/{nonce}", 1, 1, ports.clock() + _LINK_KEPT_MS) == 1


def _of_sender(address: str, now: int) -> str:
    return f"failures/from/{sender_of(address)}/{now // _MINUTE_MS}"


def _of_key(access_key: str, now: int) -> str:
    """Return the name of a key's count. Callers may give any text as a key, so it stands there as its hash."""
    return f"failures/with/{hashlib.sha256(access_key.encode('utf-8', 'replace')).hexdigest()[:32]}/{now // _MINUTE_MS}"
