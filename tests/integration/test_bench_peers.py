"""The benchmark beside other libraries reports those that are installed, and says which are not; and the idle bill."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bench import bill, peers
from tests.bench.report import Report
from tests.bench.stores import Float16Vectors, flat


class Exact(peers.Graph):
    """An exact scan, as a library that finds everything."""

    def __init__(self, _: Any) -> None:
        self._plain: Any = None

    def fill(self, vectors: Float16Vectors) -> None:
        self._plain = flat(vectors)

    def nearest(self, views: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        cosines, rows = self._plain.search(views, peers.K)
        return cosines, rows

    def size(self) -> int:
        return 512 * int(self._plain.ntotal)


def test_a_library_stands_beside_ours_and_a_missing_one_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "LIBRARIES", {"exact": ("numpy", Exact), "none": ("there_is_no_such_module", Exact)})
    report = Report()
    peers.measure(report, quick=True)
    rows = {row.name: row for row in report.rows}
    assert rows["exact: bytes a row"].value == 512
    for views in ("one view", "five views"):
        assert rows[f"exact: recall, {views}"].value == 1
        assert rows[f"ours: recall, {views}"].value >= 0.99
        assert all(rows[f"{name}: search, {views}"].floor for name in ("ours", "exact"))
    assert not any(name.startswith("none") for name in rows)
    assert "No rows of none, for they are not installed." in capsys.readouterr().err


def test_the_idle_bill_is_the_pages_month_without_its_calls() -> None:
    report = Report()
    bill.measure(report)
    rows = {row.name: row for row in report.rows}
    assert all(row.value > 0 and row.unit == "$" and "not measured" in row.group for row in rows.values())
    small = rows["10,000 pictures, segments, Metrics=none"]
    assert small.aim == bill.AIM
    assert small.value <= 2 < rows["10,000 pictures, 1 × t3.small.search"].value
    assert {name for name, row in rows.items() if row.aim} == {
        f"{pictures} pictures, segments, Metrics=none" for pictures in ("10,000", "100,000")
    }
