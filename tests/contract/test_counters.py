"""What every store of counts must do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.ports import Counters
from lookalike.ports.applications import Tally
from tests.support.examples import examples

#: Steps of a test that one store serves whole: what a step counts, another does not see.
SHARED = settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_an_unknown_count_stands_at_zero(counters: Counters, uid: str) -> None:
    assert counters.counted(uid) == 0


def test_without_a_limit_all_is_given(counters: Counters, uid: str) -> None:
    assert [counters.take(uid, 7, None) for _ in range(3)] == [7, 7, 7]
    assert counters.counted(uid) == 21


def test_counts_are_apart(counters: Counters, uid: str) -> None:
    counters.take(f"{uid}/a", 1, 1)
    assert counters.take(f"{uid}/A", 1, 1) == 1
    assert counters.take(f"{uid}/a", 1, 1) == 0


def test_what_is_left_is_given_and_then_nothing(counters: Counters, uid: str) -> None:
    assert [counters.take(uid, 10, 25) for _ in range(4)] == [10, 10, 5, 0]
    assert counters.counted(uid) == 25


def test_a_lower_limit_takes_nothing_back_and_a_higher_one_gives_the_rest(counters: Counters, uid: str) -> None:
    counters.take(uid, 10, 10)
    assert counters.take(uid, 1, 5) == 0
    assert counters.counted(uid) == 10
    assert counters.take(uid, 10, 12) == 2


@SHARED
@given(asked=st.lists(st.tuples(st.integers(1, 20), st.none() | st.integers(0, 60)), max_size=12))
def test_no_count_passes_its_limit(counters: Counters, asked: list[tuple[int, int | None]]) -> None:
    name = f"property/{hash(tuple(asked))}/{id(asked)}"
    count = counters.counted(name)
    for wanted, limit in asked:
        given = counters.take(name, wanted, limit)
        assert 0 <= given <= wanted
        count += given
        assert given == 0 or limit is None or count <= limit
        assert counters.counted(name) == count


def test_callers_at_the_same_time_get_no_more_than_there_is(
    counters: Counters, uid: str, together: Callable[[list[Callable[[], object]]], list[object]]
) -> None:
    given = together([partial(counters.take, uid, 3, 20) for _ in range(12)])
    numbers = [number for number in given if isinstance(number, int)]
    assert len(numbers) == 12
    assert sum(numbers) == counters.counted(uid) <= 20
    assert sum(numbers) >= 18


def test_what_has_not_expired_is_kept(counters: Counters, uid: str) -> None:
    counters.take(f"{uid}/day", 4, None, expires=4_000_000_000_000)
    counters.take(f"{uid}/total", 4, None)
    counters.forget_counts(3_999_999_999_999)
    assert counters.counted(f"{uid}/day") == 4
    assert counters.counted(f"{uid}/total") == 4


def test_a_count_has_parts(counters: Counters, uid: str) -> None:
    for part, wanted in (("add", 2), ("search", 3), ("add", 1), ("", 4)):
        counters.take(uid, wanted, None, part=part)
    counters.take(f"{uid}0", 1, None, part="other")
    assert counters.tally(uid) == Tally(10, {"add": 3, "search": 3})
    assert counters.tally(f"{uid}/none") == Tally(0, {})
    assert counters.counted(uid) == 10


def test_a_part_counts_what_is_given_and_no_more(counters: Counters, uid: str) -> None:
    assert [counters.take(uid, 2, 3, part="add"), counters.take(uid, 2, 3, part="search")] == [2, 1]
    assert counters.take(uid, 1, 3, part="add") == 0
    assert counters.tally(uid) == Tally(3, {"add": 2, "search": 1})


def test_parts_are_forgotten_with_their_count(counters: Counters, uid: str) -> None:
    counters.take(uid, 1, None, 5000, part="add")
    counters.forget_counts(1)
    assert counters.tally(uid).parts == {"add": 1}
