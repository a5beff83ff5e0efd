"""Properties try few examples where somebody waits, and in CI as many as they ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.examples import FEW, examples, register, spread

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def profile() -> Iterator[None]:
    """What this run has chosen, again in the end."""
    chosen = settings.get_current_profile_name()
    yield
    settings.load_profile(chosen)


@pytest.mark.parametrize(("ci", "of_many", "of_few", "unsaid"), [("true", 2000, 5, 100), ("", FEW, 5, FEW)])
def test_ci_tries_as_many_as_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, ci: str, of_many: int, of_few: int, unsaid: int
) -> None:
    monkeypatch.setenv("CI", ci)
    register()
    assert (examples(2000), examples(5), settings().max_examples) == (of_many, of_few, unsaid)
    assert settings().deadline is None


@pytest.mark.parametrize(("ci", "tried"), [("true", list(range(1, 30))), ("", [1, 8, 15, 22, 29])])
def test_ci_tries_every_case_and_others_a_spread_of_them(
    monkeypatch: pytest.MonkeyPatch, ci: str, tried: list[int]
) -> None:
    monkeypatch.setenv("CI", ci)
    register()
    assert list(spread(range(1, 30), 5)) == tried
    assert list(spread("abc", 5)) == ["a", "b", "c"]


def test_no_test_asks_for_a_number_that_the_profile_cannot_lower() -> None:
    for file in TESTS.rglob("test_*.py"):
        asked = re.findall(r"max_examples[=](\w+)", file.read_text())
        assert set(asked) <= {"examples"}, file.name
