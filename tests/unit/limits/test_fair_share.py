"""Who is served next, who waits, and that nothing is ever lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.limits import fair_share
from lookalike.limits.fair_share import FairShare, Ticket
from tests.support.examples import examples

SOON = 30


class Line:
    """Asks for one key after the other, and remembers in which order they were granted."""

    def __init__(self, share: FairShare) -> None:
        self.share = share
        self.granted: list[str] = []
        self.tickets: dict[str, list[Ticket]] = {}

    def ask(self, keys: str, units: int = 1) -> None:
        for key in keys:
            ticket: list[Ticket] = []
            ticket.append(self.share.ask(key, units, self._decided(key)))
            self.tickets.setdefault(key, []).append(ticket[0])

    def end(self, keys: str) -> None:
        for key in keys:
            self.share.end(next(ticket for ticket in self.tickets[key] if ticket.granted and not ticket.ended))

    def order(self) -> str:
        return "".join(self.granted)

    def _decided(self, key: str) -> Callable[[], None]:
        return lambda: self.granted.append(key)


def test_keys_take_turns_however_many_tickets_one_has() -> None:
    line = Line(FairShare(1))
    line.ask("aaaaabbc")
    for _ in range(8):
        line.end(line.order()[-1])
    assert line.order() == "abcabaaa"


def test_who_holds_least_is_served_next() -> None:
    line = Line(FairShare(4))
    line.ask("aaabaaabb")
    assert line.order() == "aaab"
    line.end("a")  # a and b hold 2 and 1
    assert line.order() == "aaabb"
    line.end("b")
    assert line.order() == "aaabbb"


def test_what_nobody_may_hold_is_there_at_once_for_another() -> None:
    line = Line(FairShare(3, max_per_key=2))
    line.ask("aaaa")
    assert line.order() == "aa"
    line.ask("b")
    assert line.order() == "aab"
    line.end("a")
    assert line.order() == "aaba"


def test_small_ones_do_not_overtake_a_large_one_that_waits() -> None:
    line = Line(FairShare(10))
    line.ask("a", 6)
    line.ask("b", 10)
    line.ask("c", 1)
    assert line.order() == "a"
    line.end("a")
    assert line.order() == "ab"
    line.end("b")
    assert line.order() == "abc"


def test_more_than_a_key_may_hold_is_granted_alone() -> None:
    line = Line(FairShare(10, max_per_key=6))
    line.ask("a", 100)
    line.ask("a", 1)
    line.ask("b", 4)
    assert line.order() == "ab"
    line.end("a")
    assert line.order() == "aba"


def test_the_last_ticket_of_the_longest_queue_is_refused() -> None:
    line = Line(FairShare(1, max_waiting=3))
    line.ask("aaaabbb")
    refused = {key: [ticket.refused for ticket in tickets] for key, tickets in line.tickets.items()}
    assert refused == {"a": [False, False, True, True], "b": [False, False, True]}


def test_a_ticket_that_stops_waiting_holds_nobody_up() -> None:
    line = Line(FairShare(1))
    line.ask("abc")
    line.share.end(line.tickets["b"][0])
    line.end("a")
    assert line.order() == "ac"
    line.share.end(line.tickets["b"][0])  # once more does nothing
    line.end("c")
    line.ask("d")
    assert line.order() == "acd"


def test_finalizers_may_end_tickets_in_the_middle_of_a_change() -> None:
    share = FairShare(1)
    first = share.ask("a", 1, lambda: None)
    order: list[str] = []

    def decided() -> None:  # is called within the share's own work, as a finalizer may be
        order.append("b")
        share.end(first)
        share.ask("c", 1, lambda: order.append("c"))

    second = share.ask("b", 1, decided)
    share.end(first)
    share.end(second)
    assert order == ["b", "c"]


def test_what_the_check_raises_ends_the_wait_and_nothing_stays_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_share, "_POLL_SECONDS", 0.01)
    share, asked = FairShare(1), 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise RuntimeError("enough")

    with share.turn("a"), pytest.raises(RuntimeError, match="enough"), share.turn("b", check=check):
        pass
    with share.turn("c"):
        pass
    assert asked == 3


def test_a_pause_lets_another_in() -> None:
    share = FairShare(1)
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with share.turn("b"):
            inside.set()
            leave.wait(SOON)

    with ThreadPoolExecutor(1) as pool, share.turn("a") as turn:
        done = pool.submit(other)
        assert not inside.wait(0.05)
        with turn.paused():
            assert inside.wait(SOON)
            leave.set()
        assert done.done() or done.result(SOON) is None


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 12)), min_size=1, max_size=60))
@settings(max_examples=examples(30))
def test_threads_never_hold_more_than_there_is_nor_a_key_more_than_its_most(works: Sequence[tuple[str, int]]) -> None:
    share, lock, held = FairShare(10, max_per_key=7), threading.Lock(), Counter[str]()
    worst = []

    def work(one: tuple[str, int]) -> None:
        key, units = one
        with share.turn(key, units):
            with lock:
                held[key] += min(units, 7)
                worst.append((held.total(), max(held.values())))
            time.sleep(0)
            with lock:
                held[key] -= min(units, 7)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, works, timeout=SOON))
    assert len(worst) == len(works)
    assert all(total <= 10 and most <= 7 for total, most in worst)
