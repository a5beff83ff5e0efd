"""How sure proof must be, from made-up probabilities of pairs whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from lookalike.cli.calibrate import LEAST_PROOF, least_proof
from lookalike.embedding.verifier import DOUBTFUL
from lookalike.errors import InvalidArgument

BEFORE = 0.85


def least(right: list[float], wrong: list[float]) -> float:
    flags = np.arange(len(right) + len(wrong)) < len(right)
    return least_proof(np.array(right + wrong), flags, BEFORE)


def spread(low: float, high: float, count: int) -> list[float]:
    return [low + (high - low) * place / (count - 1) for place in range(count)]


def test_wrong_pairs_that_are_proved_ask_for_more_proof() -> None:
    assert least(spread(0.9, 0.9999, 200), [0.98, 0.975, 0.97, *[0.0] * 100]) == pytest.approx(0.98, abs=0.001)


def test_wrong_pairs_without_evidence_change_nothing() -> None:
    assert least(spread(0.3, 0.9999, 200), [0.0] * 100) == BEFORE


def test_wrong_pairs_that_are_doubtful_and_no_more_let_less_proof_do() -> None:
    assert least(spread(0.3, 0.9999, 200), [*spread(0.02, 0.6, 20), *[0.0] * 80]) == pytest.approx(0.57, abs=0.03)


def test_what_is_as_likely_wrong_as_right_is_never_proof() -> None:
    assert least(spread(0.1, 0.9999, 200), spread(0.02, 0.2, 40)) == LEAST_PROOF


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
)
def test_of_what_is_proved_99_in_100_are_right_or_the_pairs_are_refused(right: list[float], wrong: list[float]) -> None:
    try:
        reached = least(right, wrong)
    except InvalidArgument as error:
        event(error.reason)
        return
    assert LEAST_PROOF <= reached < 1
    true, false = sum(one >= reached for one in right), sum(one >= reached for one in wrong)
    assert true >= 0.99 * (true + false)
    if sum(one >= DOUBTFUL for one in wrong) < 10:
        assert reached >= BEFORE


def test_pairs_told_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="are 0 and 1 swapped"):
        least([0.0] * 100, spread(0.5, 1, 100))
