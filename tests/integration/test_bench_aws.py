"""The benchmark of OpenSearch reports every case, on libraries too small to be fast or slow."""

from __future__ import annotations

from lookalike.stores.aws.opensearch_client import connect
from tests.bench.aws import CASES, measure, measure_adds
from tests.bench.report import Report
from tests.servers.opensearch.server import shared


def test_every_case_is_measured_in_every_state() -> None:
    report, client = Report(), connect(shared())
    measure(report, shared(), (150,), times=2)
    client.indices.delete(index="bench-150")
    client.close()
    recalls = [row.value for row in report.rows if row.name.endswith("recall")]
    assert recalls == [1.0] * len(CASES) * 2
    times = [row for row in report.rows if row.name.endswith(("p50", "p95"))]
    assert len(times) == len(CASES) * 4
    assert all(row.value > 0 and row.floor for row in times)
    requests = [row for row in report.rows if "_msearch" in row.name]
    assert len(requests) == sum(case.views > 1 for case in CASES) * 2
    assert [row.value > 0 for row in report.rows if row.group.startswith("Growth")] == [True] * len(CASES) * 2


def test_whole_adds_are_measured() -> None:
    report, client = Report(), connect(shared())
    measure_adds(report, shared(), 3)
    client.indices.delete(index="adds")
    client.close()
    alone, at_once = report.rows
    assert alone.floor
    assert min(alone.value, alone.floor, at_once.value) > 0
