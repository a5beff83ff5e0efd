"""How many calls applications have made."""

from __future__ import annotations

from lookalike.model import Application
from lookalike.service.admission import admit
from lookalike.service.usage import Usage, usage
from lookalike.settings import Settings
from tests.fakes import SetClock, memory_ports

DAY = 86_400_000


def test_calls_are_told_by_application_and_day() -> None:
    shop = Application("ak", "sk", "7", "tenant", "shop", created=1)
    idle = Application("other", "sk", "8", "tenant", "idle", created=2)
    clock = SetClock(1_767_323_045_000)  # 2026-01-02T03:04:05Z
    ports = memory_ports(shop, idle, clock=clock, settings=Settings(count_usage=True))
    for calls in (2, 0, 3):
        for _ in range(calls):
            admit(ports, shop, "203.0.113.9")
        clock.now += DAY
    assert usage(ports.applications, ports.counters, clock.now, 4) == [
        Usage("shop", "7", {"2026-01-02": 2, "2026-01-03": 0, "2026-01-04": 3, "2026-01-05": 0}),
        Usage("idle", "8", {"2026-01-02": 0, "2026-01-03": 0, "2026-01-04": 0, "2026-01-05": 0}),
    ]
