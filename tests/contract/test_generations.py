"""What every store of index generations must do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from lookalike.domain.library import Kind
from lookalike.domain.search import Generation
from lookalike.errors import RevisionConflict
from lookalike.ports import Generations

FIRST = Generation("same-1", ("same-1",))
FILLING = Generation("same-1", ("same-1", "same-2"))
SECOND = Generation("same-2", ("same-2",))


def test_at_first_there_is_none(generations: Generations) -> None:
    assert [generations.generation(kind) for kind in Kind] == [None, None, None]


def test_each_kind_has_its_own(generations: Generations) -> None:
    generations.save_generation(Kind.SAME, FIRST, None)
    assert generations.generation(Kind.SAME) == FIRST
    assert generations.generation(Kind.SIMILAR) is None


def test_it_is_changed_step_by_step(generations: Generations) -> None:
    before = None
    for after in (FIRST, FILLING, SECOND, FIRST):
        generations.save_generation(Kind.SAME, after, before)
        assert generations.generation(Kind.SAME) == after
        before = after


@pytest.mark.parametrize("previous", [None, FIRST, SECOND, Generation("same-1", ("same-2", "same-1"))])
def test_over_another_nothing_changes(generations: Generations, previous: Generation | None) -> None:
    generations.save_generation(Kind.SAME, FILLING, None)
    with pytest.raises(RevisionConflict):
        generations.save_generation(Kind.SAME, SECOND, previous)
    assert generations.generation(Kind.SAME) == FILLING


def test_change_where_there_is_none_is_refused(generations: Generations) -> None:
    with pytest.raises(RevisionConflict):
        generations.save_generation(Kind.SAME, SECOND, FIRST)
    assert generations.generation(Kind.SAME) is None


def test_one_of_many_racing_changes_wins(
    generations: Generations, together: Callable[[list[Callable[[], object]]], list[object]]
) -> None:
    racing = [Generation(f"same-{number}", (f"same-{number}",)) for number in range(8)]
    outcomes = together([partial(generations.save_generation, Kind.SAME, one, None) for one in racing])
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["RevisionConflict"] * 7
    assert generations.generation(Kind.SAME) == racing[outcomes.index(None)]
