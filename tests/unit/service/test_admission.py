"""Who may call now."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.application import Application, Policy
from lookalike.errors import (
    AddressRefused,
    ApplicationDisabled,
    DailyQuotaReached,
    LimitReached,
    RateReached,
    ServiceRateReached,
    TotalQuotaReached,
    Unavailable,
)
from lookalike.limits.rate_limiter import RateLimiter
from lookalike.ports import Ports
from lookalike.service.admission import Callers, admit, check_rate, day_count
from lookalike.service.purge import purge
from lookalike.settings import Settings
from lookalike.stores.policy_json import policy_from_json, policy_to_json
from tests.support.fakes import MemoryApplications, MemoryCounters, SetClock, memory_ports

HERE = "203.0.113.9"
NOW = 1_767_323_045_000  # 2026-01-02T03:04:05Z
SHOP = Application("access", "secret", "10000001", "tenant", "shop")


def allowed(**policy: object) -> Application:
    return replace(SHOP, policy=Policy(**policy))  # type: ignore[arg-type]  # Policy checks the names itself


def admitted(ports: Ports, application: Application, calls: int) -> int:
    """How many of so many calls pass."""
    passed = 0
    for _ in range(calls):
        try:
            admit(ports, application, HERE)
        except LimitReached:
            continue
        passed += 1
    return passed


def another_process(ports: Ports) -> Ports:
    """The same stores, other leases."""
    return replace(ports, rate_limiter=RateLimiter())


def test_without_limits_nothing_is_read_and_nothing_written() -> None:
    counters = MemoryCounters()
    admit(memory_ports(counters=counters), SHOP, HERE)
    assert counters.calls == 0


def test_a_disabled_application_is_refused_before_anything_else() -> None:
    counters = MemoryCounters()
    disabled = replace(allowed(per_second=1, per_day=1, networks=("192.0.2.0/24",)), active=False)
    with pytest.raises(ApplicationDisabled):
        admit(memory_ports(counters=counters), disabled, HERE)
    assert counters.calls == 0


@pytest.mark.parametrize("address", [HERE, "::ffff:203.0.113.9", "2001:db8::7"])
def test_an_address_within_the_networks_may_call(address: str) -> None:
    admit(memory_ports(), allowed(networks=("203.0.113.0/28", "2001:db8::/32")), address)


@pytest.mark.parametrize("address", ["203.0.113.99", "::ffff:203.0.113.99", "2001:db9::1", "", "unknown", HERE + " "])
def test_an_address_elsewhere_may_not(address: str) -> None:
    counters = MemoryCounters()
    limited = allowed(networks=("203.0.113.0/28", "2001:db8::/32"), per_day=10)
    with pytest.raises(AddressRefused):
        admit(memory_ports(counters=counters), limited, address)
    assert counters.calls == 0


def test_a_second_has_so_many_calls_and_the_next_one_again() -> None:
    clock = SetClock(NOW)
    ports = memory_ports(clock=clock)
    assert admitted(ports, allowed(per_second=25), 40) == 25
    with pytest.raises(RateReached):
        admit(ports, allowed(per_second=25), HERE)
    clock.now += 999
    assert admitted(ports, allowed(per_second=25), 5) == 0
    clock.now += 1
    assert admitted(ports, allowed(per_second=25), 40) == 25


def test_permits_are_leased_ten_at_a_time() -> None:
    counters = MemoryCounters()
    assert admitted(memory_ports(counters=counters), allowed(per_second=1000), 30) == 30
    assert counters.calls == 3


def test_an_exhausted_second_is_not_asked_again() -> None:
    counters = MemoryCounters()
    ports = memory_ports(counters=counters)
    assert admitted(ports, allowed(per_second=15), 100) == 15
    assert counters.calls == 2


@given(st.integers(1, 60), st.lists(st.integers(0, 2), max_size=120))
def test_processes_together_never_admit_more_than_the_limit(limit: int, calls: list[int]) -> None:
    first = memory_ports()
    processes = [first, another_process(first), another_process(first)]
    passed = sum(admitted(processes[call], allowed(per_second=limit), 1) for call in calls)
    assert passed <= limit
    if set(calls) <= {0}:
        assert passed == min(limit, len(calls))


def test_threads_together_never_admit_more_than_the_limit() -> None:
    ports, passed = memory_ports(), []
    threads = [
        threading.Thread(target=lambda: passed.append(admitted(ports, allowed(per_second=77), 40))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) <= 77


def test_applications_are_counted_apart() -> None:
    ports = memory_ports()
    other = replace(allowed(per_second=3, per_day=3), access_key="other", app_id="10000002")
    assert admitted(ports, allowed(per_second=3, per_day=3), 5) == 3
    assert admitted(ports, other, 5) == 3


def test_a_day_has_so_many_calls_and_begins_at_midnight_utc() -> None:
    clock = SetClock(NOW)
    ports = memory_ports(clock=clock)
    limited = allowed(per_day=4)
    assert admitted(ports, limited, 6) == 4
    with pytest.raises(DailyQuotaReached):
        admit(another_process(ports), limited, HERE)
    clock.now = 1_767_398_399_999  # 2026-01-02T23:59:59.999Z
    assert admitted(ports, limited, 1) == 0
    clock.now += 1
    assert admitted(ports, limited, 6) == 4


def test_a_total_is_for_good() -> None:
    clock = SetClock(NOW)
    ports = memory_ports(clock=clock)
    assert admitted(ports, allowed(in_total=3), 2) == 2
    clock.now += 500 * 86_400_000
    ports.counters.forget_counts(clock.now)
    assert admitted(ports, allowed(in_total=3), 2) == 1
    with pytest.raises(TotalQuotaReached):
        admit(ports, allowed(in_total=3), HERE)


def test_purge_forgets_counts_of_long_ago() -> None:
    clock = SetClock(NOW)
    counters = MemoryCounters()
    ports = memory_ports(counters=counters, clock=clock)
    admitted(ports, allowed(per_second=9, per_day=9, in_total=9), 1)
    clock.now += 3_600_000
    purge(ports, lambda: True)
    assert {name.partition("/")[0] for name in counters.counts} == {"day", "total", "purge"}


def test_the_whole_service_has_a_rate() -> None:
    ports = memory_ports(settings=Settings(per_second=4))
    other = replace(SHOP, access_key="other", app_id="10000002")
    assert admitted(ports, SHOP, 3) + admitted(ports, other, 3) == 4
    with pytest.raises(ServiceRateReached):
        admit(ports, SHOP, HERE)


@pytest.mark.parametrize("policy", [{"per_second": 2}, {"per_day": 2}, {"in_total": 2}])
def test_an_application_over_a_limit_of_its_own_takes_nothing_from_the_others(policy: dict[str, int]) -> None:
    ports = memory_ports(settings=Settings(per_second=12))
    greedy = replace(allowed(**policy), access_key="other", app_id="10000002")
    assert admitted(ports, greedy, 50) == 2
    assert admitted(ports, SHOP, 20) == 10
    assert admitted(another_process(ports), SHOP, 20) == 0


@pytest.mark.parametrize(
    ("settings", "policy"),
    [
        (Settings(per_second=4), {"per_second": 10}),
        (Settings(), {"per_second": 10, "per_day": 4}),
        (Settings(), {"per_second": 10, "in_total": 4}),
    ],
)
def test_a_call_that_another_limit_refuses_keeps_the_applications_permit(
    settings: Settings, policy: dict[str, int]
) -> None:
    ports = memory_ports(settings=settings)
    limited = allowed(**policy)
    assert admitted(ports, limited, 50) == 4
    left = sum(ports.rate_limiter.take(ports.counters, limited.app_id, 10, NOW) for _ in range(50))
    assert left == 6


def test_a_permit_of_another_second_is_not_given_back() -> None:
    leases, counters = RateLimiter(), MemoryCounters()
    assert leases.take(counters, "a", 1, NOW)
    leases.give_back("b", NOW)
    leases.give_back("a", NOW + 1000)
    assert not leases.take(counters, "a", 1, NOW)
    leases.give_back("a", NOW)
    assert leases.take(counters, "a", 1, NOW)
    assert not leases.take(counters, "a", 1, NOW)


@pytest.mark.parametrize(
    ("policy", "refusal"),
    [({"per_day": 10, "in_total": 3}, TotalQuotaReached), ({"per_day": 3, "in_total": 10}, DailyQuotaReached)],
)
def test_a_call_that_is_refused_counts_nowhere(policy: dict[str, int], refusal: type[LimitReached]) -> None:
    ports = memory_ports(settings=Settings(count_usage=True, per_second=100))
    assert admitted(ports, allowed(**policy), 8) == 3
    with pytest.raises(refusal):
        admit(ports, allowed(**policy), HERE)
    assert ports.counters.counted(day_count(SHOP.app_id, NOW)) == 3
    assert ports.counters.counted(f"total/{SHOP.app_id}") == 3


def test_a_call_over_the_services_rate_takes_nothing_of_the_day() -> None:
    ports = memory_ports(settings=Settings(per_second=4))
    limited = allowed(per_day=100, in_total=100)
    assert admitted(ports, limited, 50) == 4
    assert ports.counters.counted(day_count(SHOP.app_id, NOW)) == 4
    assert ports.counters.counted(f"total/{SHOP.app_id}") == 4


def test_calls_are_counted_if_an_operator_wants_it() -> None:
    ports = memory_ports(settings=Settings(count_usage=True))
    assert admitted(ports, SHOP, 7) == 7
    assert ports.counters.counted(day_count(SHOP.app_id, NOW)) == 7


def test_a_call_over_the_rate_takes_nothing_of_the_day() -> None:
    ports = memory_ports()
    limited = allowed(per_second=2, per_day=100)
    admitted(ports, limited, 50)
    assert ports.counters.counted(day_count(SHOP.app_id, NOW)) == 2


def test_a_call_that_would_be_refused_anyway_is_refused_before_anything_is_read() -> None:
    counters = MemoryCounters()
    ports = memory_ports(settings=Settings(per_second=4), counters=counters, clock=(clock := SetClock(NOW)))
    check_rate(ports)
    assert counters.calls == 0
    assert admitted(ports, SHOP, 5) == 4
    asked = counters.calls
    with pytest.raises(ServiceRateReached):
        check_rate(ports)
    assert counters.calls == asked
    clock.now += 1000
    check_rate(ports)


def test_what_is_only_looked_at_takes_no_call_from_anybody() -> None:
    ports = memory_ports(settings=Settings(per_second=4))
    for _ in range(100):
        check_rate(ports)
    assert admitted(ports, SHOP, 10) == 4


class Counting(MemoryApplications):
    """Counts what is looked up."""

    looked_up = 0

    def application(self, access_key: str) -> Application | None:
        self.looked_up += 1
        return super().application(access_key)

    def application_by_id(self, app_id: str) -> Application | None:
        self.looked_up += 1
        return super().application_by_id(app_id)


def looked_up(ports: Ports, key: str) -> bool:
    """Whether the key was looked up, and not refused unseen."""
    try:
        Callers(ports).application(key)
    except ServiceRateReached:
        return False
    return True


def test_strangers_are_looked_up_so_often_and_keep_no_customer_out() -> None:
    applications = Counting(SHOP, replace(SHOP, access_key="new", app_id="10000002", name="new"))
    clock = SetClock(NOW)
    ports = memory_ports(applications=applications, settings=Settings(per_second=4), clock=clock)
    assert looked_up(ports, "access")
    clock.now += 1000
    assert [looked_up(ports, f"stranger {number}") for number in range(100)] == [True] * 4 + [False] * 96
    assert applications.looked_up == 5
    assert Callers(ports).application("access") == SHOP
    assert not looked_up(ports, "new")
    assert admitted(ports, SHOP, 10) == 4, "what strangers use up is theirs alone"
    clock.now += 1000
    assert looked_up(ports, "new")


def test_a_known_key_is_a_stranger_again_after_a_while() -> None:
    clock = SetClock(NOW)
    ports = memory_ports(SHOP, settings=Settings(per_second=1), clock=clock)
    assert Callers(ports).application_by_id(SHOP.app_id) == SHOP
    clock.now += 59_000
    assert not (looked_up(ports, "stranger") and looked_up(ports, "stranger"))
    assert Callers(ports).application_by_id(SHOP.app_id) == SHOP
    clock.now += 60_000
    assert looked_up(ports, "stranger")
    with pytest.raises(ServiceRateReached):
        Callers(ports).application_by_id(SHOP.app_id)


def test_without_a_rate_everybody_is_looked_up() -> None:
    ports = memory_ports(SHOP)
    assert all(looked_up(ports, f"stranger {number}") for number in range(1000))


def test_limits_that_cannot_be_checked_are_not_passed() -> None:
    class Down(MemoryCounters):
        def take(self, name: str, wanted: int, limit: int | None, expires: int | None = None, part: str = "") -> int:
            raise Unavailable("down")

    with pytest.raises(Unavailable):
        admit(memory_ports(counters=Down()), allowed(per_second=5), HERE)


POLICIES = st.builds(
    Policy,
    per_second=st.none() | st.integers(1, 10**6),
    per_day=st.none() | st.integers(1, 10**9),
    in_total=st.none() | st.integers(1, 10**12),
    networks=st.lists(st.sampled_from(["203.0.113.0/28", "2001:db8::/32"])).map(tuple),
)


@given(POLICIES)
def test_a_policy_that_was_written_is_read(policy: Policy) -> None:
    assert policy_from_json(policy_to_json(policy)) == policy


def test_an_application_of_an_older_version_is_allowed_everything() -> None:
    assert policy_from_json("{}") == Policy()
