"""Headers that say what an application may call, and what is left: draft-ietf-httpapi-ratelimit-headers-11.

They cost no read: what is left of a second is what this process knows, and of a day or in total it is said when nothing is.
"""

from __future__ import annotations

from collections.abc import Iterator

from lookalike.domain.application import Application, Policy
from lookalike.errors import DailyQuotaReached, RateReached, TotalQuotaReached
from lookalike.ports import Ports
from lookalike.ports.clock import DAY_MS, SECOND_MS

#: Seconds of a day.
_DAY = DAY_MS // SECOND_MS


def of(ports: Ports, application: Application, error: Exception | None) -> tuple[tuple[str, str], ...]:
    """Return the headers of an answer to the application; none if it has no limits. ``error``: why it was refused."""
    policies = ", ".join(_policies(application.policy))
    if not policies:
        return ()
    return (("ratelimit-policy", policies), *_left(ports, application, error))


def _policies(policy: Policy) -> Iterator[str]:
    if policy.per_second is not None:
        yield f'"second";q={policy.per_second};w=1'
    if policy.per_day is not None:
        yield f'"day";q={policy.per_day};w={_DAY}'
    if policy.in_total is not None:
        yield f'"total";q={policy.in_total}'


def _left(ports: Ports, application: Application, error: Exception | None) -> Iterator[tuple[str, str]]:
    limit, now = application.policy.per_second, ports.clock()
    if isinstance(error, DailyQuotaReached):
        wait = _DAY - now // SECOND_MS % _DAY
        yield "ratelimit", f'"day";r=0;t={wait}'
        yield "retry-after", str(wait)
    elif isinstance(error, TotalQuotaReached):
        yield "ratelimit", '"total";r=0'
    elif limit is not None:
        left = 0 if isinstance(error, RateReached) else ports.rate_limiter.left(application.app_id, limit, now)
        yield "ratelimit", f'"second";r={left};t=1'
