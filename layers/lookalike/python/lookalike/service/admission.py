"""Who may call now: where from, how often, how much. Without limits nothing is read and nothing written."""

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

_SECOND, _DAY = 1_000, 86_400_000

#: For so many days the counts of a day can be looked up.
DAYS_KEPT = 400

#: Everybody, where an app id stands for one.
_ALL = "*"


def check_rate(ports: Ports) -> None:
    """Refuse a call before anything of it is read, if it is known that the whole service has no call left this second.

    Nothing is counted, so that callers who turn out to be nobody take nothing from those who are somebody; the call
    is counted when it is admitted. Raises ServiceRateReached.
    """
    if ports.settings.per_second is not None and ports.leases.used_up(_ALL, ports.clock()):
        raise _service_rate(ports.settings.per_second)


@dataclass(frozen=True, slots=True)
class Callers:
    """The applications as callers are looked up who have not shown yet who they are.

    If the whole service has a rate, keys that this process has not met of late are looked up as often and no more:
    strangers have a rate of their own, by which they keep one another out and nobody else. Both methods raise
    ServiceRateReached.
    """

    ports: Ports

    def application(self, access_key: str) -> Application | None:
        """The application with that access key."""
        return self._found(f"key {access_key}", access_key, self.ports.applications.application)

    def application_by_id(self, app_id: str) -> Application | None:
        """The application with that app id."""
        return self._found(f"id {app_id}", app_id, self.ports.applications.application_by_id)

    def _found(self, name: str, given: str, look_up: Callable[[str], Application | None]) -> Application | None:
        limit = self.ports.settings.per_second
        if limit is None:
            return look_up(given)
        now = self.ports.clock()
        if not self.ports.strangers.may_ask(name, limit, now):
            raise _service_rate(limit)
        found = look_up(given)
        if found is not None:
            self.ports.strangers.meet(name, now)
        return found


def _service_rate(limit: int) -> ServiceRateReached:
    return ServiceRateReached(f"more than {limit} calls a second")


def admit(ports: Ports, application: Application, address: str) -> None:
    """Let a call that is proved to be that application's, from that IP address, pass, and count it.

    Raises ApplicationDisabled, AddressRefused or a LimitReached, and Unavailable if a limit is set and cannot be
    checked.
    """
    ports.call.belongs_to(application.tenant)
    check(application, address)
    policy = application.policy
    now = ports.clock()
    # The application's own limits come first, and what they refuse takes nothing of what all have together.
    if policy.per_second is not None and not ports.leases.take(
        ports.counters, application.app_id, policy.per_second, now
    ):
        raise RateReached(f"more than {policy.per_second} calls a second")
    if ports.settings.per_second is not None and not ports.leases.take(
        ports.counters, _ALL, ports.settings.per_second, now
    ):
        raise _service_rate(ports.settings.per_second)
    try:
        _count(ports, application, now)
    except LimitReached:
        ports.leases.give_back(_ALL, now)
        raise


def check(application: Application, address: str) -> None:
    """Raise ApplicationDisabled or AddressRefused if nobody may use that application, or not from that IP address."""
    if not application.active:
        raise ApplicationDisabled(application.app_id)
    networks = application.policy.networks
    if networks and not _within(address, networks):
        raise AddressRefused(address)


def _count(ports: Ports, application: Application, now: int) -> None:
    """Count a call in the application's day and total. Raises DailyQuotaReached or TotalQuotaReached."""
    policy, total = application.policy, _total_count(application.app_id)
    # A day's count cannot be taken back, so a total that is used up is seen before; only calls that race for the very
    # last of it may count in the day and be refused.
    if policy.in_total is not None and ports.counters.counted(total) >= policy.in_total:
        raise TotalQuotaReached(f"more than {policy.in_total} calls")
    if policy.per_day is not None or ports.settings.count_usage:
        name, expires = day_count(application.app_id, now), now + DAYS_KEPT * _DAY
        if not ports.counters.take(name, 1, policy.per_day, expires):
            raise DailyQuotaReached(f"more than {policy.per_day} calls a day")
    if policy.in_total is not None and not ports.counters.take(total, 1, policy.in_total):
        raise TotalQuotaReached(f"more than {policy.in_total} calls")


def day_count(app_id: str, now: int) -> str:
    """The name of an application's count for the day (UTC) of Unix milliseconds ``now``."""
    return f"day/{app_id}/{datetime.fromtimestamp(now / _SECOND, UTC):%Y-%m-%d}"


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
