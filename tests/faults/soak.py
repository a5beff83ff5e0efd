"""``make soak``: the state machine for long, one seed after the other, on one stack or both.

    python -m tests.faults.soak [--steps N] [--stack one|aws] [--seed N]

Prints, for each seed, how many steps it took and how many faults were injected, and at the end what all of them did. A
failure prints the steps that lead to it, as few as are needed, and the seed to repeat it with.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from lookalike.observability import logger
from tests.faults.machine import DONE, Machine
from tests.faults.world import Aws, OneMachine

#: A file system in memory, on Linux.
MEMORY = Path("/dev/shm")  # noqa: S108 - no name in it is foreseeable

STACKS = {"one": OneMachine, "aws": Aws}

#: Runs of one seed, the first of which is the simplest there is, and steps of a run, at most.
_RUNS, _STEPS = 40, 50

#: Without the database of failures, so that a seed does the same everywhere.
_SETTINGS = settings(
    max_examples=_RUNS,
    stateful_step_count=_STEPS,
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)


def machine_on(stack: str) -> type[Machine]:
    """Return the state machine on a stack."""
    return type(f"{STACKS[stack].__name__}Machine", (Machine,), {"world_of": STACKS[stack]})


def soak(stack: str, steps: int, first: int) -> None:
    """Run seed after seed until so many steps are done. Raises what the first failure raises."""
    DONE.clear()
    number = first
    while DONE["steps"] < steps:
        before, began = DONE.copy(), time.process_time()
        try:
            run_state_machine_as_test(seed(number)(machine_on(stack)), settings=_SETTINGS)
        except BaseException:
            print(f"{stack}: seed {number} fails; again: --stack {stack} --seed {number} --steps 1", flush=True)
            raise
        since = DONE - before
        said = f"{since['steps']} steps, {since['faults']} faults, {since['restarts']} restarts"
        print(f"{stack}: seed {number}: {said}, {time.process_time() - began:.1f} s of processor", flush=True)
        number += 1
    print(
        f"{stack}: seeds {first}–{number - 1}, " + ", ".join(f"{DONE[name]} {name}" for name in sorted(DONE)),
        flush=True,
    )


def main(arguments: Sequence[str]) -> int:
    """Soak each stack that is asked for."""
    parser = argparse.ArgumentParser(prog="make soak", description="Run the state machine of faults for long.")
    parser.add_argument("--steps", type=int, default=10_000, help="steps on each stack, at least")
    parser.add_argument("--stack", choices=STACKS, help="one of the stacks; without it, each")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    chosen = parser.parse_args(arguments)
    logger.setLevel("CRITICAL")
    if MEMORY.is_dir():
        tempfile.tempdir = str(MEMORY)
    for stack in [chosen.stack] if chosen.stack else STACKS:
        soak(stack, chosen.steps, chosen.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
