"""A circuit breaker: while a server does not answer, calls to it fail at once instead of each waiting for it.

The pattern is Michael Nygard's ("Release It!"); the states are pybreaker's. What is added here is that of the callers
that come while the circuit is half-open only one probes the server, and that all failures are Unavailable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pybreaker

from lookalike.errors import Unavailable

#: Failures in a row that open a circuit: one may be an accident, and each costs its caller the whole wait.
_FAILURES = 3

#: Seconds for which an open circuit lets nobody through; then a probe every so often.
_RESET_SECONDS = 5.0


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, Unavailable)


class Breaker:
    """Guards calls to one server. Safe to use from several threads; they do not wait for each other.

    Parameters
    ----------
    name : the server's, for messages.
    is_fault : whether an error that a guarded block raises says that the server does not work; default: Unavailable.
    """

    def __init__(
        self,
        name: str,
        is_fault: Callable[[BaseException], bool] = _is_unavailable,
        *,
        failures: int = _FAILURES,
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
        """Run the block, unless the server has failed too often of late. Raises Unavailable at once in that case."""
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
        # Not `call`: it holds the circuit's lock for as long as the server takes.
        try:
            with self._circuit.calling():
                yield
        except pybreaker.CircuitBreakerError as error:
            raise Unavailable(f"{self._name} did not answer; it is asked again in a few seconds") from error
