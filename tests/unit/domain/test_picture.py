"""Signs as texts."""

from __future__ import annotations

import pytest

from lookalike.domain.picture import is_same_sign


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("1,7", "01,0007", True), ("1,7", "1,7", True), ("1,7", "7,1", False), ("1,7", "", False), ("", "", False)],
)
def test_signs_are_the_same_by_their_numbers(one: str, other: str, same: bool) -> None:
    assert is_same_sign(one, other) is same
