"""Whether the stores answer, found out beside the calls that use them, and never waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from lookalike.errors import LookalikeError
from lookalike.observability import logger
from lookalike.ports import Ports

#: Seconds that a store is given to answer before it counts as one that does not.
_PATIENCE = 1.0

#: And at the start, when clients are made and connections opened.
_FIRST_PATIENCE = 5.0

#: Seconds for which what was found out is taken to hold.
_FRESH = 1.0

#: The least that can be asked of each store, about things that are not there.
PROBES: Mapping[str, Callable[[Ports], object]] = {
    "the catalog": lambda ports: ports.catalog.library("-", "-"),
    "the index": lambda ports: ports.index.count("-"),
    "the store of originals": lambda ports: ports.originals.get("-/-/0-0"),
}


@dataclass(frozen=True, slots=True)
class _Probe:
    """A question to a store, and the second that it was asked in."""

    asked: float
    answer: Future[object]

    @property
    def old(self) -> bool:
        """Whether the store should be asked again: never while it has not answered."""
        return self.answer.done() and time.monotonic() - self.asked >= _FRESH


class Health:
    """Asks each store whether it answers, one question at a time, when somebody wants to know.

    Safe to use from several threads. A store that hangs keeps one thread, and nobody waits longer than a second.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(len(PROBES), thread_name_prefix="health")
        self._probes: dict[str, _Probe] = {}

    def start(self) -> None:
        """Ask each store for the first time, which takes longer than any other."""
        self.failing(_FIRST_PATIENCE)

    def close(self) -> None:
        """Ask no more; what is being asked is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def failing(self, patience: float = _PATIENCE) -> Sequence[str]:
        """The stores that do not answer in so many seconds, or answer that something is wrong."""
        with self._lock:
            for name, ask in PROBES.items():
                if name not in self._probes or self._probes[name].old:
                    self._probes[name] = _Probe(time.monotonic(), self._pool.submit(ask, self._ports))
            probes = dict(self._probes)
        for probe in probes.values():
            wait([probe.answer], max(probe.asked + patience - time.monotonic(), 0))
        return [name for name, probe in probes.items() if _fails(name, probe.answer)]


def _fails(name: str, answer: Future[object]) -> bool:
    if not answer.done():
        return True
    error = answer.exception()
    if error is not None and not isinstance(error, LookalikeError):
        logger.error(f"{name} could not be asked", exc_info=error, extra={"operation": "status"})
    return error is not None
