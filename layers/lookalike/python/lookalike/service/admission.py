"""Admission of calls: allowed networks, rates and quotas. Without limits nothing is read and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address, ip_network

from lookalike.domain.application import Application
from lookalike.errors import (
    AddressRefused,
    ApplicationDisabled,
    DailyQuotaReached,
    LimitReached,
    RateReached,
    ServiceRateReached,
    TotalQuotaReached,
)
from lookalike.ports import Ports
from lookalike.ports.clock import DAY_MS, SECOND_MS

#: Days for which daily counts are stored.
DAYS_KEPT = 400

#: Stands for all applications in place of an app id.
_EVERYBODY = "*"


def check_rate(ports: Ports) -> None:
    """Refuse a call before it is read, if this process knows that the service has no call left this second.

    The call is only counted once it is admitted, so that unauthenticated calls take nothing from the others. Raises
    ServiceRateReached.
    """
    if ports.settings.per_second is not None and ports.rate_limiter.used_up(_EVERYBODY, ports.clock()):
        raise _service_rate(ports.settings.per_second)


@dataclass(frozen=True, slots=True)
class Callers:
    """Look-up of applications for callers that are not authenticated yet.

    If the service has a rate limit, look-ups of unknown keys have a limit of the same rate of their own, so that callers
    with unknown keys can only slow one another. Both methods raise ServiceRateReached.
    """

    ports: Ports

    def application(self, access_key: str) -> Application | None:
        """Return the application with that access key; None if there is none."""
        return self._found(f"key {access_key}", access_key, self.ports.applications.application)

    def application_by_id(self, app_id: str) -> Application | None:
        """Return the application with that app id; None if there is none."""
        return self._found(f"id {app_id}", app_id, self.ports.applications.application_by_id)

    def _found(self, name: str, given: str, look_up: Callable[[str], Application | None]) -> Application | None:
        limit = self.ports.settings.per_second
        now = self.ports.clock()
        if limit is None:
            application = look_up(given)
            return None if application is None else application.at(now)
        if not self.ports.unknown_keys.allows(name, limit, now):
            raise _service_rate(limit)
        found = look_up(given)
        if found is not None:
            self.ports.unknown_keys.remember(name, now)
        return None if found is None else found.at(now)


def _service_rate(limit: int) -> ServiceRateReached:
    return ServiceRateReached(f"more than {limit} calls a second")


def admit(ports: Ports, application: Application, address: str, operation: str = "") -> None:
    """Admit and count an authenticated call of that application from that IP address, for that operation.

    Raises ApplicationDisabled, AddressRefused or a LimitReached, and Unavailable if a limit is set and cannot be
    checked.
    """
    ports.call.belongs_to(application.tenant)
    check(application, address)
    policy = application.policy
    now = ports.clock()
    # The application's limits come first, so that calls they refuse take nothing from the service's rate.
    if policy.per_second is not None and not ports.rate_limiter.take(
        ports.counters, application.app_id, policy.per_second, now
    ):
        raise RateReached(f"more than {policy.per_second} calls a second")
    if ports.settings.per_second is not None and not ports.rate_limiter.take(
        ports.counters, _EVERYBODY, ports.settings.per_second, now
    ):
        ports.rate_limiter.give_back(application.app_id, now)
        raise _service_rate(ports.settings.per_second)
    try:
        _count(ports, application, now, operation)
    except LimitReached:
        ports.rate_limiter.give_back(application.app_id, now)
        ports.rate_limiter.give_back(_EVERYBODY, now)
        raise


def check(application: Application, address: str) -> None:
    """Raise ApplicationDisabled, or AddressRefused if the application may not be used from that IP address."""
    if not application.active:
        raise ApplicationDisabled(application.app_id)
    networks = application.policy.networks
    if networks and not _within(address, networks):
        raise AddressRefused(address)


def _count(ports: Ports, application: Application, now: int, operation: str) -> None:
    """Count a call in the application's day and total. Raises DailyQuotaReached or TotalQuotaReached."""
    policy, total = application.policy, _total_count(application.app_id)
    # A day's count cannot be taken back, so the total is checked first. Only calls that race for the last of the total
    # may be counted in the day and refused.
    if policy.in_total is not None and ports.counters.counted(total) >= policy.in_total:
        raise TotalQuotaReached(f"more than {policy.in_total} calls")
    if policy.per_day is not None or ports.settings.count_usage:
        name, expires = day_count(application.app_id, now), now + DAYS_KEPT * DAY_MS
        if not ports.counters.take(name, 1, policy.per_day, expires, part=operation):
            raise DailyQuotaReached(f"more than {policy.per_day} calls a day")
    if policy.in_total is not None and not ports.counters.take(total, 1, policy.in_total):
        raise TotalQuotaReached(f"more than {policy.in_total} calls")


def day_count(app_id: str, now: int) -> str:
    """Return the name of an application's count for the day (UTC) of Unix milliseconds ``now``."""
    return f"day/{app_id}/{datetime.fromtimestamp(now / SECOND_MS, UTC):%Y-%m-%d}"


def _total_count(app_id: str) -> str:
    return f"total/{app_id}"


def _within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        caller = ip_address(address)
    except ValueError:
        return False
    if isinstance(caller, IPv6Address) and caller.ipv4_mapped is not None:
        caller = caller.ipv4_mapped
    return any(caller in ip_network(network) for network in networks)
