"""What a rate limiter says is left of a second, without asking the shared count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lookalike.limits.rate_limiter import RateLimiter
from tests.support.fakes import MemoryCounters

NOW = 1_767_323_045_000


@given(st.integers(1, 35), st.integers(0, 40))
def test_one_process_knows_what_is_left_to_the_call(limit: int, calls: int) -> None:
    limiter, counters = RateLimiter(), MemoryCounters()
    admitted = sum(limiter.take(counters, "app", limit, NOW) for _ in range(calls))
    assert admitted == min(calls, limit)
    assert limiter.left("app", limit, NOW) == limit - admitted
    assert limiter.left("app", limit, NOW + 1000) == limit
    if admitted:
        limiter.give_back("app", NOW)
        assert limiter.left("app", limit, NOW) == limit - admitted + 1


@given(st.integers(1, 50), st.lists(st.booleans(), max_size=60))
def test_a_process_that_is_given_one_had_said_that_some_are_left(limit: int, calls: list[bool]) -> None:
    one, other, counters = RateLimiter(), RateLimiter(), MemoryCounters()
    for first in calls:
        before = (one if first else other).left("app", limit, NOW)
        if (one if first else other).take(counters, "app", limit, NOW):
            assert before > 0
