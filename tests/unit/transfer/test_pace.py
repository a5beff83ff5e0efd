"""An import's pace is never passed, whoever asks, and is used where it can be."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lookalike.ports import Ports
from lookalike.transfer.pace import Pace
from tests.conftest import ALICE
from tests.support.baidu import picture
from tests.support.transfers import Importer


@given(st.floats(0.01, 1e6), st.lists(st.tuples(st.integers(1, 64), st.floats(0, 100)), min_size=1, max_size=40))
def test_rows_begin_no_faster_than_that(rate: float, takes: list[tuple[int, float]]) -> None:
    now = 0.0
    pace = Pace(rate, lambda: now)
    begun: list[tuple[float, int]] = []
    for wanted, later in takes:
        rows = pace.at_once(wanted)
        assert 1 <= rows <= max(1, rate)
        begun.append((now + pace.wait(rows), rows))
        now += later
    for first, (start, _) in enumerate(begun):
        for last in range(first + 1, len(begun)):
            before = sum(rows for _, rows in begun[first:last])
            assert begun[last][0] - start >= before / rate - 1e-9


def test_without_a_rate_nobody_waits() -> None:
    pace = Pace()
    assert (pace.at_once(64), pace.wait(64), pace.wait(64)) == (64, 0.0, 0.0)


def test_an_import_keeps_to_it(memory: Ports, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.png").write_bytes(picture(number))
    began = time.monotonic()
    assert len(Importer(memory, ALICE, by_api=False).run(folder, "shop", rate=20)) == 6
    assert time.monotonic() - began >= 5 / 20
    assert threading.active_count() < 20
