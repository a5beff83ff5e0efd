"""A circuit breaker: while a server fails, calls to it fail at once instead of waiting for it.

After Michael Nygard, "Release It!"; the states are pybreaker's. In addition, only one caller probes a half-open
circuit, and every failure is raised as Unavailable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pybreaker

from lookalike.errors import Unavailable

#: Consecutive failures that open a circuit. A single one may be an accident; each costs its caller a whole timeout.
_MAX_FAILURES = 3

#: Seconds that an open circuit rejects calls before the next probe.
_RESET_SECONDS = 5.0


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, Unavailable)


class CircuitBreaker:
    """Guards calls to one server. Safe to use from several threads; calls run concurrently.

    Parameters
    ----------
    name : of the server, for messages.
    is_fault : whether an error raised by a guarded block is a fault of the server; by default, any Unavailable.
    failures : consecutive faults that open the circuit.
    reset_seconds : that an open circuit rejects calls before it lets a probe through.
    """

    def __init__(
        self,
        name: str,
        is_fault: Callable[[BaseException], bool] = _is_unavailable,
        *,
        failures: int = _MAX_FAILURES,
        reset_seconds: float = _RESET_SECONDS,
    ) -> None:
        self._name = name
        self._probing = threading.Lock()
        self._circuit = pybreaker.CircuitBreaker(
            fail_max=failures,
            reset_timeout=reset_seconds,
            exclude=[lambda error: not is_fault(error)],
            throw_new_error_on_trip=False,
        )

    @property
    def closed(self) -> bool:
        """Whether calls are let through."""
        return self._circuit.current_state == pybreaker.STATE_CLOSED

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run the block, or raise Unavailable at once while the circuit is open."""
        if self.closed:
            with self._calling():
                yield
            return
        if not self._probing.acquire(blocking=False):
            raise Unavailable(f"{self._name} did not answer; another call finds out whether it does again")
        try:
            with self._calling():
                yield
        finally:
            self._probing.release()

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Run the block and count its outcome."""
        # Not `call`, which holds the circuit's lock until the server responds.
        try:
            with self._circuit.calling():
                yield
        except pybreaker.CircuitBreakerError as error:
            raise Unavailable(f"{self._name} did not answer; it is asked again in a few seconds") from error
