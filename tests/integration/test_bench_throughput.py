"""The benchmark of throughput reports every number of callers, on a server that is asked too little to be fast or slow."""

from __future__ import annotations

import sys

import pytest

from tests.bench import throughput
from tests.bench.report import Report


@pytest.mark.skipif(sys.platform != "linux", reason="a server's processor time is read from /proc")
def test_adds_and_searches_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "QUICK", 4)
    report = Report()
    throughput.measure(report, quick=True)
    for what in ("adds", "searches"):
        rates = [row for row in report.rows if f": {what}, beside" in row.name]
        assert len(rates) == len(throughput.CALLERS)
        assert all(row.value > 0 and row.floor for row in rates)
    waits = [row.value for row in report.rows if row.name.endswith("beside the service's own time")]
    assert len(waits) == 2
    assert min(waits) > 0
