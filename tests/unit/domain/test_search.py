"""The filter by tags, alone: what it keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.search import TagFilter

SETS = st.frozensets(st.sampled_from("abc"))


@given(all_of=SETS, any_of=SETS, none_of=SETS, tags=st.lists(st.sampled_from("abcd")))
def test_a_filter_keeps_what_each_of_its_conditions_keeps(
    all_of: frozenset[str], any_of: frozenset[str], none_of: frozenset[str], tags: list[str]
) -> None:
    each = [TagFilter(all_of=all_of), TagFilter(any_of=any_of), TagFilter(none_of=none_of)]
    assert TagFilter(all_of, any_of, none_of).keeps(tags) is all(one.keeps(tags) for one in each)


@pytest.mark.parametrize(
    ("tags", "kept"), [("", (False, False, True)), ("a", (False, True, False)), ("abc", (True, True, False))]
)
def test_each_condition(tags: str, kept: tuple[bool, bool, bool]) -> None:
    wanted = frozenset("ab")
    filters = TagFilter(all_of=wanted), TagFilter(any_of=wanted), TagFilter(none_of=wanted)
    assert tuple(one.keeps(tags) for one in filters) == kept


def test_an_empty_filter_keeps_everything() -> None:
    assert TagFilter().keeps(())
    assert TagFilter().keeps(("a",))
