"""The benchmark of OpenSearch reports every case, on libraries too small to be fast or slow."""

from __future__ import annotations

import os

import pytest

from lookalike.stores.aws.opensearch_client import connect
from tests.bench.aws import BRIEF, CASES, WHILE_ADDING, Plan, main, measure, measure_adds
from tests.bench.graphs import GRAPHS, needs_native_code
from tests.bench.report import Report
from tests.servers.opensearch.server import shared

SIZE = 150


def test_every_case_is_measured_in_every_state() -> None:
    report, saved = Report(), list[int]()
    plan = Plan((SIZE,), 2, pid=os.getpid(), save=lambda so_far: saved.append(len(so_far.rows)))
    measure(report, shared(), plan)
    recalls = [row.value for row in report.rows if row.name.endswith("recall")]
    assert recalls == [1.0] * (len(CASES) * 2 + len(WHILE_ADDING))
    adding = [row for row in report.rows if row.group.endswith("while others are added")]
    assert all(row.value > 0 for row in adding)
    assert all(row.value > 0 for row in report.rows if row.group.endswith("room"))
    times = [row for row in report.rows if row.name.endswith(("p50", "p95")) and row not in adding]
    assert len(times) == len(CASES) * 4
    assert all(row.value > 0 and row.floor for row in times)
    requests = [row for row in report.rows if "_msearch" in row.name]
    assert len(requests) == sum(case.views > 1 for case in CASES) * 2
    assert 0 < saved[0] < saved[1] == len(report.rows)


def test_growth_from_one_size_to_another_is_reported() -> None:
    report = Report()
    measure(report, shared(), Plan((100, SIZE), 2, brief=True))
    growth = [row.value for row in report.rows if row.group == "Growth from 100 to 150 pictures, lucene, as written"]
    assert len(growth) == len(BRIEF)
    assert min(growth) > 0


@pytest.mark.parametrize("graph", [name for name in GRAPHS if not needs_native_code(name)])
def test_a_brief_run_compares_graphs(graph: str) -> None:
    report = Report()
    measure(report, shared(), Plan((SIZE,), 2, (graph,), brief=True, refresh="30s"))
    recalls = [row.value for row in report.rows if row.name.endswith("recall")]
    assert len(recalls) == len(BRIEF) + len(WHILE_ADDING)
    assert min(recalls) >= 0.98
    room = {row.name: row.value for row in report.rows if row.group.endswith("room")}
    assert 0 < room["graph and its numbers a row, walked by searches"] < room["disk a row, as written"]
    assert not connect(shared()).indices.exists(index=f"bench-{graph}-{SIZE}")


def test_graphs_of_faiss_are_refused_where_its_library_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared()
    monkeypatch.setattr("sys.argv", ["aws", "--graph", "lucene", "faiss-fp16", "faiss-on-disk-32x"])
    with pytest.raises(SystemExit):
        main()
    assert "faiss-fp16, faiss-on-disk-32x: our server lacks FAISS's library" in capsys.readouterr().err


def test_whole_adds_are_measured() -> None:
    report, client = Report(), connect(shared())
    measure_adds(report, shared(), 3)
    client.indices.delete(index="adds")
    client.close()
    alone, at_once = report.rows
    assert alone.floor
    assert min(alone.value, alone.floor, at_once.value) > 0
