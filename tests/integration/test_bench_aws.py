"""The benchmark of OpenSearch measures what it says, on libraries too small to say how fast it is."""

from __future__ import annotations

from lookalike.adapters.opensearch import connect
from tests.bench.aws import CASES, measure
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
    assert [row.value > 0 for row in report.rows if row.group.startswith("Growth")] == [True] * len(CASES) * 2
