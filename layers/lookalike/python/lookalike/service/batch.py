"""Adding many pictures in one call: side by side, each with its own outcome, and what is not done in time is not done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from lookalike.errors import LibraryFull, OutOfTime
from lookalike.model import Identity, Library, Picture
from lookalike.ports import Ports
from lookalike.service.add import Add, add

#: Pictures of one call that are downloaded side by side.
_SIDE_BY_SIDE = 8

#: Pictures of all calls that may be in memory as files: each has up to the 10 MB that a dialect allows.
_FILES = threading.BoundedSemaphore(32)

#: What has begun to be kept when the time is up gets so many seconds to be done, for it is kept in any case.
_GRACE = 2.0

Outcome = Picture | Exception


def add_all(ports: Ports, library: Library, commands: Sequence[Add], seconds: float) -> list[Outcome]:
    """Of each command the picture kept, or what kept it from being kept; answers within ``seconds`` and a little.

    Commands with the same id are done in their order; the first that succeeds has it. Where pictures have callers' ids
    the library takes no more than the settings allow, as far as the index knows how many there are.
    """
    deadline = time.monotonic() + seconds
    room = len(commands)
    if library.identity is Identity.OWN:
        room = max(ports.settings.group_pictures - ports.index.count(library.uid), 0)
    outcomes: list[Outcome] = [OutOfTime("its turn never came")] * min(room, len(commands))
    outcomes += [LibraryFull(library.name)] * (len(commands) - len(outcomes))

    def check_time(_picture: Picture | None = None) -> None:
        if time.monotonic() >= deadline:
            raise OutOfTime("its turn came too late")

    def work(turns: Sequence[int]) -> None:
        for turn in turns:
            outcomes[turn] = _outcome(ports, library, commands[turn], check_time)

    pool = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="batch")
    works = [pool.submit(work, turns) for turns in _turns(commands[:room])]
    wait(works, seconds + _GRACE)
    answered = list(outcomes)  # what still runs may only find that it is too late
    pool.shutdown(wait=False, cancel_futures=True)
    return answered


def _turns(commands: Sequence[Add]) -> list[list[int]]:
    """Positions of commands; those that want the same id stand together, in their order."""
    together: dict[object, list[int]] = {}
    for turn, command in enumerate(commands):
        together.setdefault(turn if command.id is None else command.id, []).append(turn)
    return list(together.values())


def _outcome(ports: Ports, library: Library, command: Add, check_time: Callable[[Picture | None], None]) -> Outcome:
    with _FILES:
        try:
            check_time(None)
            return add(ports, command, check_time, library)
        except Exception as error:  # whatever it is, it is not its neighbours' failure
            return error
