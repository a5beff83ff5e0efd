"""Adding many pictures in one call: side by side, each with its own outcome, and what is not done in time is not done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from lookalike.domain.library import Identity, Library
from lookalike.domain.picture import Picture
from lookalike.errors import LibraryFull, OutOfTime, Unavailable
from lookalike.limits.fair_share import FairShare
from lookalike.observability import logger
from lookalike.ports import Ports
from lookalike.service.add import Add, add

#: Pictures of one call that are downloaded side by side.
_SIDE_BY_SIDE = 8

#: Pictures of all calls that may be in memory as files: each has up to the 10 MB that a dialect allows.
_FILES = FairShare(32, most=24)

#: What has begun to be kept when the time is up gets so many seconds to be done, for it is kept in any case.
_GRACE = 2.0

Outcome = Picture | Exception


def add_all(ports: Ports, library: Library, commands: Sequence[Add], seconds: float) -> list[Outcome]:
    """Of each command the picture kept, or what kept it from being kept; answers within ``seconds`` and a little.

    Commands with the same id are done in their order; the first that succeeds has it. Where pictures have callers' ids
    the library takes no more than the settings allow, as far as the index knows how many there are, and says so: the
    first that can be added, in their order. What finds no room and has another fault is told of that.
    """
    if not commands:
        return []
    deadline = time.monotonic() + seconds
    room = min(len(commands), _room(ports, library))
    outcomes: list[Outcome] = [OutOfTime("its turn never came")] * len(commands)

    def check_time(_picture: Picture | None = None) -> None:
        if time.monotonic() >= deadline:
            raise OutOfTime("its turn came too late")

    def refuse(_picture: Picture) -> None:
        raise LibraryFull(library.name)

    def work(turns: Sequence[int], foretell: Callable[[Picture], None]) -> None:
        for turn in turns:
            outcomes[turn] = _outcome(ports, library, commands[turn], check_time, foretell)

    pool = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="batch")
    begun, late = 0, False
    while begun < len(commands) and not late:
        # As many as there is room for; of the room that those leave who fail, the next make use.
        turns = range(begun, min(begun + room, len(commands)) if room else len(commands))
        foretell = check_time if room else refuse
        works = [pool.submit(work, some, foretell) for some in _turns(commands, turns)]
        late = bool(wait(works, deadline - time.monotonic() + _GRACE).not_done)
        begun = turns.stop
        room -= sum(isinstance(outcomes[turn], Picture) for turn in turns)
    answered = list(outcomes)  # what still runs may only find that it is too late
    pool.shutdown(wait=False, cancel_futures=True)
    return answered


def _room(ports: Ports, library: Library) -> int:
    """How many more pictures the library takes.

    Where the index cannot say how many there are, there is room: what is acknowledged never depends on the index, and
    the limit holds as far as the index knows anyway.
    """
    if library.identity is not Identity.OWN:
        return sys.maxsize
    try:
        return max(ports.settings.group_pictures - ports.index.count(library.uid), 0)
    except Unavailable:
        logger.warning("the index does not say how full a group is", exc_info=True, extra={"library": library.uid})
        return sys.maxsize


def _turns(commands: Sequence[Add], among: Iterable[int]) -> list[list[int]]:
    """Positions of commands; those that want the same id stand together, in their order."""
    together: dict[object, list[int]] = {}
    for turn in among:
        id_ = commands[turn].id
        together.setdefault(turn if id_ is None else id_, []).append(turn)
    return list(together.values())


def _outcome(
    ports: Ports,
    library: Library,
    command: Add,
    check_time: Callable[[], None],
    foretell: Callable[[Picture], None],
) -> Outcome:
    try:
        with _FILES.turn(library.tenant, check=check_time):
            check_time()
            return add(ports, command, foretell, library)
    except Exception as error:  # whatever it is, it is not its neighbours' failure
        return error
