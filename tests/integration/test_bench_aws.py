"""The benchmark of OpenSearch reports every case, on libraries too small to be fast or slow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest

from lookalike.stores.aws.opensearch_admin import GRAPH
from lookalike.stores.aws.opensearch_client import connect
from tests.bench.aws import CASES, COMPRESSED, Plan, measure, measure_adds
from tests.bench.report import Report
from tests.servers.opensearch.server import shared


@pytest.mark.parametrize(("graph", "least"), [(GRAPH, 1.0), (COMPRESSED, 0.98)])
def test_every_case_is_measured_in_every_state(graph: Mapping[str, Any], least: float) -> None:
    report, client = Report(), connect(shared())
    measure(report, shared(), Plan((150,), 2, graph, os.getpid()))
    client.indices.delete(index="bench-150")
    client.close()
    recalls = [row.value for row in report.rows if row.name.endswith("recall")]
    assert len(recalls) == len(CASES) * 2 + 1
    assert min(recalls) >= least
    adding = [row for row in report.rows if row.group.endswith("while others are added")]
    assert all(row.value > 0 for row in adding)
    assert all(row.value > 0 for row in report.rows if row.group.endswith("room"))
    times = [row for row in report.rows if row.name.endswith(("p50", "p95")) and row not in adding]
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
