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

#: Seconds that somebody who asks is kept waiting for a store's answer; and at the start, when connections are opened.
_PATIENCE, _FIRST_PATIENCE = 1.0, 5.0

#: Seconds after which a store that has not answered counts as one that does not. A machine may be busy.
_HUNG = 5.0

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
    """A question to a store, the second that it was asked in, and whether the store failed the time before."""

    asked: float
    answer: Future[object]
    failed_before: bool

    @property
    def old(self) -> bool:
        """Whether the store should be asked again: never while it has not answered."""
        return self.answer.done() and time.monotonic() - self.asked >= _FRESH

    @property
    def fails(self) -> bool:
        """Whether the store does not answer, or answers that something is wrong."""
        if not self.answer.done():
            return self.failed_before or time.monotonic() - self.asked >= _HUNG
        return self.answer.exception() is not None


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
        """The stores that do not answer, or answer that something is wrong; as far as is known in so many seconds."""
        with self._lock:
            for name, ask in PROBES.items():
                last = self._probes.get(name)
                if last is None or last.old:
                    failed = last is not None and last.fails
                    self._probes[name] = _Probe(
                        time.monotonic(), self._pool.submit(_asked, name, ask, self._ports), failed
                    )
            probes = dict(self._probes)
        for probe in probes.values():
            wait([probe.answer], max(probe.asked + patience - time.monotonic(), 0))
        return [name for name, probe in probes.items() if probe.fails]


def _asked(name: str, ask: Callable[[Ports], object], ports: Ports) -> object:
    try:
        return ask(ports)
    except LookalikeError:
        raise
    except Exception:
        logger.exception(f"{name} could not be asked", extra={"operation": "status"})
        raise
