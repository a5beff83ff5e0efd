"""The circuit breaker: it opens, is probed by one caller, and closes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lookalike.errors import Unavailable
from lookalike.stores.aws.circuit_breaker import CircuitBreaker


class TestCircuitBreaker:
    def fail(self, breaker: CircuitBreaker) -> None:
        with pytest.raises(Unavailable, match="no answer"), breaker.guard():
            raise Unavailable("no answer")

    def test_success_in_between_keeps_it_closed(self) -> None:
        breaker = CircuitBreaker("S", failures=2)
        for _ in range(5):
            self.fail(breaker)
            with breaker.guard():
                pass
        assert breaker.closed

    def test_a_probe_that_succeeds_closes_it(self) -> None:
        breaker = CircuitBreaker("S", failures=1, reset_seconds=0.05)
        self.fail(breaker)
        assert not breaker.closed
        with pytest.raises(Unavailable, match="few seconds"), breaker.guard():
            raise AssertionError("must not be asked")
        time.sleep(0.06)
        with breaker.guard():
            pass
        assert breaker.closed

    def test_a_probe_that_fails_opens_it_again(self) -> None:
        breaker = CircuitBreaker("S", failures=2, reset_seconds=0.05)
        self.fail(breaker)
        self.fail(breaker)
        time.sleep(0.06)
        self.fail(breaker)
        with pytest.raises(Unavailable, match="few seconds"), breaker.guard():
            raise AssertionError("must not be asked")

    def test_one_caller_alone_probes(self) -> None:
        breaker = CircuitBreaker("S", failures=1, reset_seconds=0)
        self.fail(breaker)
        with breaker.guard(), pytest.raises(Unavailable, match="another call"), breaker.guard():
            raise AssertionError("must not be asked")
        with breaker.guard():
            pass

    def test_nobody_waits_for_anybody(self) -> None:
        breaker, together = CircuitBreaker("S"), threading.Barrier(8)

        def call(_: int) -> None:
            with breaker.guard():
                together.wait(10)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(call, range(8)))

    def test_a_mistake_of_ours_is_not_the_servers(self) -> None:
        breaker = CircuitBreaker("S", failures=1)
        with pytest.raises(ZeroDivisionError), breaker.guard():
            _ = 1 / 0
        assert breaker.closed
