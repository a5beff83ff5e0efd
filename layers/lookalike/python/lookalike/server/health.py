"""Probes the stores in the background of requests, without ever blocking one."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from lookalike.errors import LookalikeError
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.service.model_view import current
from lookalike.service.probes import PROBES, Store

#: Seconds that a caller waits for a store's answer.
_MAX_WAIT_SECONDS = 1.0

#: Seconds that the start waits, when connections are opened.
_MAX_FIRST_WAIT_SECONDS = 5.0

#: Seconds after which a store without an answer counts as failing. Long, because a machine may be busy.
_HUNG_SECONDS = 5.0

#: Seconds for which an answer is reused.
_FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Probe:
    """A query of a store, when it was sent (monotonic seconds), and whether the store failed the query before."""

    asked_at: float
    answer: Future[object]
    failed_before: bool

    @property
    def is_stale(self) -> bool:
        """Whether the store should be queried again: never while a query is pending."""
        return self.answer.done() and time.monotonic() - self.asked_at >= _FRESH_SECONDS

    @property
    def is_failing(self) -> bool:
        """Whether the store does not answer, or answers with an error."""
        if not self.answer.done():
            return self.failed_before or time.monotonic() - self.asked_at >= _HUNG_SECONDS
        return self.answer.exception() is not None


class Health:
    """Queries each store on demand, with one pending query at a time.

    Safe to use from several threads. A store that hangs occupies one thread, and no caller waits longer than a second.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(len(PROBES), thread_name_prefix="health")
        self._probes: dict[Store, _Probe] = {}

    def start(self) -> None:
        """Query each store for the first time, which takes longest."""
        self.failing(_MAX_FIRST_WAIT_SECONDS)

    def close(self) -> None:
        """Stop querying; do not wait for pending queries."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def failing(self, seconds: float = _MAX_WAIT_SECONDS) -> Sequence[Store]:
        """Return the stores that do not answer, or answer with an error, as far as known after ``seconds``."""
        with self._lock:
            for store in PROBES:
                last = self._probes.get(store)
                if last is None or last.is_stale:
                    failed = last is not None and last.is_failing
                    self._probes[store] = _Probe(
                        time.monotonic(), self._pool.submit(_run_probe, store, self._ports), failed
                    )
            probes = dict(self._probes)
        for probe in probes.values():
            wait([probe.answer], max(probe.asked_at + seconds - time.monotonic(), 0))
        return [store for store, probe in probes.items() if probe.is_failing]


def _run_probe(store: Store, ports: Ports) -> object:
    try:
        return PROBES[store](current(ports))
    except LookalikeError:
        raise
    except Exception:
        logger.exception(f"{store.words} could not be asked", extra={"operation": "status"})
        raise
