"""Candidates are proved batch by batch, as long as a batch proves one."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.geometry import WHOLE, Proof
from lookalike.domain.picture import Key
from lookalike.domain.search import Candidate
from lookalike.errors import Unavailable
from lookalike.limits.call import Call, Job, processors
from lookalike.ports import Originals
from lookalike.service import originals
from lookalike.service.reranking import BATCH, MOST, prove
from lookalike.verification.keypoints import SIDE
from tests.support.fakes import MemoryMaps, MemoryOriginals
from tests.support.photographs import jpeg, photograph

JOB = Job("tenant", Call(), processors())
PROOF = Proof(0.99, 30, 0.9, (1, 0, 0, 0, 1, 0), WHOLE)


def candidate(number: int) -> Candidate:
    key = Key("lib", f"{number:04}")
    return Candidate(key, 1, 1, f"{number:064x}", f"lib/{number:04}/1-x", cosine=1 - number / 1000)


class CountingMaps(MemoryMaps):
    """Says what was asked for."""

    def __init__(self, present: Sequence[int]) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        for number in present:
            self.put_map(candidate(number).object_key, str(number).encode())

    def maps(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        self.asked.append(list(keys))
        return super().maps(keys)


class Knowing:
    """Proves the pictures of these numbers."""

    def __init__(self, same: set[int]) -> None:
        self.same = same

    def prove(
        self, pictures: Sequence[tuple[float, bytes]], originals: Originals | None = None
    ) -> Sequence[Proof | None]:
        assert all(cosine == 1 - int(data) / 1000 for cosine, data in pictures)
        return [PROOF if int(data) in self.same else None for _, data in pictures]


@given(count=st.integers(0, 260), same=st.sets(st.integers(0, 260)), missing=st.sets(st.integers(0, 260)))
def test_as_many_batches_are_looked_at_as_prove_one_and_one_more(count: int, same: set[int], missing: set[int]) -> None:
    maps = CountingMaps([number for number in range(count) if number not in missing])
    proofs = prove(Knowing(same), maps, MemoryOriginals(), [candidate(number) for number in range(count)], JOB)

    expected: set[int] = set()
    batches = 0
    for begin in range(0, min(count, MOST), BATCH):
        batches += 1
        proved = {number for number in range(begin, min(begin + BATCH, count)) if number in same - missing}
        expected |= proved
        if not proved:
            break
    assert set(proofs) == {candidate(number).key for number in expected}
    assert len(maps.asked) == batches
    assert all(0 < len(keys) <= BATCH for keys in maps.asked)


class Asking(Knowing):
    """Asks for the originals of some pictures, and proves nothing by them."""

    def __init__(self, same: set[int], wanted: Sequence[int]) -> None:
        super().__init__(same)
        self.wanted, self.given = wanted, list[Sequence[object]]()

    def prove(
        self, pictures: Sequence[tuple[float, bytes]], originals: Originals | None = None
    ) -> Sequence[Proof | None]:
        if originals is not None:
            self.given.append(originals(self.wanted))
        return super().prove(pictures)


def test_originals_of_the_first_batch_are_seen_small_and_grey() -> None:
    store = MemoryOriginals()
    store.put(candidate(1).object_key, jpeg(photograph("chelsea.png", 1200)))
    store.put(candidate(2).object_key, b"no picture")
    asking = Asking({0, BATCH}, [2, 1, 3])
    prove(asking, CountingMaps(range(60)), store, [candidate(number) for number in range(60)], JOB)
    ((broken, seen, absent),) = asking.given
    assert broken is None
    assert absent is None
    assert isinstance(seen, np.ndarray)
    assert seen.ndim == 2
    assert SIDE <= max(seen.shape) < 2 * SIDE


class Away(MemoryOriginals):
    """Cannot be reached, or keeps everybody waiting until the test is over."""

    def __init__(self, hangs: threading.Event | None = None) -> None:
        super().__init__()
        self.hangs = hangs

    def get(self, key: str) -> bytes | None:
        if self.hangs is not None:
            self.hangs.wait(30)
        raise Unavailable("no answer")


def test_originals_that_cannot_be_had_are_done_without() -> None:
    asking = Asking({0}, [1, 2])
    assert list(prove(asking, CountingMaps(range(3)), Away(), [candidate(number) for number in range(3)], JOB)) == [
        candidate(0).key
    ]
    assert asking.given == [[None, None]]


def test_originals_that_do_not_come_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(originals, "_SECONDS", 0.05)
    over, asking = threading.Event(), Asking({0}, [1, 2])
    try:
        prove(asking, CountingMaps(range(3)), Away(over), [candidate(number) for number in range(3)], JOB)
        assert asking.given == [[None, None]]
    finally:
        over.set()


def test_no_originals_are_asked_for_at_all() -> None:
    asking = Asking(set(), [])
    prove(asking, CountingMaps([0]), MemoryOriginals(), [candidate(0)], JOB)
    assert asking.given == [[]]
