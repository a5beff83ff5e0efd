"""Adding many pictures in one call, in parallel, each with an outcome of its own, within a time limit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from lookalike.domain.library import Library
from lookalike.domain.picture import Picture
from lookalike.errors import LibraryFull, OutOfTime
from lookalike.limits.fair_share import FairShare
from lookalike.ports import Ports
from lookalike.service.add import Add, attempts, prepare, write
from lookalike.service.capacity import places

#: Pictures of one call that are added in parallel.
_MAX_PARALLEL = 8

#: Files in memory, of all calls: each has up to the 10 MB that a dialect allows.
_FILES = FairShare(32, max_per_key=24)

#: Seconds that pictures whose writing has begun have to be done after the deadline: they are written in any case.
_GRACE_SECONDS = 2.0

Outcome = Picture | Exception


def add_all(ports: Ports, library: Library, commands: Sequence[Add], seconds: float) -> list[Outcome]:
    """Add pictures in parallel: a Picture or an exception per command, in order, at most ``seconds`` + 2 s after the call.

    Commands with the same id are run in their order; the first that succeeds has it. The library takes no more pictures
    than its capacity and its application's, as far as the index knows their number: the first that can be added, in order. The others get
    LibraryFull, unless they have another fault. A picture that replaces a live one needs no room.
    """
    return _BatchAdd(ports, library, commands, time.monotonic() + seconds).run() if commands else []


class _BatchAdd:
    """One call of :func:`add_all`."""

    def __init__(self, ports: Ports, library: Library, commands: Sequence[Add], deadline: float) -> None:
        self._ports = ports
        self._library = library
        self._commands = commands
        self._deadline = deadline
        self._full = LibraryFull(library.name)
        self._outcomes: list[Outcome] = [OutOfTime("its turn never came")] * len(commands)
        self._added: set[int] = set()  # indices of commands after which there is one more picture

    def run(self) -> list[Outcome]:
        """Add as many pictures as there is room for, then as many as those left room for that failed, and so on."""
        with places(self._ports, self._library, len(self._commands)) as held:
            self._ports, self._full = held.ports, held.full
            return self._run(held.count)

    def _run(self, left: int) -> list[Outcome]:
        count = len(self._commands)
        pool = ThreadPoolExecutor(_MAX_PARALLEL, thread_name_prefix="batch")
        begun = 0
        while begun < count:
            some = range(begun, min(begun + left, count) if left else count)
            if not self._add(pool, some, full=not left):
                break
            begun = some.stop
            left -= len(self._added.intersection(some))
        outcomes = list(self._outcomes)  # commands still running may only find that it is too late
        pool.shutdown(wait=False, cancel_futures=True)
        return outcomes

    def _add(self, pool: ThreadPoolExecutor, some: range, *, full: bool) -> bool:
        """Run the commands at these indices. False if they are not all done in time."""
        works = [pool.submit(self._add_in_order, same_id, full) for same_id in _by_id(self._commands, some)]
        return not wait(works, self._deadline - time.monotonic() + _GRACE_SECONDS).not_done

    def _add_in_order(self, indices: Sequence[int], full: bool) -> None:
        for index in indices:
            self._outcomes[index] = self._outcome(index, full)

    def _outcome(self, index: int, full: bool) -> Outcome:
        try:
            with _FILES.turn(self._library.tenant, check=self._check_time):
                return self._add_one(index, full)
        except Exception as error:  # whatever it is, it is not its neighbours' failure
            return error

    def _add_one(self, index: int, full: bool) -> Picture:
        self._check_time()
        prepared = prepare(self._ports, self._commands[index], self._library)
        for attempt in attempts(self._ports, prepared):
            if full and attempt.adds:
                raise self._full
            self._check_time()
            if write(self._ports, prepared.loaded.data, attempt):
                break
        if attempt.adds:
            self._added.add(index)
        return attempt.picture

    def _check_time(self) -> None:
        if time.monotonic() >= self._deadline:
            raise OutOfTime("its turn came too late")


def _by_id(commands: Sequence[Add], among: Iterable[int]) -> list[list[int]]:
    """Indices of commands, those with the same id together, in order."""
    together: dict[object, list[int]] = {}
    for index in among:
        id_ = commands[index].id
        together.setdefault(index if id_ is None else id_, []).append(index)
    return list(together.values())
