"""Faults anywhere, on both stacks: a short run of the state machine; ``make soak`` runs it for long."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.faults.machine import Machine
from tests.faults.world import Aws, OneMachine
from tests.support.examples import examples


class OneMachineMachine(Machine):
    """The state machine on one machine's stores."""

    world_of = OneMachine


class AwsMachine(Machine):
    """The state machine on the stores of AWS."""

    world_of = Aws


_SHORT = settings(
    max_examples=examples(12), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)

TestOneMachine = OneMachineMachine.TestCase
TestOneMachine.settings = _SHORT
TestAws = AwsMachine.TestCase
TestAws.settings = _SHORT

pytestmark = pytest.mark.slow
