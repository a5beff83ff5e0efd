"""Ports that fail as stores and processes do: before a call, after it, with its answer lost, or for a while."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from lookalike.errors import Unavailable
from lookalike.ports import Embedder, Ports, Verifier
from tests.support.fakes import with_stores


class Crash(BaseException):
    """The process ends here. No handler of errors sees it, as none sees a SIGKILL."""


class Kind(Enum):
    """How a call fails."""

    REFUSED = "refused"  #: nothing is done: throttled, full, or not reached
    LOST = "answer lost"  #: it is done, and the caller is told that it is not
    REPEATED = "repeated"  #: it is done, the answer is lost, and the store's client does it again
    MEANWHILE = "something else happens before"  #: and then it is done
    ENDED_BEFORE = "process ends before"
    ENDED_AFTER = "process ends after"


#: Faults at which the process ends.
_ENDS = (Kind.ENDED_BEFORE, Kind.ENDED_AFTER)

#: Ports of which only the process's end is to be expected: they compute, or fail at start.
_COMPUTED = ("embedder", "verifier")

#: Ports whose clients repeat calls. Counts do not stay the same then, and are not meant to.
_REPEATING = ("catalog", "index", "originals", "maps", "uploads", "embeddings", "objects", "dead_letters")

#: Every port of a store.
STORES = (
    "applications",
    "catalog",
    "index",
    "originals",
    "maps",
    "uploads",
    "counters",
    "records",
    "embeddings",
    "model_files",
    "objects",
    "staged",
    "dead_letters",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A fault: after so many calls of one port (None: of any), the next ``times`` calls fail like this.

    ``meanwhile`` is what happens, once, where the kind is MEANWHILE.
    """

    kind: Kind
    after: int = 0
    port: str | None = None
    times: int = 1
    meanwhile: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Faults:
    """Decides of each call of the ports that it wraps whether it fails. ``away`` are ports that fail until they are back; ``failed`` counts
    how often each has failed.

    Once the process has ended, every call of it ends, too, also those that clean up, until :meth:`revive`.
    """

    plan: Plan | None = None
    away: dict[str, Kind] = field(default_factory=dict)
    ended: bool = False
    injected: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def wrap(self, ports: Ports) -> Ports:
        """Return the ports, every one of which fails as planned."""
        stores: Mapping[str, Any] = {name: Faulty(self, name, getattr(ports.stores, name)) for name in STORES}
        indices = FaultyIndices(self, "index", ports.stores.indices)
        return replace(with_stores(ports, **stores, indices=indices), **self.wrap_model(ports.embedder, ports.verifier))

    def wrap_model(self, embedder: Embedder, verifier: Verifier) -> dict[str, Any]:
        """Return a model and its verifier, which end the process as planned."""
        return {"embedder": Faulty(self, "embedder", embedder), "verifier": Faulty(self, "verifier", verifier)}

    def expect(self, plan: Plan | None) -> None:
        """Plan the next fault; None: there is none."""
        self.plan = plan

    def revive(self) -> None:
        """A new process begins, in which nothing fails but what is away."""
        self.plan, self.ended = None, False

    def call(self, port: str, name: str, do: Callable[[], Any]) -> Any:
        """Do what the port's method does, or fail."""
        plan = self._next(port)
        kind = None if plan is None else plan.kind
        if plan is not None and kind is Kind.MEANWHILE:
            plan.meanwhile()
        if kind in _ENDS:
            self.ended = True
        if kind is Kind.ENDED_BEFORE:
            raise Crash(f"before {port}.{name}")
        if kind is Kind.REFUSED:
            raise Unavailable(f"{port}.{name} is refused")
        answer = do()
        if kind is Kind.REPEATED and port in _REPEATING:
            answer = do()
        if kind is Kind.ENDED_AFTER:
            raise Crash(f"after {port}.{name}")
        if kind is Kind.LOST:
            raise Unavailable(f"the answer of {port}.{name} is lost")
        return answer

    def _next(self, port: str) -> Plan | None:
        """Count a call; return how it fails."""
        with self._lock:
            self.calls += 1
            if self.ended:
                return Plan(Kind.ENDED_BEFORE)
            if port in self.away:
                self.failed[port] += 1
                return Plan(self.away[port])
            plan = self.plan
            if plan is None or plan.port not in (None, port) or (port in _COMPUTED and plan.kind not in _ENDS):
                return None
            if plan.after:
                self.plan = replace(plan, after=plan.after - 1)
                return None
            self.injected += 1
            self.failed[port] += plan.kind is not Kind.MEANWHILE
            self.plan = replace(plan, times=plan.times - 1) if plan.times > 1 else None
            return plan


class Faulty:
    """A port whose calls fail as ``faults`` decides. What is no method is the port's own."""

    def __init__(self, faults: Faults, port: str, real: Any) -> None:
        self._faults = faults
        self._port = port
        self._real = real

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not callable(found):
            return found
        return lambda *given, **options: self._faults.call(self._port, name, lambda: found(*given, **options))


class FaultyIndices(Faulty):
    """Indices of models, each of which fails as the index does. Opening one calls no store."""

    def __getattr__(self, name: str) -> Any:
        if name == "of":
            return lambda model: Faulty(self._faults, self._port, self._real.of(model))
        return super().__getattr__(name)
