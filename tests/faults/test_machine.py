"""Faults anywhere, on both stacks: a short run of the state machine; ``make soak`` runs it for long."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.soak import STACKS, machine_on
from tests.support.examples import examples


@pytest.mark.slow
@pytest.mark.parametrize("stack", STACKS)
def test_nothing_acknowledged_is_lost_and_nothing_deleted_comes_back(stack: str) -> None:
    short = settings(
        max_examples=examples(25), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine_on(stack), settings=short)
