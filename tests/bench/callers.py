"""Several callers of a running server over HTTP: how long they wait, and what of the machine the server uses meanwhile.

Times of the server are its processor time, from Linux's /proc: they hold on a busy machine. Calls a second do not, so the
cores that others used meanwhile are counted, too.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from tests.bench.report import Report

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PROC = Path("/proc")

#: The form of a search, and the brief of the right answer.
Body = tuple[bytes, str | None]


@dataclass(slots=True)
class Run:
    """What callers and the machine saw: milliseconds of every wait, how many were answered rightly, and seconds.

    ``spent`` is the server's processor time, ``others`` that of all processes but the server and this one.
    """

    waits: list[float] = field(default_factory=list)
    right: int = 0
    wall: float = 0.0
    spent: float = 0.0
    others: float = 0.0

    def __add__(self, other: Run) -> Run:
        return Run(
            self.waits + other.waits,
            self.right + other.right,
            self.wall + other.wall,
            self.spent + other.spent,
            self.others + other.others,
        )

    @property
    def rate(self) -> float:
        """Searches a second."""
        return len(self.waits) / self.wall

    @property
    def each(self) -> float:
        """The server's processor seconds a search."""
        return self.spent / len(self.waits)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is asked: its host and port, the path of a call, and its process."""

    netloc: str
    path: str
    pid: int

    def start_workers(self, bodies: Sequence[Body], callers: int = 4) -> None:
        """Ask by several callers until the server has started what it searches with then, two seconds at most a core."""
        until = time.monotonic() + 2 * cores()
        while len(children(self.pid)) < cores() - 1 and time.monotonic() < until:
            self.ask(bodies, callers)
        time.sleep(2)  # until they are ready

    def ask(self, bodies: Sequence[Body], callers: int, *, kept: bool = True) -> Run:
        """Let callers ask everything once; each takes the next one.

        ``kept``: each on a connection of its own that is kept; otherwise every call opens one.
        """
        made, queue, lock = Run(), iter(bodies), threading.Lock()
        server, machine, own = processor_seconds(self.pid), busy_seconds(), time.process_time()
        began = time.perf_counter()
        with ThreadPoolExecutor(callers) as pool:
            for waiting in [pool.submit(self._ask_all, queue, lock, made, kept=kept) for _ in range(callers)]:
                waiting.result()
        made.wall = time.perf_counter() - began
        made.spent = processor_seconds(self.pid) - server
        made.others = max(0.0, busy_seconds() - machine - made.spent - (time.process_time() - own))
        return made

    def _ask_all(self, queue: Iterator[Body], lock: threading.Lock, made: Run, *, kept: bool) -> None:
        with closing(HTTPConnection(self.netloc, timeout=300)) as connection:
            while True:
                with lock:
                    one = next(queue, None)
                if one is None:
                    return
                sent, brief = one
                began = time.perf_counter()
                connection.request("POST", self.path, sent, FORM)
                answer = json.loads(connection.getresponse().read())
                if not kept:
                    connection.close()
                waited = (time.perf_counter() - began) * 1000
                if "error_code" in answer:
                    raise RuntimeError(f"a call was refused: {answer}")
                first = next((found["brief"] for found in answer.get("result", ())), None)
                with lock:
                    made.waits.append(waited)
                    made.right += first == brief


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and of its children so far: fields 14 and 15 of their stat files."""
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(map(processor_seconds, children(pid)))


def children(pid: int) -> list[int]:
    """Return the processes that a process has started: those of a server search beside it."""
    return [int(child) for file in PROC.glob(f"{pid}/task/*/children") for child in file.read_text().split()]


def memory_mb(pid: int) -> float:
    """Return the megabytes that a process and its children hold: what several share is counted once."""
    rollup = (PROC / str(pid) / "smaps_rollup").read_text()
    (held,) = (line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(held) / 1024 + sum(map(memory_mb, children(pid)))


def busy_seconds() -> float:
    """Return the processor time of the whole machine so far, but for what was idle or waited for disks."""
    fields = [int(field) for field in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def report_rates(report: Report, group: str, runs: Mapping[int, Run], calls: str = "searches") -> None:
    """Calls a second, beside all cores over the processor time that one caller's calls take."""
    best = cores() / runs[1].each
    for callers, one in runs.items():
        name, aim = ("one caller", "") if callers == 1 else (f"{callers} callers", "≥ 0.9 ×")
        report.add(group, f"{name}: {calls}, beside cores ÷ processor time", one.rate, "/s", floor=best, aim=aim)
        report.add(group, f"{name}: cores in use by the server", one.spent / one.wall, "")
        report.add(group, f"{name}: cores in use by others", one.others / one.wall, "")
